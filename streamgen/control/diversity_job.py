"""Calculates the Vendi score of texts; runs wherever the reward's worker is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from streamgen.control.hashing import Features, vectors
from streamgen.control.vendi import jackknife, moment_of, vendi_of

GROUPS = 8  # that are left out one by one, for the standard error


class Texts(msgspec.Struct, frozen=True):
    """The trial's texts, those that count beside them, and what they are compared by."""

    own: Sequence[str]
    others: Sequence[str]
    features: Features
    dimensions: int


def measure(job: Texts) -> dict[str, float]:
    """The Vendi score of all texts, its standard error over the trial's own, and how alike the texts are."""
    rows = vectors([*job.own, *job.others], job.dimensions, job.features)
    own = np.arange(len(rows)) < len(job.own)
    groups = [own & (np.arange(len(rows)) % GROUPS == group) for group in range(GROUPS)]
    few = len(rows) <= job.dimensions
    whole = moment_of(rows)
    vendi = vendi_of(rows) if few else whole.vendi()
    share = 1 / max(1, whole.count)
    metrics = {"vendi": vendi, "vendi_share": vendi * share, "mean_similarity": whole.mean_similarity()}
    if len(job.own) >= 2 * GROUPS:
        left_out = [vendi_of(rows[~group]) if few else whole.without(rows[group]).vendi() for group in groups]
        error = jackknife(left_out)
        metrics |= {"vendi_se": error, "vendi_share_se": error * share}
    return metrics
