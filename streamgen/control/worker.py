"""Where a reward is calculated: a process of its own, or a thread.

A process, because what scikit-learn and JAX do between their long calculations holds Python's lock: a thread of theirs
delays the event loop by what it is given at a time, 5 ms, again and again.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen
from typing import Literal, Protocol, TypeAlias, TypeVar, cast
from weakref import finalize

import anyio
import msgspec

from streamgen.control.threads import in_thread
from streamgen.control.worker_process import ERROR, Answer, read_frame, write_frame
from streamgen.errors import RewardError

J = TypeVar("J", bound=msgspec.Struct)

Place: TypeAlias = Literal["process", "thread"]

# The child sees the modules that this process sees, whatever made them visible here.
_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from streamgen.control.worker_process import serve; serve()"
# One core for a reward: BLAS left alone spins on all of them, and JAX would take the GPU that a model may be served on.
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}


class Worker(Protocol):
    """Calculates metrics beside the event loop."""

    async def call(self, function: Callable[[J], Mapping[str, float]], job: J) -> Mapping[str, float]:
        """What a module's function makes of the job. Raises RewardError where it raises, dies or takes too long."""
        ...

    async def aclose(self) -> None:
        """Stop what is being calculated; another call may follow."""
        ...


def worker_in(place: Place, timeout_s: float) -> Worker:
    """A worker of this kind, which starts with its first call."""
    return ProcessWorker(timeout_s) if place == "process" else ThreadWorker(timeout_s)


class ThreadWorker:
    """Calculates in this process. What takes too long is left behind, and goes on until it ends."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def call(self, function: Callable[[J], Mapping[str, float]], job: J) -> Mapping[str, float]:
        """What the function makes of the job."""
        with anyio.move_on_after(self._timeout_s):
            return await in_thread(function, job)
        raise _late(self._timeout_s)

    async def aclose(self) -> None:
        """Nothing is held."""


class ProcessWorker:
    """Calculates in a process that starts with the first call, is used for all, one after the other, and is killed.

    It dies with this one, however that ends. A process that died, or was killed because it took too long, is replaced
    at the next call.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._turn = anyio.Lock()
        self._child: _Child | None = None

    async def call(self, function: Callable[[J], Mapping[str, float]], job: J) -> Mapping[str, float]:
        """What the function makes of the job."""
        async with self._turn:
            child = self._child = self._child or _Child()
            answered = False
            try:
                with anyio.move_on_after(self._timeout_s):
                    answer = await in_thread(child.ask, (f"{function.__module__}:{function.__qualname__}", job))
                    answered = True
            finally:
                if not answered:
                    await self.aclose()
        if not answered:
            raise _late(self._timeout_s)
        if ERROR in answer:
            raise RewardError(str(answer[ERROR]))
        return cast(Mapping[str, float], answer)

    async def aclose(self) -> None:
        """Kill the process."""
        if child := self._child:
            self._child = None
            with anyio.CancelScope(shield=True):
                await in_thread(_Child.kill, child)


class _Child:
    """The other process; one thread speaks with it at a time."""

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        self._is_killed = False

    def ask(self, request: tuple[str, msgspec.Struct]) -> Answer:
        """The answer, as long as it takes. Raises RewardError where the process dies over it."""
        process = self._process or self._start()
        assert process.stdin and process.stdout
        try:
            write_frame(process.stdin, msgspec.msgpack.encode(request))
            frame = read_frame(process.stdout)
        except (OSError, ValueError):  # it is gone: its exit code tells more
            frame = b""
        if not frame:
            raise RewardError(f"the reward's process {_ended(process.wait())} before it had an answer")
        return msgspec.msgpack.decode(frame, type=Answer)

    def kill(self) -> None:
        """End the process, whatever it does; one that is just being started, too."""
        self._is_killed = True
        if self._process:
            self._end()

    def _start(self) -> Popen[bytes]:
        process = Popen(
            [sys.executable, "-c", _BOOT, *sys.path],
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**os.environ, **_FRUGAL},
            start_new_session=True,  # Ctrl-C is for the run, which drains
        )
        self._end = finalize(self, _kill, process)
        self._process = process
        if self._is_killed:
            self._end()
        return process


def _kill(process: Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # a request that it did not read to its end
            assert stream
            stream.close()


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with the exit code {code}"
    why = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{why}"


def _late(timeout_s: float) -> RewardError:
    return RewardError(f"the reward was not calculated within timeout_s = {timeout_s:g}")
