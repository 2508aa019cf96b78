"""`python -m benchmarks meta_training`: the candidate policy from scratch, with its provenance."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.meta_training.process import banks
from benchmarks.meta_training.training import Plan, Progress, Score, score, taught
from benchmarks.suite import machine
from streamgen.control.candidate_policy import WEIGHTS, flattened, load
from streamgen.control.policy import Parameters

PACKAGES = ("numpy", "jax", "flax", "optax")
JUDGED_ON = 1000


class Provenance(msgspec.Struct, frozen=True):
    """Where weights come from, and how good they are; `prior` is the score without any training."""

    date: str
    machine: dict[str, str | int]
    versions: dict[str, str]
    plan: Plan
    curve: list[Progress]
    prior: Score
    score: Score


def command(arguments: Sequence[str]) -> None:
    """Train, print the curve, write weights and provenance, and compare with the shipped ones."""
    given = _parser().parse_args(arguments)
    plan = Plan(updates=given.updates, seed=given.seed)
    curve, first, last = _trained(plan)
    bank = banks(plan.particles, plan.seed)
    provenance = Provenance(
        date=time.strftime("%Y-%m-%d"),
        machine=machine(),
        versions={package: metadata.version(package) for package in PACKAGES},
        plan=plan,
        curve=curve,
        prior=score(first, bank, JUDGED_ON),
        score=score(last, bank, JUDGED_ON),
    )
    print(f"prior    {line(provenance.prior)}\nshipped  {line(score(load(WEIGHTS), bank, JUDGED_ON))}")
    print(f"trained  {line(provenance.score)}\nwritten to {written(given.out, last, provenance)}")


def line(found: Score) -> str:
    """A score, in words."""
    return f"online {found.online:.3f}  simple {found.simple:.3f}  both {found.both:.4f} ± {found.half:.4f}"


def written(path: Path, parameters: Parameters, provenance: Provenance) -> Path:
    """Write the weights, and the provenance beside them."""
    np.savez(path, **flattened(parameters))  # type: ignore[arg-type]
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(provenance)) + b"\n")
    return path


def _trained(plan: Plan) -> tuple[list[Progress], Parameters, Parameters]:
    curve: list[Progress] = []
    policies: list[Parameters] = []
    for progress, parameters in taught(plan):
        curve.append(progress)
        policies = [*policies[:1], parameters]
        print(f"{progress.updates:>5} updates {progress.seconds:>5.0f} s  {line(progress.score)}", flush=True)
    return curve, policies[0], policies[-1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks meta_training", description=__doc__)
    parser.add_argument("--updates", type=int, default=Plan().updates)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("candidate.npz"))
    return parser
