"""Ratios are of one round, targets are judged by medians, and the page is written between its markers."""

from pathlib import Path

import pytest

from benchmarks import chart, table
from benchmarks.kill import Kill
from benchmarks.measures import extra_calls, paid_again_beyond_flight, share_of_ceiling, wall_over_ideal
from benchmarks.results import Invocation, Results, Spread, read, spread, write
from benchmarks.runner import Measured
from benchmarks.targets import TARGETS, verdicts
from benchmarks.workloads import WORKLOADS, ideal_of, ideal_s


def measured(workload: str, client: str, number: int = 0, **fields: object) -> Measured:
    return Measured(workload=workload, client=client, round=number, **fields)  # type: ignore[arg-type]


def invocation(*runs: Measured, date: str = "2026-01-01 00:00") -> Invocation:
    machine: dict[str, str | int] = {"processor": "a processor", "cores": 2, "system": "Linux", "python": "3.11"}
    return Invocation(date=date, machine=machine, ceiling_per_s=30_000, ceiling_driver="wrk", runs=list(runs))


def w1(client: str, *rates: float, **fields: object) -> list[Measured]:
    return [measured("W1", client, n, records_per_s=rate, records=5_000, **fields) for n, rate in enumerate(rates)]


def verdict_of(results: Results, about: str):
    return next(v for v in verdicts(results) if v.target.workload == "W1" and v.target.about == about)


def test_a_target_is_judged_by_the_median_of_the_ratios_of_each_round():
    runs = [*w1("floor", 1000, 2000, 4000), *w1("streamgen", 800, 1000, 3000)]
    verdict = verdict_of(Results([invocation(*runs)]), "records/s over the floor's")
    assert verdict.spread == Spread(0.75, 0.5, 0.8)
    assert verdict.is_met


def test_a_ratio_is_never_taken_over_two_invocations():
    earlier, later = invocation(*w1("floor", 1000)), invocation(*w1("streamgen", 900))
    assert verdict_of(Results([earlier, later]), "records/s over the floor's").spread is None


def test_the_newest_runs_of_a_client_stand_for_it():
    results = Results([invocation(*w1("floor", 1)), invocation(*w1("floor", 2)), invocation(*w1("openai", 3))])
    assert [run.records_per_s for run in results.of("W1", "floor")] == [2]


def test_a_round_without_a_value_leaves_no_median():
    assert spread([1.0, None]) is None
    assert spread([]) is None
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_results_survive_the_file(tmp_path: Path):
    one = invocation(measured("W5", "streamgen", kill=Kill(64, 3), wall_s=1.5))
    write(tmp_path / "results.json", [one])
    assert read(tmp_path / "results.json") == [one]
    assert read(tmp_path / "none.json") == []


def test_ideals_follow_from_the_endpoint():
    assert ideal_s("W1") is None
    assert ideal_s("W3") == ideal_s("W3told") == pytest.approx((3_000 - 10) / 100)
    assert ideal_s("W7") == pytest.approx(3_000 * 0.1 / 16)
    assert ideal_s("W2") == ideal_s("W2hedged") == pytest.approx(4_000 * 0.2 * 1.6487 / 64, rel=0.1)  # e^(sigma^2/2)


def test_measures_compare_with_the_ideal():
    ideal = ideal_of(WORKLOADS["W3"])
    assert ideal is not None
    run = measured("W3", "streamgen", records=1_500, wall_s=ideal)
    assert (wall_over_ideal(run), share_of_ceiling(run)) == (1.0, 0.5)
    hedged = measured("W2hedged", "streamgen", counters={"requests": 4_100})
    assert extra_calls(hedged) == pytest.approx(0.025)
    killed = measured("W5", "streamgen", kill=Kill(64, 10), counters={"paid_again": 75})
    assert paid_again_beyond_flight(killed) == 1.0


def test_every_target_names_a_workload_and_what_it_is_compared_with():
    for target in TARGETS:
        assert target.workload in WORKLOADS
        assert target.over is None or target.over[0] in WORKLOADS


def test_the_page_shows_medians_and_verdicts_between_its_markers():
    runs = [*w1("floor", 1000, cpu_ms=0.1, peak_mb=40), *w1("streamgen", 600, cpu_ms=0.14, peak_mb=50)]
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    page = table.put_between_markers(text, table.document(Results([invocation(*runs)])))
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "| **streamgen** | 600, 0.14, 50 |" in page
    assert "| W1 | records/s over the floor's | 0.6 (0.6 to 0.6) | ≥ 0.72 | **missed** |" in page
    assert "| W1 | CPU a record over the floor's | 1.4 (1.4 to 1.4) | ≤ 1.45 | met |" in page
    assert "a processor" in page


def test_a_client_that_makes_nothing_fails_in_the_table():
    assert table.cell("W1", w1("openai", 0, error="exit code 1") and [measured("W1", "openai", error="x")]) == "fails"
    assert table.cell("W1", []) == "-"


def test_a_page_without_markers_is_not_touched():
    with pytest.raises(ValueError, match="needs the lines"):
        table.put_between_markers("nothing here", "part")


def test_the_chart_has_a_bar_a_client_and_follows_the_background():
    svg = chart.draw(Results([invocation(*w1("floor", 1000), *w1("streamgen", 600))]))
    assert svg.count("<rect") == 2
    assert "prefers-color-scheme: dark" in svg
    assert ">1,000</text>" in svg
    assert "W2" not in svg
