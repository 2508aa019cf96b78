from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.pool import Pool
from streamgen.record import Record


def records(start: int, stop: int) -> list[Record]:
    return [Record(str(index), {"i": index}) for index in range(start, stop)]


def test_a_pool_below_its_limit_holds_everything_but_the_trials_own() -> None:
    pool = Pool(100)
    pool.add(0, records(0, 10))
    pool.add(1, records(10, 15))
    assert {record["i"] for record in pool.others(1)} == set(range(10))
    assert len(pool) == 15


def test_a_pool_never_holds_more_than_its_limit() -> None:
    pool = Pool(50)
    for trial in range(20):
        pool.add(trial, records(trial * 100, trial * 100 + 100))
        assert len(pool) == 50


def test_a_pool_without_room_holds_nothing() -> None:
    pool = Pool(0)
    pool.add(0, records(0, 3))
    assert len(pool) == 0
    assert pool.others(1) == []


@given(st.permutations(range(12)), st.integers(0, 5))
def test_what_is_kept_does_not_depend_on_the_order_of_arrival(order: list[int], seed: int) -> None:
    first, second = Pool(20, seed), Pool(20, seed)
    for trial in range(12):
        first.add(trial, records(trial * 5, trial * 5 + 5))
    for trial in order:
        second.add(trial, records(trial * 5, trial * 5 + 5))
    assert first.others(-1) == second.others(-1)


def test_early_and_late_records_are_kept_alike() -> None:
    pool = Pool(1000, seed=1)
    for trial in range(10):
        pool.add(trial, records(trial * 1000, trial * 1000 + 1000))
    kept = [record["i"] // 1000 for record in pool.others(-1)]
    assert all(70 <= kept.count(part) <= 130 for part in range(10))  # 100 +- 3 standard deviations


def test_a_record_that_comes_twice_is_kept_once() -> None:
    pool = Pool(10)
    pool.add(0, records(0, 4))
    pool.add(0, records(0, 4))
    assert len(pool.others(1)) == 4
