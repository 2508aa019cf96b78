"""How likely a batch is to bring a reward at all."""

from __future__ import annotations

import numpy as np

from streamgen.control.encoding import Floats, Points

REACH = 0.07  # of the range: at this distance a trial counts 0.6; where batches fail has sharp borders
OTHER_CHOICE = 0.3  # how much a trial with another choice counts
PRIOR = 3.0  # how many trials the rate of all is worth


def chances(at: Points, tried: Points, worked: Floats) -> Floats:
    """The probability of success at each point: that of the trials nearby, drawn towards that of all.

    `worked` holds 1 for a trial that had a reward and 0 for one that failed. A Beta posterior whose counts are
    weighted by a kernel (Goetschalckx, Poupart and Hoey 2011, "Continuous correlated beta processes").
    """
    overall = (worked.sum() + 1) / (len(worked) + 1)
    overall = min(float(overall), 1.0)
    squares = ((at.u[:, None] - tried.u[None]) ** 2).sum(2)
    differ = (at.c[:, None] != tried.c[None]).sum(2)
    weights = np.exp(-0.5 * squares / REACH**2) * OTHER_CHOICE**differ
    return np.asarray((weights @ worked + PRIOR * overall) / (weights.sum(1) + PRIOR))
