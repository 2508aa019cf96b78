"""The families `mixture` and `mixture-policy`: a pool of four classes that forgets, and a demand that walks."""

from __future__ import annotations

import numpy as np

from benchmarks.tuning.world import Floats, Settings, State, number
from streamgen.control.agent import Reward
from streamgen.control.space import Float, Space

CLASSES = ("c0", "c1", "c2", "c3")
KEPT = 0.3
"""The share of the pool that outlives a batch."""
NOISE = 0.03
WALK = 0.45
"""The step of the logits of the demand; they are drawn back by 5 % a batch."""


class Mixture:
    """The reward is the quality of the pool after the batch: how well it serves the demand for each class.

    A batch brings `yield_i * weight_i` of class i. Demand d is served to `sum d_i (1 - exp(-pool_i / d_i))`.
    """

    def __init__(self, seed: int) -> None:
        self._rng = rng = np.random.default_rng([seed, 4, 59])
        self.space = Space({f"a.{name}": Float(0.0, 1.0) for name in CLASSES})
        self._yields: Floats = rng.uniform(0.4, 1.6, len(CLASSES))
        self._logits: Floats = rng.normal(0.0, WALK / 0.3, len(CLASSES))
        self._pool: Floats = rng.dirichlet(np.full(len(CLASSES), 0.7))

    def state(self) -> State:
        demand = self._demand()
        return State(_named(self._pool), _named(demand - self._pool))

    def best(self) -> float:
        return self._quality(self._filled())

    def mean(self, settings: Settings) -> float:
        return self._quality(self._weights(settings))

    def play(self, settings: Settings) -> Reward:
        weights = self._weights(settings)
        value = self._quality(weights) + NOISE * float(self._rng.standard_normal())
        self._pool = KEPT * self._pool + self._yields * weights
        self._logits = 0.95 * self._logits + self._rng.normal(0.0, WALK, len(CLASSES))
        return Reward(value=value, n=32)

    def _weights(self, settings: Settings) -> Floats:
        raw = np.array([number(settings, f"a.{name}") for name in CLASSES])
        return np.asarray((raw + 1e-9) / (raw + 1e-9).sum())

    def _demand(self) -> Floats:
        shares = np.exp(self._logits - self._logits.max())
        demand: Floats = shares / shares.sum()
        return demand

    def _quality(self, weights: Floats) -> float:
        demand = self._demand()
        pool = KEPT * self._pool + self._yields * weights
        return float((demand * (1 - np.exp(-2 * pool / demand))).sum() / (1 - np.exp(-2.0)))

    def _filled(self) -> Floats:
        """The best weights: the quality is concave, and one price of weight (found by halving) balances the classes."""
        demand, kept, gain = self._demand(), KEPT * self._pool, self._yields
        low, high = -20.0, 5.0
        for _ in range(60):
            price = (low + high) / 2
            weights = np.maximum(0.0, (demand * (np.log(2 * gain) - price) / 2 - kept) / gain)
            low, high = (price, high) if weights.sum() > 1 else (low, price)
        return np.asarray(weights / weights.sum())


class MixturePolicy(Mixture):
    """The same worlds through the four parameters of a policy that looks at the state."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.space = Space(
            {
                "a.demand": Float(-2.0, 2.0),
                "a.deficit": Float(-6.0, 6.0),
                "a.coverage": Float(-6.0, 6.0),
                "a.constant": Float(-2.0, 2.0),
            }
        )

    def _weights(self, settings: Settings) -> Floats:
        demand = self._demand()
        score = (
            number(settings, "a.demand") * np.log(demand)
            + number(settings, "a.deficit") * (demand - self._pool)
            + number(settings, "a.coverage") * self._pool
            + number(settings, "a.constant") * np.array([1.0, -1.0, 0.0, 0.0])
        )
        weights = np.exp(score - score.max())
        return np.asarray(weights / weights.sum())


def _named(values: Floats) -> dict[str, float]:
    return dict(zip(CLASSES, values.tolist(), strict=True))


def mixture(seed: int) -> Mixture:
    """The weights of the classes themselves."""
    return Mixture(seed)


def mixture_policy(seed: int) -> MixturePolicy:
    """A state-dependent policy over the same worlds."""
    return MixturePolicy(seed)
