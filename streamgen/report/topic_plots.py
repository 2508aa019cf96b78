"""Pictures of topics: the share of each, and how the shares changed from the first record to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from streamgen.record import Value
from streamgen.report.bars import Bar, Frame, level_bars
from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, area
from streamgen.report.study import both_ends
from streamgen.report.text import number, shown

_APART = 6  # topics with a colour of their own; the rest is one
_HEIGHT = 150
_REST = "all others"


def topic_plots(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """The topics' shares; of several windows of records also over time. Nothing of what tells no topics."""
    topics, windows = told.get("topics"), told.get("over_time")
    if not isinstance(topics, list) or not isinstance(windows, list) or not _are_topics(topics):
        return []
    names = [shown(", ".join(map(str, topic["words"][:4])), 60) for topic in topics]
    bars = [
        Bar(name, topic["share"], f"{100 * topic['share']:.0f} %") for name, topic in zip(names, topics, strict=True)
    ]
    about = "What the records are about: the words of each topic, and its share of all."
    shares = level_bars(frame._replace(about=about), bars, ("topic", "share"))
    return [shares, *([_over_time(frame, names, windows)] if len(windows) > 1 else [])]


def _are_topics(topics: Sequence[Value]) -> bool:
    return bool(topics) and all(isinstance(topic, Mapping) and {"words", "share"} <= topic.keys() for topic in topics)


def _over_time(frame: Frame, names: Sequence[str], windows: Sequence[Mapping[str, Value]]) -> Plot:
    """Bands, one upon the other; each window of records stands at its middle."""
    shares = [_few(window["shares"]) for window in windows]
    few = [*names[:_APART], *([_REST] if len(names) > _APART else [])]
    ends = [0, *accumulate(int(window["records"]) for window in windows)]
    x, y = Scale(0.0, ends[-1], 0.0, WIDTH), Scale(0.0, 1.0, _HEIGHT, 0)
    at = [0.0, *(x((one + other) / 2) for one, other in pairwise(ends)), WIDTH]
    levels = [[0.0, *accumulate(row)] for row in shares]
    levels = [levels[0], *levels, levels[-1]]  # level from the first middle to the left end, and likewise to the right
    bands = [
        Mark(area([(place, y(row[n + 1])) for place, row in zip(at, levels, strict=True)],
                  [(place, y(row[n])) for place, row in zip(at, levels, strict=True)]), _kind(n), name)
        for n, name in enumerate(few)
    ]  # fmt: skip
    rows = [[f"{number(first + 1)} to {number(last)}", *(f"{100 * share:.0f} %" for share in row)]
            for (first, last), row in zip(pairwise(ends), shares, strict=True)]  # fmt: skip
    return Plot(
        id="",
        title=f"{frame.title} over time",
        about="The share of each topic, from the first record to the last.",
        text=f"{few[0]}: {100 * shares[0][0]:.0f} % of the first records, {100 * shares[-1][0]:.0f} % of the last.",
        height=_HEIGHT,
        marks=bands,
        rows=[Label(y(share), f"{100 * share:.0f} %") for share in (0.0, 0.5, 1.0)],
        columns=[Label(0, "1"), Label(50, number(ends[-1] // 2)), Label(100, number(ends[-1]))],
        legend=[(_kind(n), name) for n, name in enumerate(few)],
        numbers=Numbers(("records", *few), *both_ends(rows)),
    )


def _few(shares: Sequence[float]) -> list[float]:
    """The first shares, and the sum of all others."""
    return [*shares[:_APART], *([sum(shares[_APART:])] if len(shares) > _APART else [])]


def _kind(n: int) -> str:
    return f"cell s{_APART - n}"
