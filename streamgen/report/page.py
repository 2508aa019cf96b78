"""The page itself: facts, put into the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from streamgen.control.results import TrialResult
from streamgen.errors import RecipeError
from streamgen.files import replacing
from streamgen.masking import mask
from streamgen.record import Value
from streamgen.report.charts import blocks_of
from streamgen.report.controller_page import pictures_of
from streamgen.report.data_card import limits_of, sections_of, stated
from streamgen.report.facts import Facts, facts_of
from streamgen.report.metric_plots import metric_plots
from streamgen.report.text import breakable, clean, cost, duration, forms, number, percent, rounded, shown, usd, when
from streamgen.report.time_plots import measure_plots, time_plots
from streamgen.report.trials import TrialFacts, TrialTook

if TYPE_CHECKING:
    from jinja2 import Template

_SAMPLE_CHARACTERS = 8000  # of one sample: 50 of them leave the page below 2 MB
_TRIALS = 200  # rows of the table, half from each end


def write_report(directory: Path, out: Path | None = None) -> Path:
    """The page that was written: `report.html` in the run's directory, or `out`.

    It is one file that loads nothing. The run may go on meanwhile, have crashed, or have no records yet. Raises
    RecipeError where there is no run, or the page cannot be written.
    """
    directory = Path(directory)
    out = directory / "report.html" if out is None else Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"the report is an HTML page: give it a name that ends in .html, not {out.name!r}")
    page = render(facts_of(directory))
    with replacing(out) as partial:
        partial.write_text(page, encoding="utf-8")
    return out


def render(facts: Facts) -> str:
    """The page as HTML."""
    metrics = [block for name, result in facts.metrics.items() for block in blocks_of(name, result)]
    pictures = pictures_of(facts.trials)
    return _template().render(
        facts=facts,
        longest=max((stage.received for stage in facts.stages), default=0) or 1,
        blocks=metrics,
        metric_plots=metric_plots(facts.metrics),
        over_time=time_plots(facts.moments),
        measures=measure_plots(facts.moments),
        plots=pictures.plots,
        curves=pictures.curves,
        hidden_curves=pictures.hidden_curves,
        best=_best(facts.trials.results),
        trials=_shown_trials(facts.trials),
        hidden_trials=max(0, len(facts.trials.results) - _TRIALS),
        samples=[(sample, sample_texts(sample.columns)) for sample in facts.samples],
        card=sections_of(facts),
        stated={name: stated(facts, name) for name in ("description", "sources", "license", "contact")},
        limits=limits_of(facts),
        recipe=mask(shown(facts.recipe, 20_000)),
    )


def sample_texts(columns: Mapping[str, Value]) -> dict[str, str]:
    """The columns as texts of a few thousand characters together, the first ones most fully."""
    texts: dict[str, str] = {}
    left = _SAMPLE_CHARACTERS
    for name, value in list(columns.items())[:40]:
        texts[shown(name, 80)] = text = shown(value, max(left // 2, 100))
        left -= len(text)
    return texts


def _best(results: Sequence[TrialResult]) -> TrialResult | None:
    """The trial with the highest reward."""
    told = [(value, place) for place, result in enumerate(results) if (value := result.value) is not None]
    return results[max(told, key=itemgetter(0))[1]] if told else None


def _shown_trials(trials: TrialFacts) -> list[tuple[TrialResult, TrialTook]]:
    rows = list(zip(trials.results, trials.took, strict=True))
    return rows if len(rows) <= _TRIALS else [*rows[: _TRIALS // 2], *rows[-_TRIALS // 2 :]]


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("streamgen", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number, "percent": percent, "cost": cost, "duration": duration, "when": when, "shown": shown,
        "forms": forms, "usd": usd, "rounded": rounded, "breakable": breakable,
    }  # fmt: skip
    return environment.get_template("report.html")
