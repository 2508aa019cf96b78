"""`python -m benchmarks setup [CLIENT ...]`: a virtual environment for each client, with pinned packages.

They lie beside each other in one folder outside the repository (benchmarks/interpreters.py says where). An environment
is made under another name and renamed when it is whole, so that a client never runs in half of one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.interpreters import ENVIRONMENTS
from streamgen.errors import RecipeError, StreamgenError, UnknownName

PINS = Path(__file__).parent / "requirements"
OLDEST = (3, 11)
_ANOTHER = "name another with --python"
_STAMP = "made-from.txt"
_QUIET = {"TELEMETRY_ENABLED": "false", "NEMO_TELEMETRY_ENABLED": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
          "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # fmt: skip


class SetupError(StreamgenError):
    """An environment cannot be made; the message says which, at which step, and what to do."""


MODULES: dict[str, str] = {
    "floor": "aiohttp, msgspec, uvloop",
    "openai": "openai, aiohttp, msgspec, uvloop",
    "curator": "bespokelabs.curator, datasets",
    "distilabel": "distilabel.pipeline, distilabel.models.llms, distilabel.steps.tasks, openai",
    "data_designer": "data_designer.config, data_designer.interface, pandas",
}
"""Client -> the modules that its script imports; requirements/CLIENT.txt has the packages."""


class Made(NamedTuple):
    """An environment that is ready. `seconds` is None where it was ready before."""

    client: str
    python: Path
    seconds: float | None
    megabytes: float


def pins_of(client: str) -> Path:
    """The client's requirements file. Raises UnknownName."""
    if client not in MODULES:
        raise UnknownName("client", client, MODULES)
    return PINS / f"{client}.txt"


def version_of(python: str) -> tuple[int, int]:
    """The interpreter's version. Raises RecipeError where it cannot run, cannot make environments, or is too old."""
    question = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
    try:
        said = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True, timeout=60).stdout
        major, minor = map(int, said.split())
    except OSError as error:
        raise RecipeError(f"cannot run the interpreter {python}: {error.strerror}; {_ANOTHER}") from None
    except subprocess.CalledProcessError as error:
        why = last_line(error.stderr) or f"exit code {error.returncode}"
        raise RecipeError(
            f"the interpreter {python} cannot make environments: {why}; "
            f"install its venv module (Debian: python3-venv) or {_ANOTHER}"
        ) from None
    except (ValueError, subprocess.TimeoutExpired):
        raise RecipeError(f"{python} does not answer as a Python interpreter; {_ANOTHER}") from None
    if (major, minor) < OLDEST:
        raise RecipeError(f"the interpreter {python} is Python {major}.{minor}; {_ANOTHER}, of at least 3.11")
    return major, minor


def stamp_of(client: str, version: tuple[int, int]) -> str:
    """What an environment was made from: it changes with the pins and with the interpreter's version."""
    digest = hashlib.sha256(pins_of(client).read_bytes()).hexdigest()
    return f"{digest} python{version[0]}.{version[1]}\n"


def is_ready(folder: Path, stamp: str) -> bool:
    """Whether the environment was made whole, from this."""
    try:
        return (folder / _STAMP).read_text() == stamp and (folder / "bin" / "python").exists()
    except OSError:
        return False


def make(client: str, python: str, *, force: bool = False, root: Path = ENVIRONMENTS) -> Made:
    """The client's environment, made anew where it is missing, outdated or `force`d.

    A second process that wants the same one waits for the first.
    """
    stamp, folder, started = stamp_of(client, version_of(python)), root / client, time.perf_counter()
    with locked(root, client):
        ready = is_ready(folder, stamp) and not force
        if not ready:
            _build(client, python, folder, stamp)
    seconds = None if ready else time.perf_counter() - started
    return Made(client, folder / "bin" / "python", seconds, megabytes(folder))


def _build(client: str, python: str, folder: Path, stamp: str) -> None:
    scratch, log = folder.with_suffix(".new"), folder.with_suffix(".log")
    shutil.rmtree(scratch, ignore_errors=True)
    inside, pip = str(scratch / "bin" / "python"), ("-m", "pip", "--no-input")
    with log.open("w") as out:
        try:
            _do(client, "make the environment", [python, "-m", "venv", str(scratch)], out.fileno(), log)
            install = ["install", "-q", "--no-compile", "--no-deps", "-r", str(pins_of(client))]
            _do(client, "install its packages", [inside, *pip, *install], out.fileno(), log)
            _do(client, "find its packages complete", [inside, *pip, "check"], out.fileno(), log)
            _do(client, "import its modules", [inside, "-c", f"import {MODULES[client]}"], out.fileno(), log)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    (scratch / _STAMP).write_text(stamp)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
    compile_all = [str(folder / "bin" / "python"), "-m", "compileall", "-q", str(folder / "lib")]
    subprocess.run(compile_all, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # templates among them do not


def _do(client: str, what: str, command: Sequence[str], out: int, log: Path) -> None:
    code = subprocess.run(command, stdout=out, stderr=out, env={**os.environ, **_QUIET}).returncode
    if code:
        why = last_line(log.read_text(errors="replace")) or f"exit code {code}"
        raise SetupError(f"client {client!r}: could not {what}: {why}; all that was said is in {log}")


def last_line(text: str) -> str:
    """What an error usually says last."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def megabytes(folder: Path) -> float:
    """The size of the files, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6


@contextmanager
def locked(root: Path, client: str) -> Iterator[None]:
    """Hold the client's environment; whoever else wants it waits. Raises RecipeError where it cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / f"{client}.lock").open("w")
    except OSError as error:
        another = "STREAMGEN_BENCH_ENVIRONMENTS names another"
        raise RecipeError(f"cannot write in {root}: {error.strerror}; {another}") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def command(arguments: Sequence[str]) -> None:
    """Make the environments, and print where they are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks setup", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"some of {', '.join(MODULES)}; all by default")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that they are made with")
    parser.add_argument("--force", action="store_true", help="make them anew")
    given = parser.parse_args(arguments)
    try:
        for client in given.clients:
            pins_of(client)
        for client in given.clients or MODULES:
            print(line(make(client, given.python, force=given.force)), flush=True)
    except StreamgenError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def line(made: Made) -> str:
    """One environment in words."""
    took = "was ready" if made.seconds is None else f"made in {made.seconds:.0f} s"
    return f"{made.client:<14} {took:<14} {made.megabytes:6,.0f} MB  {made.python}"
