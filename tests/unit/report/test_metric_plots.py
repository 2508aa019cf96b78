"""Pictures of metrics: each shape is known by what it tells, whoever's metric it is, and drawn with its numbers."""

from __future__ import annotations

import re

import pytest

from streamgen.metrics.class_balance import ClassBalance, ClassBalanceSettings
from streamgen.metrics.lengths import Lengths, LengthsSettings
from streamgen.record import Record, Value
from streamgen.report.bars import Frame, upright_bars
from streamgen.report.metric_plots import metric_plots
from streamgen.report.plot import Plot


def rights(plot: Plot) -> list[float]:
    """Where the level bars end."""
    return [float(re.findall(r"H([\d.]+)", mark.d)[0]) for mark in plot.marks if mark.kind == "count"]


def one(metrics: dict[str, Value]) -> Plot:
    (plot,) = metric_plots(metrics)
    return plot


def test_counts_are_bars_with_the_greatest_first_and_shares_of_all() -> None:
    plot = one({"mine": {"by": {"label": {"a": 1, "b": 3}}}})
    assert (plot.id, plot.title, plot.about) == ("metric-0", "mine: by: label", "4 in 2 kinds.")
    assert [row.text for row in plot.rows] == ["b", "a"] and rights(plot) == [660, 220]
    assert [text for *_, text in plot.inside] == ["3 (75 %)", "1 (25 %)"]
    assert plot.numbers.rows == [["b", "3 (75 %)"], ["a", "1 (25 %)"]]


def test_more_counts_than_have_room_are_in_the_table() -> None:
    plot = one({"mine": {"counts": {f"value {n}": 1_000_000 + n for n in range(300)}}})
    assert (len(plot.rows), len(plot.numbers.rows), plot.numbers.more) == (16, 200, 100)
    assert "284 smaller ones are in the table" in plot.about and plot.rows[0].text == "value 299"
    assert {len(text) for *_, text in plot.inside} == {9}, "the share is left out where it would not fit"


def test_a_spread_is_a_histogram_with_its_median_and_nine_tenths() -> None:
    lengths = Lengths(LengthsSettings(column="text"))
    lengths.update([Record(columns={"text": "word " * n}) for n in (1, 1, 2, 4)])
    plot, _ = metric_plots({"lengths": lengths.result()})
    assert plot.title == "lengths: words" and plot.about == "How the records spread; the mean is 2."
    assert plot.numbers.rows == [["1", "2"], ["2", "1"], ["4", "1"]]
    assert [mark.kind for mark in plot.marks] == ["axis", "spread", "count", "count", "count", "mean"]
    assert plot.text == "Most records, 2, stand at 1. Nine tenths lie from 1 to 4, the median is 1."


def test_bars_of_a_histogram_stand_where_their_numbers_are() -> None:
    plot = upright_bars(Frame("", "", ""), {0.0: 1, 1.0: 0, 9.0: 2}, ())
    assert [mark.d.partition("H")[0] for mark in plot.marks if mark.kind == "count"] == ["M0 72.6", "M900 15.2"]


def test_shares_fill_a_scale_to_one_and_what_is_within_them_is_drawn_too() -> None:
    balance = ClassBalance(ClassBalanceSettings(column="label"))
    balance.update([Record(columns={"label": label}) for label in "aab"])
    shares, counts = metric_plots({"class_balance": balance.result()})
    assert rights(shares) == pytest.approx([660 * 0.9183, 220, 440], abs=0.1)
    assert (counts.title, rights(counts)) == ("class_balance: counts", [660, 330])


def test_duplicates_are_those_that_are_said_already() -> None:
    plot = one({"duplicates": {"records": 10, "distinct": 8, "share": 0.8}})
    assert plot.numbers.rows == [["distinct", "8 (80 %)"], ["said already", "2 (20 %)"]]
    assert metric_plots({"duplicates": {"records": 0, "distinct": 0, "share": None}}) == []


def test_topics_have_shares_and_bands_over_time_of_which_each_fills_the_height() -> None:
    topics = [{"words": [f"word{n}"], "share": 0.125} for n in range(8)]
    windows = [{"records": 30, "shares": [0.125] * 8}, {"records": 10, "shares": [1.0, *[0.0] * 7]}]
    shares, bands = metric_plots({"topics": {"topics": topics, "entropy": 1.0, "over_time": windows, "records": 40}})
    assert (len(shares.marks), shares.numbers.rows[0]) == (9, ["word0", "12 %"])
    assert bands.numbers.head == ("records", *(f"word{n}" for n in range(6)), "all others")
    assert bands.numbers.rows == [["1 to 30", *["12 %"] * 6, "25 %"], ["31 to 40", "100 %", *["0 %"] * 6]]
    assert [mark.kind for mark in bands.marks] == [f"cell s{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert bands.marks[0].d == "M0 131.2L375 131.2L875 0L1000 0L1000 150L875 150L375 150L0 150Z"
    assert bands.marks[-1].d.startswith("M0 0L375 0L875 0L1000 0")
    one_window = {"topics": topics, "over_time": windows[:1]}
    assert len(metric_plots({"topics": one_window})) == 1


@pytest.mark.parametrize(
    "result",
    [
        None, 3.0, "text", [1, 2], {}, {"ratio": 1.5, "characters": 10}, {"vendi": None, "rke": None},
        {"topics": [], "over_time": []}, {"topics": [1], "over_time": [2]}, {"counts": {"a": 0, "b": 0}},
        {"counts": {"a": -1, "b": 2}}, {"counts": {"a": True, "b": False}}, {"counts": {"a": 2**70, "b": 1}},
        {"words": {"histogram": {}, "p5": None, "p50": None, "p95": None}}, {"records": "x", "distinct": None},
    ],
)  # fmt: skip
def test_what_has_no_shape_has_no_picture(result: Value) -> None:
    assert metric_plots({"mine": result}) == []


def test_a_histogram_of_words_is_drawn_as_counts() -> None:
    assert one({"mine": {"histogram": {"short": 1, "long": 2}}}).numbers.rows == [
        ["long", "2 (67 %)"],
        ["short", "1 (33 %)"],
    ]


def test_a_picture_without_a_spread_of_values_can_be_drawn() -> None:
    spread = {"mean": 5.0, "p5": 5, "p50": 5, "p95": 5, "histogram": {"5": 3}}
    assert one({"mine": spread}).numbers.rows == [["5", "3"]]
