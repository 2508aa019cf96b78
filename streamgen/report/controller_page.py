"""All pictures of a run's controller, in the order of the page."""

from __future__ import annotations

from typing import NamedTuple

from streamgen.report.cost_plots import cost_plot, coverage_plot
from streamgen.report.plot import Plot
from streamgen.report.rerun_plot import curse_plot
from streamgen.report.reward_plots import regret_plot, reward_plot
from streamgen.report.setting_plots import belief_plots, explored_plot
from streamgen.report.study import Study
from streamgen.report.trials import TrialFacts


class Pictures(NamedTuple):
    """The pictures; `curves` stand together, one a parameter, and `hidden_curves` are left out."""

    plots: list[Plot]
    curves: list[Plot]
    hidden_curves: int


def pictures_of(facts: TrialFacts) -> Pictures:
    """What there is to draw of the trials; nothing where there are none."""
    if not facts.results:
        return Pictures([], [], 0)
    study = Study(facts)
    drawn = [reward_plot, regret_plot, explored_plot, curse_plot, cost_plot, coverage_plot]
    plots = [plot for draw in drawn if (plot := draw(study)) is not None]
    curves = belief_plots(study)
    return Pictures(plots, curves, len(study.axes) - len(curves))
