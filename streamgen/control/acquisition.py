"""What candidates are worth: the reward that is expected of them, and what it teaches for later."""

from __future__ import annotations

import numpy as np

from streamgen.control.encoding import Floats
from streamgen.control.gaussian_process import Inputs, Posterior

REFERENCES = 20
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def worth(posterior: Posterior, at: Inputs, horizon: float) -> Floats:
    """The mean reward, and `horizon` times what knowing it adds to the best mean (Ryzhov, Powell and Frazier 2012).

    The mean over the particles, in units of the standardised rewards.
    """
    seen = posterior.predict(at)
    references = np.argsort(-seen.means.mean(0))[:REFERENCES]
    between = posterior.between(seen, references)
    noise = np.exp(2 * posterior.hyper.noise)
    gained = knowledge_gradient(seen.means, seen.variances, between, seen.means[:, references], noise)
    return np.asarray((seen.means + horizon * gained).mean(0))


def knowledge_gradient(means: Floats, variances: Floats, between: Floats, levels: Floats, noise: Floats) -> Floats:
    """How much the best posterior mean is expected to rise by one reward at each candidate (particles, candidates).

    The best is sought among references (`levels` their means, `between` the covariances) and the candidate itself
    (Frazier, Powell and Dayanik 2009), by Gauss-Hermite quadrature over the reward.
    """
    spread = np.sqrt(variances + noise[:, None])
    slopes, own = between / spread[..., None], variances / spread
    reached = np.zeros_like(means)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        best = (levels[:, None, :] + node * slopes).max(2)
        reached += weight * np.maximum(best, means + node * own)
    return np.asarray(reached - np.maximum(levels.max(1)[:, None], means))
