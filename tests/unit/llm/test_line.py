import anyio
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.line import AGEING_S, Line, Waiter
from streamgen.virtual_time import run_virtual

calls = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000).map(lambda n: n / 8)), max_size=40)


async def order(line: Line[int]) -> list[Waiter]:
    served = []
    while waiter := line.head():
        line.grant(1)
        served.append(waiter)
    return served


@given(calls)
def test_a_call_is_overtaken_only_by_higher_priorities_that_come_soon_after_it(calls: list[tuple[int, float]]) -> None:
    async def main() -> list[Waiter]:
        line: Line[int] = Line()
        for priority, arrived in calls:
            line.join(Waiter(priority, arrived, 1))
        return await order(line)

    served = run_virtual(main)
    assert len(served) == len(calls)
    for place, waiter in enumerate(served):
        for later in served[place + 1 :]:
            if waiter.arrived > later.arrived:
                assert waiter.arrived - later.arrived <= AGEING_S * (waiter.priority - later.priority)


def test_a_flood_of_higher_priorities_holds_a_call_up_for_a_bounded_time() -> None:
    """One call is served a second, and each second one of priority 2 comes: the one of priority 0 waits 60 s."""

    async def main() -> float:
        line: Line[int] = Line()
        patient = line.join(Waiter(0, 0.0, 1))
        line.join(Waiter(2, 0.0, 1))
        while not patient.done():
            line.grant(1)
            await anyio.sleep(1.0)
            line.join(Waiter(2, anyio.current_time(), 1))
        return anyio.current_time()

    assert 2 * AGEING_S <= run_virtual(main) <= 2 * AGEING_S + 2


def test_of_equal_rank_the_first_in_line_is_the_first_served_also_when_it_comes_again() -> None:
    async def main() -> None:
        line: Line[int] = Line()
        waiters = [Waiter(1, 5.0, 1) for _ in range(5)]
        for waiter in waiters:
            line.join(waiter)
        line.grant(1)
        line.join(waiters[0])
        assert await order(line) == waiters

    run_virtual(main)


@given(st.lists(st.booleans(), max_size=300))
def test_those_who_leave_are_not_served_not_counted_and_not_kept(stays: list[bool]) -> None:
    async def main() -> None:
        line: Line[int] = Line()
        kept = []
        for number, stay in enumerate(stays):
            waiter = Waiter(0, float(number), 1)
            turn = line.join(waiter)
            if stay:
                kept.append(waiter)
            else:
                turn.cancel()
                line.leave()
            assert len(line._heap) <= 2 * line.waiting + 65
        assert line.waiting == len(kept)
        assert await order(line) == kept
        assert line.waiting == 0

    run_virtual(main)


def test_all_are_told_when_no_turn_will_come() -> None:
    async def main() -> None:
        line: Line[int] = Line()
        turns = [line.join(Waiter(0, 0.0, 1)) for _ in range(3)]
        turns[1].cancel()
        line.dismiss()
        line.leave()  # the cancelled one wakes up after that
        assert line.waiting == 0
        assert [turn.result() for turn in (turns[0], turns[2])] == [None, None]

    run_virtual(main)
