"""The moments of a run: few however long it lasts, evenly spread, over all sessions, and drawn in the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.engine.statistics import EngineStatistics
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.budget import Spent
from streamgen.report.time_plots import measure_plots, time_plots
from streamgen.summary import RunStatistics
from streamgen.timeline import MOST, Moment, Timeline, moments_of


def standing(accepted: int, tokens: int = 0, usd: float | None = 0.0, **metrics: dict[str, object]) -> RunStatistics:
    spent = Spent(usd=usd, tokens=tokens)
    return RunStatistics("r", accepted, None, 0, 0, EngineStatistics(), [], spent, metrics)


def test_a_later_session_goes_on_where_the_last_one_stood() -> None:
    first = Timeline()
    first.note(0.0, standing(0))
    first.note(5.0, standing(10, 100, 0.5))
    second = Timeline(first.moments)
    second.note(2.0, standing(12, 120, 0.6))
    assert second.moments == [Moment(0.0, 0, 0, 0.0, {}), Moment(5.0, 10, 100, 0.5, {}), Moment(7.0, 12, 120, 0.6, {})]


def test_numbers_of_metrics_are_kept_and_nothing_else_of_them() -> None:
    timeline = Timeline()
    timeline.note(1.0, standing(1, balance={"entropy": 0.5, "counts": {"a": 1}, "full": True, "none": None, "n": 3}))
    assert timeline.moments[0].measures == {"balance.entropy": 0.5, "balance.n": 3.0}


@given(st.integers(1, 2000))
def test_however_long_a_run_lasts_its_moments_are_few_and_begin_and_end_with_it(count: int) -> None:
    timeline = Timeline()
    for second in range(count):
        timeline.note(float(second), standing(second))
    seconds = [moment.seconds for moment in timeline.moments]
    assert len(seconds) < 2 * MOST and len(seconds) >= min(count, MOST)
    assert (seconds[0], seconds[-1]) == (0.0, count - 1.0)
    assert seconds == sorted(set(seconds))


def test_speed_is_told_between_moments_and_totals_at_the_end() -> None:
    kept, speed, spent = time_plots([Moment(float(m * 60), 30 * m, 1000 * m, 0.1 * m, {}) for m in range(4)])
    assert kept.text == "records: 90 after 3 min 0 s." and kept.numbers.rows[1] == ["1 min 0 s", "30"]
    assert speed.numbers.rows == [
        ["0 µs to 1 min 0 s", "30"], ["1 min 0 s to 2 min 0 s", "30"], ["2 min 0 s to 3 min 0 s", "30"]
    ]  # fmt: skip
    assert (spent.title, spent.text) == ("Spending over time", "dollars: $0.3000 after 3 min 0 s.")


@pytest.mark.parametrize("usd", [None, 0.0])
def test_where_no_price_is_known_tokens_are_drawn(usd: float | None) -> None:
    *_, spent = time_plots([Moment(float(m), m, 10 * m, usd, {}) for m in range(4)])
    assert spent.title == "Tokens over time"


def test_a_run_that_was_over_at_once_or_called_no_model_has_less_to_draw() -> None:
    assert time_plots([]) == time_plots([Moment(0.0, 5, 5, 0.0, {})] * 3) == []
    assert [plot.id for plot in time_plots([Moment(float(m), m, 0, 0.0, {}) for m in range(3)])] == [
        "kept-over-time", "speed"
    ]  # fmt: skip


def test_only_measures_that_change_have_a_picture() -> None:
    moments = [Moment(float(m), m, 0, 0.0, {"d.same": 1.0, "d.grows": float(m)}) for m in range(4)]
    (plot,) = measure_plots(moments)
    assert (plot.title, plot.text) == ("d.grows", "From 0 to 3.")


def test_a_run_of_an_earlier_version_has_no_moments(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE_NAME)
    assert moments_of(store) == []
    store.close()
