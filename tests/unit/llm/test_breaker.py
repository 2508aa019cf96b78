from streamgen.llm.breaker import Breaker, State


def failing(times: int, *, longest_s: float = 8.0) -> Breaker:
    breaker = Breaker(0.5, longest_s)
    for _ in range(times):
        breaker.failed(0.0, 1.0)
    return breaker


def test_eleven_failures_in_a_row_open_it_and_ten_do_not() -> None:
    assert failing(10).state is State.CLOSED
    assert failing(11).state is State.OPEN


def test_a_mixture_opens_it_only_where_failures_outweigh_answers() -> None:
    for of_ten, state in ((3, State.CLOSED), (8, State.OPEN)):
        breaker = Breaker(0.5, 8.0)
        for n in range(200):
            if n * 7 % 10 < of_ten:
                breaker.failed(0.0, 1.0)
            else:
                breaker.succeeded(-1.0)
        assert breaker.state is state


def test_a_server_that_is_away_opens_it_at_once() -> None:
    breaker = Breaker(0.5, 8.0)
    breaker.failed(0.0, 1.0, is_away=True)
    assert (breaker.state, breaker.ready_at()) == (State.OPEN, 1.5)


def test_probes_are_spaced_by_doubling_times_up_to_the_longest() -> None:
    breaker = failing(11)
    times = []
    for _ in range(7):
        times.append(now := breaker.ready_at())
        breaker.started(now)
        assert breaker.state is State.HALF_OPEN
        breaker.failed(now, now + 0.1)
        assert breaker.state is State.OPEN
    assert times == [1.5, 2.5, 4.5, 8.5, 16.5, 24.5, 32.5]


def test_an_answered_probe_closes_it_and_an_answer_from_before_does_not() -> None:
    breaker = failing(11)
    breaker.succeeded(0.5)
    assert breaker.state is State.OPEN
    breaker.started(1.5)
    breaker.succeeded(1.5)
    assert (breaker.state, breaker.is_calm, breaker.ready_at()) == (State.CLOSED, True, float("-inf"))


def test_a_failure_from_before_does_not_end_a_probe() -> None:
    breaker = failing(11)
    breaker.started(1.5)
    breaker.failed(0.5, 1.6)
    assert breaker.state is State.HALF_OPEN


def test_the_place_of_a_cancelled_probe_is_soon_free() -> None:
    breaker = failing(11, longest_s=100.0)
    for now in (1.5, 2.5, 4.5):
        breaker.started(now)
    assert breaker.ready_at() == 8.5
    breaker.released(4.5, 5.0)
    assert (breaker.state, breaker.ready_at()) == (State.OPEN, 5.5)


def test_it_is_calm_again_after_enough_answers() -> None:
    breaker = failing(1)
    answers = 0
    while not breaker.is_calm:
        breaker.succeeded(0.0)
        answers += 1
    assert 50 < answers < 100
