"""The family `textloop`: a mock generator of labelled texts, and a real classifier that is trained on them."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from benchmarks.tuning.world import Floats, Settings, State, number
from streamgen.control.agent import Reward
from streamgen.control.space import Float, Space

Ints = npt.NDArray[np.int64]

WORDS, CLASSES, LENGTH, BATCH, TESTED = 80, 3, 12, 60, 400
REPEATS = 8
"""Batches whose mean stands for the true mean reward: its error is a third of a batch's."""
SEARCHED = 240


class TextLoop:
    """Texts are bags of words, drawn from the class's own words at a temperature.

    A low temperature gives few words again and again, a high one wrong labels; the generator favours some classes,
    which two tilts can make up for; a filter keeps the share of the texts that look most like their label.
    """

    def __init__(self, seed: int) -> None:
        self._rng = rng = np.random.default_rng([seed, 3, 61])
        self._seed = seed
        self.space = Space(
            {
                "a.temperature": Float(0.1, 2.0),
                "a.tilt1": Float(-2.0, 2.0),
                "a.tilt2": Float(-2.0, 2.0),
                "a.keep": Float(0.2, 1.0),
            }
        )
        self._logits: Floats = rng.normal(0.0, 1.0, WORDS) + rng.normal(0.0, 0.8, (CLASSES, WORDS))
        self._favour: Floats = np.array([0.0, *rng.normal(0.0, 1.2, CLASSES - 1)])
        self._wrong_from = rng.uniform(0.8, 1.4)
        self._tested = self._texts(np.repeat(np.arange(CLASSES), TESTED // CLASSES), 1.0, rng)
        self._labels: Ints = np.repeat(np.arange(CLASSES), TESTED // CLASSES)

    def state(self) -> State:
        return State()

    def best(self) -> float:
        return _best(self._seed)

    def mean(self, settings: Settings) -> float:
        # The same draws for all settings: their differences are surer than their levels.
        return self.level(self._numbers(settings), REPEATS)

    def play(self, settings: Settings) -> Reward:
        return Reward(value=self._accuracy(self._numbers(settings), self._rng), n=BATCH)

    def _numbers(self, settings: Settings) -> Floats:
        return np.array([number(settings, name) for name in self.space])

    def level(self, point: Floats, repeats: int) -> float:
        """The mean accuracy at a point, over `repeats` batches that are the same for every point."""
        draws = (np.random.default_rng([self._seed, repeat, 71]) for repeat in range(repeats))
        return float(np.mean([self._accuracy(point, rng) for rng in draws]))

    def _accuracy(self, point: Floats, rng: np.random.Generator) -> float:
        from sklearn import config_context
        from sklearn.naive_bayes import MultinomialNB

        temperature, tilt1, tilt2, keep = point
        shares = np.exp(self._favour + np.array([0.0, tilt1, tilt2]))
        meant = rng.choice(CLASSES, BATCH, p=shares / shares.sum())
        texts = self._texts(meant, temperature, rng)
        wrong = 0.6 / (1 + np.exp(-6 * (temperature - self._wrong_from)))
        labels = np.where(rng.random(BATCH) < wrong, rng.integers(CLASSES, size=BATCH), meant)
        kept = self._filtered(texts, labels, keep, rng)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            model = MultinomialNB(alpha=0.3).fit(texts[kept], labels[kept])
            return float((model.predict(self._tested) == self._labels).mean())

    def _texts(self, meant: Ints, temperature: float, rng: np.random.Generator) -> Ints:
        shares = np.exp((self._logits - self._logits.max(1, keepdims=True)) / temperature)
        shares /= shares.sum(1, keepdims=True)
        return np.asarray(rng.multinomial(LENGTH, shares[meant]))

    def _filtered(self, texts: Ints, labels: Ints, keep: float, rng: np.random.Generator) -> Ints:
        likely = texts @ (self._logits - self._logits.mean(0)).T
        margin = likely[np.arange(BATCH), labels] - likely.mean(1) + rng.normal(0.0, 3.0, BATCH)
        return np.argsort(-margin)[: max(int(keep * BATCH), CLASSES)]


def textloop(seed: int) -> TextLoop:
    """A mock generator with class balance, temperature -> label noise and diversity, a filter; a real classifier."""
    return TextLoop(seed)


@cache
def _best(seed: int) -> float:
    """By search: many points with few repeats, then few points with many."""
    world, rng = TextLoop(seed), np.random.default_rng([seed, 67])
    low, high = (np.array([getattr(p, end) for p in world.space.values()]) for end in ("low", "high"))
    points = low + rng.random((SEARCHED, len(low))) * (high - low)
    for repeats, kept, step in ((1, 24, 0.0), (3, 8, 0.05), (REPEATS, 1, 0.03)):
        near = points[:, None] + step * (high - low) * rng.standard_normal((len(points), 5 if step else 0, len(low)))
        points = np.vstack([points, np.clip(near.reshape(-1, len(low)), low, high)])
        levels = np.array([world.level(point, repeats) for point in points])
        points = points[np.argsort(-levels)[:kept]]
    return float(levels.max())
