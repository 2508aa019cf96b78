"""Meta-training of the candidate policy: REINFORCE on simulated tuning problems, in JAX."""

from __future__ import annotations

from collections.abc import Sequence


def command(arguments: Sequence[str]) -> None:
    """What `python -m benchmarks meta_training` does; JAX is imported only here."""
    from benchmarks.meta_training.command import command as train

    train(arguments)
