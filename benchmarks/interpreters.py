"""Which interpreter runs a client: its own environment's where there is one, otherwise this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ENVIRONMENTS = Path(os.environ.get("STREAMGEN_BENCH_ENVIRONMENTS", Path.home() / ".cache" / "streamgen-benchmarks"))
_HERE = ("floor", "openai", "streamgen")


def python_of(client: str) -> str:
    """The interpreter of the client. Raises FileNotFoundError where its environment was not made."""
    path = ENVIRONMENTS / client / "bin" / "python"
    if path.exists():
        return str(path)
    if client in _HERE:
        return sys.executable
    raise FileNotFoundError(f"there is no environment for {client} at {path}: python -m benchmarks setup makes it")
