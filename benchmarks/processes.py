"""Processes from outside: pinned to a core, and what a whole tree of them uses, as Linux tells it in /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.02


class Usage(NamedTuple):
    """What a process and all that it started have used."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int
    samples: Sequence[tuple[float, float]]

    def cpu_before(self, moment: float) -> float:
        """CPU seconds used until this time of the wall clock, between two samples by their proportion."""
        before = max((s for s in self.samples if s[0] <= moment), default=(moment, 0.0))
        after = min((s for s in self.samples if s[0] > moment), default=(moment + 1, before[1]))
        return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0])


def cores() -> tuple[int, int]:
    """A core for the endpoint and one for the client; the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def tree(pid: int) -> Iterator[int]:
    """The process and its descendants that are alive."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in found:
            yield from tree(int(child))


class Process:
    """A child that is watched; used as a context, in which it is killed with all its descendants at the end."""

    def __init__(
        self, command: Sequence[str], core: int, *, env: Mapping[str, str], cwd: Path | None = None, output: Path
    ) -> None:
        self.started = time.time()
        self._begin = time.perf_counter()
        with output.open("ab") as out:
            self._child = subprocess.Popen(
                ["taskset", "-c", str(core), *command], env=env, cwd=cwd, stdout=out, stderr=out
            )
        self._peak_kb, self._cpu_s = 0, 0.0
        self._samples: list[tuple[float, float]] = []
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.returncode is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The root of its tree."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._is_over.is_set()

    def wait(self, timeout_s: float | None = None) -> Usage:
        """Its usage, when it has ended or was killed after `timeout_s`."""
        if not self._is_over.wait(timeout_s):
            self.kill()
        self._watcher.join()
        return self._usage

    def kill(self) -> None:
        """`kill -9` to it and to all that it started."""
        for pid in list(tree(self._child.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._watcher.join()

    def _watch(self) -> None:
        while not self._has_ended():
            self._sample()
            time.sleep(_EVERY_S)

    def _has_ended(self) -> bool:
        pid, status, used = os.wait4(self._child.pid, os.WNOHANG)
        if not pid:
            return False
        self._child.returncode = os.waitstatus_to_exitcode(status)
        # Descendants that nobody waited for are only in the samples.
        cpu_s = max(self._cpu_s, used.ru_utime + used.ru_stime)
        wall_s = time.perf_counter() - self._begin
        self._usage = Usage(wall_s, cpu_s, self._peak_kb / 1024, self._child.returncode, self._samples)
        self._is_over.set()
        return True

    def _sample(self) -> None:
        used = [_of_process(pid) for pid in tree(self._child.pid)]
        self._peak_kb = max(self._peak_kb, sum(peak_kb for peak_kb, _ in used))
        self._cpu_s = max(self._cpu_s, sum(cpu_s for _, cpu_s in used))
        self._samples.append((time.time(), self._cpu_s))


def _of_process(pid: int) -> tuple[int, float]:
    """The peak of resident KB, which does not fall between samples, and CPU seconds with ended children."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    start = status.find("VmHWM:")
    resident = int(status[start + 6 : status.find("kB", start)]) if start >= 0 else 0
    return resident, sum(map(int, fields[11:15])) * _TICK_S
