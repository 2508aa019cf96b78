"""What a client script reads and writes: `python NAME.py WORKLOAD.json OUTDIR`, in an environment of its own.

It reads the workload below, and writes `OUTDIR/records.jsonl` (a line `{"id", "text"}` a record as it is done; more
keys do no harm) and `OUTDIR/report.json`. Only the standard library is needed here, so that any environment will do.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict


class Work(TypedDict):
    """WORKLOAD.json. `prompts` is the path of a JSON Lines file with `id` and `prompt`.

    `second_prompt` is the template of a second call, in which "{text}" is the first answer. None in `concurrency`,
    `requests_per_minute` and `tokens_per_minute` means that nothing is told. `resume`: the client may be killed; where
    OUTDIR holds such an earlier try, it goes on. `hedge`, `journal` and `loop` are for clients with such a switch.
    """

    name: str
    base_url: str
    model: str
    records: int
    prompts: str
    second_prompt: str | None
    concurrency: int | None
    timeout_s: float
    requests_per_minute: float | None
    tokens_per_minute: float | None
    hedge: bool
    resume: bool
    journal: bool
    loop: str


def read_work() -> tuple[Work, Path]:
    """The workload and the directory for what is made, from the command line."""
    work: Work = json.loads(Path(sys.argv[1]).read_text())
    directory = Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    return work, directory


class Report:
    """Times of one client. Make it when the work starts; `first` at the first record, `write` at the end."""

    def __init__(self, directory: Path, *packages: str) -> None:
        self._path, self._packages = directory / "report.json", packages
        self._start, self._first_s = time.perf_counter(), None  # type: float, float | None

    def first(self) -> None:
        """A record is done; only the first one counts."""
        if self._first_s is None:
            self._first_s = time.perf_counter() - self._start

    def write(self, **more: Any) -> None:
        """The work is done: `ended` is the time of the wall clock, by which the runner counts."""
        wall_s, ended = time.perf_counter() - self._start, time.time()
        versions = {name: version(name) for name in self._packages}
        times = {"first_record_s": self._first_s, "wall_s": wall_s, "ended": ended}
        self._path.write_text(json.dumps({**times, "versions": versions, **more}))
