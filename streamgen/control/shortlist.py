"""The few candidates that the policy likes best, and what it sees of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamgen.control import features
from streamgen.control.candidate_learning import LISTED
from streamgen.control.candidate_policy import scores
from streamgen.control.candidates import stacked
from streamgen.control.encoding import Encoding, Floats, Ints, Points
from streamgen.control.gaussian_process import Inputs, Posterior
from streamgen.control.policy import Parameters
from streamgen.control.success import chances

DIGITS = 4


class Shortlist(NamedTuple):
    """Candidates, their scores, and what the policy sees of each (`own`) and of all that it was shown (`among`)."""

    points: Points
    scores: Floats
    own: Floats
    among: Floats

    def best(self, count: int) -> Ints:
        """The indices of the highest scores."""
        return np.argsort(-self.scores, kind="stable")[:count]

    def only(self, indices: Ints) -> Shortlist:
        """These of them."""
        points = Points(self.points.u[indices], self.points.c[indices])
        return Shortlist(points, self.scores[indices], self.own[indices], self.among)


class Past(NamedTuple):
    """What was tried: told trials (1 in `worked` where there was a reward) and pending ones, and what is planned."""

    told: Points
    worked: Floats
    pending: Points
    incumbent: float
    share: float


class Judge:
    """Looks at candidates as the policy does: beside the set that it was shown first."""

    def __init__(self, policy: Parameters, posterior: Posterior, past: Past) -> None:
        self._policy, self._posterior, self._past = policy, posterior, past
        tried = stacked(past.told, past.pending)
        self._tried = features.Tried(tried.u, tried.c, np.ones(len(tried.u)))
        self._coordinates = np.float64(tried.u.shape[1])

    def begin(self, pool: Points, at: Inputs, compared: int) -> Shortlist:
        """The pool; all candidates, now and later, are compared with the first `compared` of it."""
        opinion = self._opinion(at)
        shown = opinion._replace(means=opinion.means[:, :compared], variances=opinion.variances[:, :compared])
        self._setting = features.setting(shown, np)
        own = self._own(pool, opinion)
        worked = float(self._past.worked.sum())
        progress = features.Progress(self._past.share, worked, float(len(self._past.pending.u)), self._coordinates)
        common = features.common_features(opinion, progress, np)
        self._among = np.round(np.concatenate([own[:compared].mean(0), common]), DIGITS)
        return self._judged(pool, own)

    def more(self, points: Points, at: Inputs) -> Shortlist:
        """Other candidates."""
        return self._judged(points, self._own(points, self._opinion(at)))

    def _opinion(self, at: Inputs) -> features.Opinion:
        hyper, seen = self._posterior.hyper, self._posterior.predict(at)
        incumbent, worst = np.float64(self._past.incumbent), np.float64(self._posterior.worst)
        return features.Opinion(seen.means, seen.variances, np.exp(2 * hyper.noise), hyper.forgetting, incumbent, worst)

    def _own(self, points: Points, opinion: features.Opinion) -> Floats:
        chance = chances(points, self._past.told, self._past.worked)
        near = features.around(points.u, points.c, self._tried, chance, self._coordinates, np)
        # A trial's note holds them, and what is learned from the note is what was seen.
        return np.asarray(np.round(features.own_features(opinion, near, self._setting, np), DIGITS))

    def _judged(self, points: Points, own: Floats) -> Shortlist:
        return Shortlist(points, scores(self._policy, features.beside(own, self._among, np)), own, self._among)


def together(first: Shortlist, second: Shortlist) -> Shortlist:
    """Both lists."""
    points = stacked(first.points, second.points)
    scored = np.concatenate([first.scores, second.scores])
    return Shortlist(points, scored, np.vstack([first.own, second.own]), first.among)


def allowed(encoding: Encoding, listed: Shortlist) -> Shortlist:
    """The best of them that the stages take, best first."""
    order = listed.best(len(listed.scores))
    found: list[int] = []
    for index in order.tolist():
        if encoding.allows(listed.points.u[index], listed.points.c[index]):
            found.append(index)
        if len(found) == LISTED:
            break
    return listed.only(np.array(found, dtype=np.int64))
