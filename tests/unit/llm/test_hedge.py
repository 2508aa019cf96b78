import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.hedge import HedgePolicy, Hedges, Window
from streamgen.virtual_time import run_virtual


class Noted:
    """A flight that notes when it was late."""

    def __init__(self, late: list[float]) -> None:
        self.at = anyio.current_time()
        self.is_over = False
        self.late = late

    def hedge(self) -> None:
        self.late.append(anyio.current_time())


def hedges(*, budget: float = 0.5, quantile: float = 0.5) -> Hedges:
    """Hedges after 100 answers that took 0.01, 0.02 ... 1.00 s."""
    hedges = Hedges(HedgePolicy(quantile=quantile, budget=budget), anyio.current_time)
    for n in range(100):
        hedges.took((n + 1) / 100)
    return hedges


@given(st.lists(st.integers(0, 50).map(float), min_size=1), st.integers(1, 20), st.floats(0.01, 0.99))
def test_a_window_knows_the_quantiles_of_its_last_numbers(numbers: list[float], size: int, share: float) -> None:
    window = Window(size)
    for number in numbers:
        window.add(number)
    recent = sorted(numbers[-size:])
    assert len(window) == len(recent)
    assert window.quantile(share) == recent[int(share * len(recent))]


def test_requests_are_late_in_the_order_in_which_they_were_sent_and_ended_ones_never() -> None:
    late: list[float] = []

    async def main() -> None:
        watch = hedges(budget=0.99)
        flights = []
        for _ in range(10):
            flights.append(flight := Noted(late))
            watch.began(flight)
            await anyio.sleep(0.1)
        for flight in flights[5::2]:
            flight.is_over = True
        await anyio.sleep(100.0)

    run_virtual(main)
    # The first five are late 0.51 s after they were sent; of the others, every second one ended at 1.0 s.
    assert late == pytest.approx([0.51, 0.61, 0.71, 0.81, 0.91, 1.11, 1.31])


def test_no_more_is_sent_than_the_budget_allows_and_more_when_it_grows() -> None:
    late: list[float] = []

    async def main() -> None:
        watch = hedges(budget=0.25)
        for _ in range(11):
            watch.began(Noted(late))
        await anyio.sleep(10.0)
        assert (len(late), watch.sent) == (2, 2)
        watch.began(Noted(late))  # the twelfth: three are allowed now
        assert late == pytest.approx([0.51, 0.51, 10.0])
        watch.not_sent()
        watch.began(Noted(late))
        assert len(late) == 4

    run_virtual(main)


def test_nothing_is_late_before_enough_is_known() -> None:
    async def main() -> None:
        watch = Hedges(HedgePolicy(), anyio.current_time)
        for _ in range(49):
            watch.began(Noted(late))
            watch.took(0.0)
        await anyio.sleep(1e4)

    late: list[float] = []
    run_virtual(main)
    assert late == []


@pytest.mark.parametrize("wrong", [{"quantile": 1.0}, {"quantile": 0.0}, {"budget": 0.0}, {"budget": 1.5}])
def test_a_policy_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
        msgspec.convert(wrong, HedgePolicy)
