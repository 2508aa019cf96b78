"""The pictures of the controller: drawn to scale, with the same numbers beside them, whatever the trials are like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate

import pytest
from simulated_trials import SPACE, facts, level, result, simulated, waiting

from streamgen.control.agent import Trial
from streamgen.control.results import TrialResult
from streamgen.report.controller_page import Pictures, pictures_of
from streamgen.report.plot import Label, Plot, Scale, spanning
from streamgen.report.study import Study
from streamgen.report.trials import TrialFacts, TrialTook

_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def drawn(trials: TrialFacts) -> dict[str, Plot]:
    return {plot.id: plot for plot in pictures_of(trials).plots}


def places(plot: Plot, kind: str) -> list[tuple[float, float]]:
    """Where the dots of a kind stand."""
    dots = [re.fullmatch(r"M([\d.]+) ([\d.]+)h.01", mark.d) for mark in plot.marks if mark.kind == kind]
    return [(float(dot[1]), float(dot[2])) for dot in dots if dot]


def value_at(plot: Plot, y: float) -> float:
    """What a height means, by the labels beside the plot."""
    (top, high), *_, (bottom, low) = [(label.place, float(label.text.replace(",", ""))) for label in plot.rows]
    return low + (y - bottom) / (top - bottom) * (high - low)


def test_rewards_stand_where_the_labels_say_with_one_standard_error() -> None:
    plot = drawn(facts([result(0, 0.2, kind="default"), result(1, 0.5, se=0.1), result(2, None), result(3, 0.9)]))[
        "rewards"
    ]
    ((x0, y0),), [(x1, y1), (x3, y3)] = places(plot, "default"), places(plot, "explore")
    assert [value_at(plot, y) for y in (y0, y1, y3)] == pytest.approx([0.2, 0.5, 0.9], abs=0.005)
    assert x3 - x0 == pytest.approx(3 * (x1 - x0), abs=0.3)
    (error,) = [mark for mark in plot.marks if mark.kind == "error"]
    _, upper, lower = map(float, _NUMBERS.findall(error.d))
    assert [value_at(plot, y) for y in (upper, lower)] == pytest.approx([0.4, 0.6], abs=0.005)
    (failed,) = [mark for mark in plot.marks if mark.kind == "failed"]
    assert failed.title == "trial 2: failed" and failed.d.startswith(f"M{x0 + 2 * (x1 - x0):g}")
    assert [list(row[:3]) for row in plot.numbers.rows] == [
        ["0", "default", "0.2"], ["1", "explore", "0.5 ± 0.1"], ["2", "explore", "failed"], ["3", "explore", "0.9"],
    ]  # fmt: skip


def test_the_line_of_the_best_so_far_only_rises() -> None:
    trials = simulated(30)
    plot = drawn(trials)["rewards"]
    (best,) = [mark.d for mark in plot.marks if mark.kind == "best"]
    levels = [float(y) for y in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", best)]
    assert levels == sorted(levels, reverse=True) and len(levels) > 2
    values = [each.reward.value for each in trials.results if each.reward and each.reward.value is not None]
    assert value_at(plot, levels[-1]) == pytest.approx(max(values), abs=0.005)


def test_incumbents_that_were_run_again_and_the_recommended_have_looks_of_their_own() -> None:
    plot = drawn(simulated(30))["rewards"]
    kinds = [kind for kind, _ in plot.legend]
    assert kinds == ["default", "explore", "incumbent", "recommended", "best", "failed", "worth"]
    assert len(places(plot, "incumbent")) == len(places(plot, "hole")) == 4
    assert len(places(plot, "recommended")) == len(places(plot, "eye")) == 2


def test_the_recommended_settings_come_with_an_interval_that_holds_their_true_level() -> None:
    trials = simulated(30)
    worth = Study(trials).worth
    assert worth and trials.recommended and worth.low < level(trials.recommended) < worth.high
    assert worth.high - worth.low < 0.15
    plot = drawn(trials)["rewards"]
    (line,) = [mark.d for mark in plot.marks if mark.kind == "worth"]
    assert value_at(plot, float(_NUMBERS.findall(line)[1])) == pytest.approx(worth.mean, abs=0.005)


def test_regret_is_what_is_missing_to_the_recommended_settings_and_its_mean_falls() -> None:
    trials = simulated(40)
    plot = drawn(trials)["regret"]
    regrets = [float(row[2].split(" ± ")[0]) for row in plot.numbers.rows]
    assert [float(row[3]) for row in plot.numbers.rows] == pytest.approx(
        [total / count for count, total in enumerate(accumulate(regrets), 1)], abs=0.001
    )
    recommended = [row[2] for row in plot.numbers.rows if row[1] == "recommended"]
    assert len(recommended) == 3 and all(abs(float(each.split(" ± ")[0])) < 1e-9 for each in recommended)
    truth = [
        level(trials.recommended or {}) - level(each.trial.settings)
        for each in trials.results
        if each.value is not None
    ]
    errors = [abs(regret - true) for regret, true in zip(regrets, truth, strict=True)]
    assert sum(errors) / len(errors) < 0.04


def test_every_trial_crosses_every_axis_at_its_setting() -> None:
    space = {"a.t": {"low": 0.0, "high": 2.0}, "a.m": {"choices": ["x", "y"]}, "a.s": {"simplex": ["p", "q"]}}
    settings = {"a.t": 0.5, "a.m": "y", "a.s": {"p": 0.25, "q": 0.75}}
    other = {"a.t": 2.0, "a.m": "x", "a.s": {"p": 1.0, "q": 0.0}}
    plot = drawn(facts([result(0, 0.1, settings=settings), result(1, 0.9, settings=other)], space))["explored"]
    assert [text for _, text in plot.heads] == ["a.t", "a.m", "a.s: p", "a.s: q", "reward"]
    first, second = [mark for mark in plot.marks if mark.kind.startswith("shade")]
    heights = list(map(float, _NUMBERS.findall(first.d)))[1::2]
    low, high = plot.height - 14, 14.0
    shares = [(low - y) / (low - high) for y in heights[:4]]
    assert shares == pytest.approx([0.25, 0.75, 0.25, 0.75], abs=0.001)
    assert (first.kind, second.kind) == ("shade s0", "shade s6")
    assert plot.numbers.rows[0] == ["0", "0.1", "0.5", "y", "0.25", "0.75"]


def test_a_setting_that_does_not_count_breaks_the_line_and_shares_of_a_mixture_are_axes() -> None:
    mixture = {"simplex": ["p", "q"], "features": ["deficit"]}
    trial = Trial(
        id=0, first_ticket=0, tickets=1, kind="explore", settings={"a.t": 1.0, "a.s[deficit]": 0.0, "a.n": None},
        applied={"a.t": 1.0, "a.s": {"p": 0.4, "q": 0.6}},
    )  # fmt: skip
    space = {"a.t": {"low": 0.0, "high": 2.0}, "a.n": {"low": 1, "high": 5}, "a.s": mixture}
    reward = result(0, 0.5).reward
    plot = drawn(facts([TrialResult(trial, reward)], space))["explored"]
    assert [text for _, text in plot.heads] == ["a.t", "a.n", "a.s[deficit]", "a.s: p", "a.s: q", "reward"]
    (line,) = [mark.d for mark in plot.marks if mark.kind.startswith("shade")]
    assert line.count("M") == 2 and plot.numbers.rows[0][2:] == ["1", "-", "0", "0.4", "0.6"]


def test_what_is_believed_along_a_parameter_follows_the_truth() -> None:
    curves = {plot.title: plot for plot in pictures_of(simulated(40)).curves}
    assert list(curves) == [
        "answer.temperature", "answer.top_p", "answer.method", "answer.n",
        "mix.shares: chat", "mix.shares: list", "mix.shares: evolve",
    ]  # fmt: skip
    temperature = [(float(row[1]), float(row[2])) for row in curves["answer.temperature"].numbers.rows]
    assert abs(max(temperature, key=lambda row: row[1])[0] - 0.9) < 0.25
    methods = {row[1]: float(row[2]) for row in curves["answer.method"].numbers.rows}
    assert max(methods, key=lambda name: methods[name]) == "list"
    for plot in curves.values():
        assert all(float(low) <= float(mean) <= float(high) for _, _, mean, low, high in plot.numbers.rows)


def test_a_lucky_batch_stands_beside_its_re_runs() -> None:
    lucky, other = {"a.t": 0.5}, {"a.t": 1.5}
    trials = facts(
        [result(0, 0.9, settings=lucky), result(1, 0.5, settings=other),
         result(2, 0.6, settings=lucky, kind="incumbent"), result(3, 0.7, settings=lucky, kind="recommended")],
        {"a.t": {"low": 0.0, "high": 2.0}},
    )  # fmt: skip
    plot = drawn(trials)["curse"]
    assert [list(row[:4]) for row in plot.numbers.rows] == [["0", "0.9", "2", "0.65 ± 0.05"], ["1", "0.5", "0", "-"]]
    assert len(places(plot, "incumbent")) == 2 and len(places(plot, "explore")) == 2
    assert plot.text.startswith("The best batch, trial 0, was worth 0.9; run again 2 times, 0.65 ± 0.05 in the mean")


def test_the_cost_of_exploring_is_what_trials_below_the_best_known_took() -> None:
    results = [result(0, 0.5, kind="default"), result(1, 0.4), result(2, None), result(3, 0.8), result(4, 0.6)]
    plot = drawn(facts(results))["exploration"]
    assert plot.text == "$0.0300 of $0.0500 dollars (60.0 %) went into 3 trials below the best known."
    assert {row[0]: list(row[1:]) for row in plot.numbers.rows} == {
        "default": ["1", "10", "8", "100", "$0.0100"],
        "explore": ["4", "40", "32", "400", "$0.0400"],
        "failed": ["1", "10", "8", "100", "$0.0100"],
        "below the best known": ["3", "30", "24", "300", "$0.0300"],
        "all": ["5", "50", "40", "500", "$0.0500"],
    }


@pytest.mark.parametrize(
    ("took", "unit"),
    [
        (TrialTook(10, 8, 100, None), "100 of 200 tokens"),
        (TrialTook(10, 8, 100, 0.0), "100 of 200 tokens"),
        (TrialTook(10), "10 of 20 tickets"),
    ],
)
def test_cost_is_told_in_what_is_known(took: TrialTook, unit: str) -> None:
    plot = drawn(facts([result(0, 0.5), result(1, 0.4)], took=[took, took]))["exploration"]
    assert plot.text.startswith(unit)


def test_classes_over_trials_are_counted_in_cells() -> None:
    plot = drawn(facts([result(0, 0.5), result(1, 0.4)], classes=[{"a": 6, "b": 1}, {"a": 3}]))["coverage"]
    assert [label.text for label in plot.rows] == ["a", "b"]
    assert [(mark.kind, mark.title) for mark in plot.marks] == [
        ("cell s6", "a, trial 0: 6"), ("cell s3", "a, trial 1: 3"),
        ("cell s1", "b, trial 0: 1"), ("cell s0", "b, trial 1: 0"),
    ]  # fmt: skip
    assert plot.numbers.rows == [["a", "9", "6", "3"], ["b", "1", "1", "0"]]


def test_many_classes_and_trials_share_cells_and_none_is_lost() -> None:
    classes = [{f"class {n}": n + 1 for n in range(40)} for _ in range(130)]
    plot = drawn(facts([result(n, 0.5) for n in range(130)], classes=classes))["coverage"]
    assert len(plot.rows) == 25 and plot.rows[-1].text == "others" and len(plot.marks) <= 25 * 60
    assert sum(int(row[1].replace(",", "")) for row in plot.numbers.rows) == 130 * 40 * 41 // 2


WIDE = {f"stage.{'very_long_name_' * 8}{n}": {"low": 0.0, "high": 1.0} for n in range(15)}
ODD: Mapping[str, TrialFacts] = {
    "none": facts([]),
    "one": facts([result(0, 0.5)]),
    "one, waiting": facts([waiting(0)]),
    "all failed": facts([result(n, None) for n in range(5)], SPACE),
    "all equal": facts([result(n, 0.5, settings={"a.t": 1.0}) for n in range(5)], {"a.t": {"low": 0.0, "high": 2.0}}),
    "huge": facts([result(n, v, settings={"a.t": 1.0}) for n, v in enumerate([1e308, -1e308, 0.0])]),
    "tiny": facts([result(n, v, settings={"a.t": float(n)}) for n, v in enumerate([1e-308, 2e-308, 0.0])]),
    "only None": facts([result(n, 0.1 * n, settings={"a.t": None, "a.m": None}) for n in range(5)]),
    "no space": facts([result(n, 0.1 * n, settings={"a.t": 0.1 * n, "a.m": "xy"[n % 2]}) for n in range(5)]),
    "odd settings": facts([result(n, 0.1 * n, settings={"a.p": {"k": [n]}, "a.q": True}) for n in range(5)]),
    "200 trials": simulated(200),
    "15 parameters": simulated(40, raw=WIDE),
}  # fmt: skip


def all_plots(pictures: Pictures) -> Sequence[Plot]:
    return [*pictures.plots, *pictures.curves]


@pytest.mark.parametrize("name", ODD)
def test_whatever_the_trials_are_like_every_mark_has_a_place_in_its_picture(name: str) -> None:
    for plot in all_plots(pictures_of(ODD[name])):
        for mark in plot.marks:
            assert not re.search("nan|inf|None", mark.d), (plot.id, mark)
            assert all(-20 <= float(number) <= 1020 for number in _NUMBERS.findall(mark.d.replace("h.01", ""))), mark
        labels = [*plot.rows, *plot.columns, *plot.heads]
        assert all(isinstance(label, Label) and label.text for label in labels)
        assert all(0 <= label.place <= 100 for label in plot.columns)
        assert not re.search(r"\bnan\b|\binf\b", str(plot.numbers.rows) + plot.text + plot.about)
        assert all(len(row) == len(plot.numbers.head) for row in plot.numbers.rows)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("none", []),
        ("one", ["rewards", "exploration"]),
        ("one, waiting", ["exploration"]),
        ("all failed", ["exploration"]),
    ],
)
def test_there_is_no_picture_of_what_is_not_there(name: str, ids: list[str]) -> None:
    pictures = pictures_of(ODD[name])
    assert ([plot.id for plot in pictures.plots], pictures.curves) == (ids, [])


def test_pictures_and_tables_of_thousands_of_trials_stay_small() -> None:
    trials = facts([result(n, float(n)) for n in range(3001)])
    plot = drawn(trials)["rewards"]
    assert 200 < len(places(plot, "explore")) <= 400 and len(plot.numbers.rows) == 200 and plot.numbers.more == 2801


def test_scales_have_round_values_and_hold_what_they_show() -> None:
    scale: Scale = spanning([0.2, 0.9], 240, 0)
    assert scale.ticks() == [0.2, 0.4, 0.6, 0.8] and 0 < scale(0.9) < scale(0.2) < 240
    assert (scale(-1e9), scale(1e9)) == (240, 0)
    assert Scale(5.0, 5.0, 0, 10)(5.0) == 5.0 and Scale(5.0, 5.0, 0, 10).ticks() == [5.0]
