import pytest

from streamgen.llm.account import Account
from streamgen.llm.foresight import Foresight


def learned(*answers: tuple[float, float]) -> Foresight:
    foresight, account = Foresight(1e9), Account(1e9, 60.0)
    foresight.start(100.0)
    for used, seconds in answers:
        foresight.learn(used, seconds)
        foresight.start(100.0)
    foresight.look(account, 0, 0.0)
    return foresight


def test_a_call_that_outlasts_the_short_ones_counts_as_a_long_one() -> None:
    foresight, account = learned(*[(50.0, 1.0), (150.0, 9.0)] * 50), Account(1e9, 60.0)
    account.take(100.0, 0.0, 100.0)
    foresight.look(account, 0, 0.5)
    young = foresight.spare
    foresight.look(account, 0, 4.0)
    assert foresight.spare > 50.0  # it is long: 50 more than reserved, and what one more call may take
    assert young > foresight.spare  # not known to be short or long


def test_estimates_that_are_too_low_are_raised() -> None:
    assert learned(*[(300.0, 1.0)] * 20).bias == pytest.approx(200.0)
    assert learned(*[(30.0, 1.0)] * 20).bias == 0.0
