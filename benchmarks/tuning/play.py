"""One game: an agent plays a world for some batches, and its regret is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from benchmarks.tuning.world import World
from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.record import Value

BATCHES = 30
LOOKED_AT = (5, 10, 20, 30)
"""After so many batches the recommended settings are judged."""


class Tuner(Protocol):
    """What a game needs of an agent, or of a peer."""

    def ask(self, observation: Observation) -> Proposal:
        """What to try next."""
        ...

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Take a trial's reward."""
        ...

    def recommend(self) -> Mapping[str, Value] | None:
        """The best settings, as far as is known."""
        ...


MakeAgent = Callable[[World, int], Tuner]


class Game(msgspec.Struct, frozen=True):
    """What a game brought: the regret of every batch, that of the recommendation after some, and the CPU used."""

    online: tuple[float, ...]
    simple: dict[int, float]
    cpu_ms: float  # of asking and telling, a batch

    def online_at(self, batches: int) -> float:
        """The mean regret of the first batches."""
        return float(np.mean(self.online[:batches]))


class _Player:
    """Keeps trials out, and measures what the agent's own work costs."""

    def __init__(self, agent: Tuner, world: World) -> None:
        self.agent, self.world, self.cpu_s = agent, world, 0.0
        self.out: list[tuple[Trial, Reward]] = []

    def issue(self, step: int) -> float:
        """Ask, and play what was answered; the regret of it."""
        state = self.world.state()
        seen = Observation(
            step=step,
            pending=tuple(trial for trial, _ in self.out),
            coverage=state.coverage,
            deficit=state.deficit,
        )
        started = time.process_time()
        proposal = self.agent.ask(seen)
        self.cpu_s += time.process_time() - started
        trial = Trial(
            id=step,
            first_ticket=32 * step,
            tickets=32,
            settings=proposal.settings,
            kind="explore",
            note=proposal.note,
            log_probability=proposal.log_probability,
        )
        regret = self.world.best() - self.world.mean(trial.settings)
        self.out.append((trial, self.world.play(trial.settings)))
        return regret

    def finish(self, index: int) -> None:
        """Tell the reward of one of the trials that are out."""
        trial, reward = self.out.pop(index)
        started = time.process_time()
        self.agent.tell(trial, reward)
        self.cpu_s += time.process_time() - started

    def recommended(self) -> float:
        """The regret of the recommendation now; where there is none, that of the first settings."""
        settings = self.agent.recommend()
        return self.world.best() - self.world.mean(settings) if settings is not None else float("nan")


def play(make: MakeAgent, world: World, seed: int, *, batches: int = BATCHES, in_flight: int = 1) -> Game:
    """Play `batches` batches; with several in flight a random one of them ends first."""
    player, order = _Player(make(world, seed), world), np.random.default_rng([seed, 73])
    online, simple = [], {}
    for step in range(batches):
        while len(player.out) >= in_flight:
            player.finish(int(order.integers(len(player.out))))
        if step in LOOKED_AT:
            simple[step] = player.recommended()
        online.append(player.issue(step))
    while player.out:
        player.finish(0)
    simple[batches] = player.recommended()
    return Game(tuple(online), simple, 1000 * player.cpu_s / batches)
