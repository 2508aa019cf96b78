"""Who takes part, by name."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import msgspec

from benchmarks.tuning.peers import Cma, gp, tpe
from benchmarks.tuning.play import MakeAgent
from benchmarks.tuning.world import World
from streamgen import registry
from streamgen.control.agent import Agent
from streamgen.errors import UnknownName


def ours(name: str, world: World, seed: int, options: dict[str, object] | None = None) -> Agent:
    """An agent of the registry, with its default settings but for `options`."""
    factory = registry.find("agents", name)
    settings = registry.settings_type(factory)
    if settings is None and options:
        raise UnknownName(f"option of the agent {name!r}", next(iter(options)), ())
    given = [] if settings is None else [msgspec.convert(options or {}, settings)]
    agent: Agent = factory(world.space, seed, *given)
    return agent


class Contender(NamedTuple):
    """How the agent is made, and whose code its games depend on (None: ours, which are always played anew)."""

    make: MakeAgent
    is_peer: bool


PEERS: dict[str, MakeAgent] = {
    "optuna-tpe": tpe,
    "optuna-tpe-2": partial(tpe, startup=2),
    "optuna-tpe-5": partial(tpe, startup=5),
    "optuna-gp": gp,
    "cma-es": Cma,
}


def contender(name: str) -> Contender:
    """A peer, or an agent of ours, with options behind a colon: `surrogate:{"horizon": 10}`."""
    if name in PEERS:
        return Contender(PEERS[name], is_peer=True)
    agent, _, options = name.partition(":")
    if agent not in registry.names("agents"):
        raise UnknownName("contender", agent, [*PEERS, *registry.names("agents")])
    given = msgspec.json.decode(options, type=dict[str, object]) if options else None
    return Contender(lambda world, seed: ours(agent, world, seed, given), is_peer=False)
