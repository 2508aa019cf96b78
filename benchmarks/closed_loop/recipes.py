"""The two recipes of an arm: one that tunes until its tokens are used up, one that runs chosen settings again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import msgspec

from streamgen.control.space import by_stage
from streamgen.generate.labelled_settings import Method
from streamgen.record import Value

DEFAULT: Mapping[str, Value] = {
    "write.method": "zero_shot",
    "write.temperature": 1.0,
    "write.top_p": 0.95,  # llama.cpp's own
    "keep.share": 1.0,
}
SPACE: Mapping[str, Value] = {
    "write.method": {"choices": list(get_args(Method))},
    "write.temperature": {"low": 0.2, "high": 1.5},
    "write.top_p": {"low": 0.5, "high": 1.0},
    "keep.share": {"low": 0.3, "high": 1.0},
}
SLOTS = 16
LOCAL: Mapping[str, Value] = {"provider": "local", "model": "smollm2-135m", "context": 512, "slots": SLOTS}
_ENDLESS = 10**6
_AGAIN = 10_000  # seeds of runs that measure what was chosen, apart from those that chose


class Setting(msgspec.Struct, frozen=True):
    """What all arms share: an arm's tokens, a batch's tickets, how often its choice is run again, and the model."""

    tokens: int = 200_000
    batch: int = 64
    again: int = 5
    model: Mapping[str, Value] = msgspec.field(default_factory=lambda: LOCAL)


def tuning(
    agent: tuple[str, Mapping[str, Value]], folder: Path, phrase: str, seed: int, setting: Setting
) -> dict[str, Value]:
    """A run that explores, trial by trial, from the default settings on."""
    reward = {"type": "classifier", "validation": str(folder / "validation.jsonl")}
    return {
        **_shared(DEFAULT, folder, phrase, setting),
        "seed": seed,
        "run": {"accept": _ENDLESS, "budget": {"tokens": setting.tokens}, "tickets_in_flight": SLOTS + 4},
        "controller": {
            "agent": agent[0],
            "options": agent[1],
            "batch": setting.batch,
            "trials": _ENDLESS,
            "recheck": 0,
            "reward": reward,
            "space": SPACE,
        },
    }


def again(settings: Mapping[str, Value], folder: Path, phrase: str, seed: int, setting: Setting) -> dict[str, Value]:
    """A run of some batches with the same settings."""
    tickets = setting.batch * setting.again
    return {
        **_shared({**DEFAULT, **settings}, folder, phrase, setting),
        "seed": _AGAIN + seed,
        "source": {"type": "list", "rows": [{}] * tickets},
    }


def _shared(settings: Mapping[str, Value], folder: Path, phrase: str, setting: Setting) -> dict[str, Value]:
    stages, seeds = by_stage(settings), str(folder / "seeds.jsonl")
    write = {"name": "write", "type": "labelled", "model": "main", "seeds": seeds, "task": phrase}
    keep = {"name": "keep", "type": "closest", "seeds": seeds}
    return {
        "name": "closed-loop",
        "models": {"main": setting.model},
        "stages": [{**write, **stages["write"]}, {**keep, **stages["keep"]}],
    }
