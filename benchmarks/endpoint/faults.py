"""What goes wrong with a request."""

from __future__ import annotations

from benchmarks.endpoint.config import Config, Fault
from benchmarks.endpoint.draws import draw

_SALT = 2


def fault_of(config: Config, key: int, n: int) -> Fault | None:
    """The fault of the prompt's n-th request; None for most."""
    if not config.faults:
        return None
    left = draw(key, n, _SALT + 8 * config.seed)
    for fault, share in config.faults.items():
        left -= share
        if left < 0:
            return fault
    return None
