"""The agent `ensemble`: a bandit over agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from random import Random
from typing import Annotated

import msgspec

from streamgen.control.agent import Agent, Observation, Proposal, Reward, Trial
from streamgen.control.build import make_agent
from streamgen.control.space import Space
from streamgen.record import Value
from streamgen.settings import Settings


class EnsembleSettings(Settings, frozen=True, kw_only=True):
    """The members by their names, the options of each, and how much a reward counts after the next one.

    `memory` below 1 lets a member that was slow to begin with come back.
    """

    agents: tuple[str, ...] = ("surrogate", "bandit", "random_search")
    options: Mapping[str, Mapping[str, Value]] = msgspec.field(default_factory=dict)
    memory: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9

    def check(self) -> None:
        """Members are told apart by their names."""
        if not self.agents or len(set(self.agents)) < len(self.agents):
            raise ValueError("agents must name at least one agent, and none twice")
        if "ensemble" in self.agents:
            raise ValueError("agents cannot hold the ensemble itself")
        if unknown := sorted(set(self.options) - set(self.agents)):
            raise ValueError(f"options are given for {', '.join(unknown)}, which agents does not name")


class Credit(msgspec.Struct):
    """What the trials of one member were worth: sums of weights and rewards, older ones counting less."""

    weight: float = 0.0
    total: float = 0.0


class Ensemble:
    """Each trial is asked of one member, drawn by Thompson sampling over what the members' own trials were worth.

    All members are told all rewards, so that each learns from the others' trials too. The recommendation is that of
    the member whose trials are worth most.
    """

    def __init__(self, space: Space, seed: int, settings: EnsembleSettings) -> None:
        self._seed, self._memory = seed, settings.memory
        self._members: dict[str, Agent] = {
            name: make_agent(name, settings.options.get(name, {}), space, seed, "$.controller.options.agents",
                             f"$.controller.options.options.{name}")
            for name in settings.agents
        }  # fmt: skip
        self._credits = {name: Credit() for name in self._members}
        self._all, self._squares = Credit(), 0.0  # of all members' trials; squares of rewards, weighted alike

    def ask(self, observation: Observation) -> Proposal:
        """The proposal of the member with the highest draw; the note tells whose it is."""
        rng = Random(f"{self._seed}/{observation.step}")
        name = max(self._members, key=lambda name: self._worth(name) + self._doubt(name) * rng.gauss(0.0, 1.0))
        pending = tuple(_seen_by(name, trial) for trial in observation.pending)
        proposal = self._members[name].ask(msgspec.structs.replace(observation, pending=pending))
        return msgspec.structs.replace(proposal, note={"agent": name, "note": proposal.note})

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Tell every member, and credit the one that proposed the trial."""
        for name, member in self._members.items():
            member.tell(_seen_by(name, trial), reward)
        own = self._credits.get(str(trial.note.get("agent")))
        if reward.value is not None and own is not None:
            self._forget_a_little()
            for credit in (own, self._all):
                credit.weight += 1.0
                credit.total += reward.value
            self._squares += reward.value**2

    def forget(self, trial: Trial) -> None:
        """No member waits for the trial any longer."""
        for name, member in self._members.items():
            member.forget(_seen_by(name, trial))

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with these rewards, all members alike."""
        for member in self._members.values():
            member.warm_start(told)

    def recommend(self) -> Mapping[str, Value] | None:
        """What the most successful member recommends, or the next one where it cannot say."""
        ranked = sorted(self._members, key=self._worth, reverse=True)
        found = (self._members[name].recommend() for name in ranked)
        return next((settings for settings in found if settings is not None), None)

    def state_dict(self) -> dict[str, Value]:
        """The members' states, and what their trials were worth."""
        return {
            "members": {name: dict(member.state_dict()) for name, member in self._members.items()},
            "credits": msgspec.to_builtins(self._credits),
            "all": msgspec.to_builtins(self._all),
            "squares": self._squares,
        }

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over a `state_dict` of the same members."""
        states = msgspec.convert(state.get("members"), dict[str, dict[str, Value]])
        if states.keys() != self._members.keys():
            raise ValueError(f"the state is of {', '.join(states)}, the ensemble of {', '.join(self._members)}")
        for name, member in self._members.items():
            member.load_state_dict(states[name])
        self._credits = msgspec.convert(state.get("credits"), dict[str, Credit])
        self._all = msgspec.convert(state.get("all"), Credit)
        self._squares = msgspec.convert(state.get("squares"), float)

    def _worth(self, name: str) -> float:
        """The posterior mean of a member's rewards: the mean of all counts as one reward."""
        credit, overall = self._credits[name], self._all.total / self._all.weight if self._all.weight else 0.0
        return (credit.total + overall) / (credit.weight + 1.0)

    def _doubt(self, name: str) -> float:
        """The posterior standard deviation; 1 before rewards tell how much they vary."""
        if self._all.weight < 2:
            return 1.0
        mean = self._all.total / self._all.weight
        spread = sqrt(max(self._squares / self._all.weight - mean**2, 0.0))
        return spread / sqrt(self._credits[name].weight + 1.0)

    def _forget_a_little(self) -> None:
        for credit in (*self._credits.values(), self._all):
            credit.weight *= self._memory
            credit.total *= self._memory
        self._squares *= self._memory


def _seen_by(name: str, trial: Trial) -> Trial:
    """The trial with the member's own note; another's trials have none, and no likelihood under its policy."""
    if trial.note.get("agent") == name:
        return msgspec.structs.replace(trial, note=trial.note["note"])
    return msgspec.structs.replace(trial, note={}, log_probability=None)
