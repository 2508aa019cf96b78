from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from benchmarks import setup
from benchmarks.clients import contract
from benchmarks.clients.contract import Report
from benchmarks.clients.peer import Row, write_records
from streamgen.errors import RecipeError, UnknownName

CLIENTS = Path(contract.__file__).parent
PEERS = {"curator": "curator_client", "distilabel": "distilabel_client", "data_designer": "data_designer_client"}


@pytest.mark.parametrize("client", sorted(setup.MODULES))
def test_every_client_has_pins_and_each_of_them_is_exact(client: str) -> None:
    lines = [line for line in setup.pins_of(client).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 for line in lines)


def test_no_requirements_lie_about_for_a_client_that_is_not_known() -> None:
    assert {path.stem for path in setup.PINS.glob("*.txt")} == set(setup.MODULES)


def test_the_floor_and_the_sdk_have_the_same_http_packages() -> None:
    floor, sdk = (set(setup.pins_of(client).read_text().splitlines()) for client in ("floor", "openai"))
    assert {line for line in floor if not line.startswith("#")} < sdk


def test_an_unknown_client_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="unknown client 'curater'; did you mean 'curator'"):
        setup.pins_of("curater")


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot run the interpreter /no/python: No such file.*--python"):
        setup.make("floor", "/no/python", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'No module named venv' >&2; exit 1", "cannot make environments: No module named venv; install"),
        ("exit 3", "cannot make environments: exit code 3; install"),
        ("echo hello", "does not answer as a Python interpreter; name another"),
        ("echo 3 9", r"is Python 3\.9; name another with --python, of at least 3\.11"),
    ],
)
def test_a_broken_interpreter_is_named_with_what_is_wrong(tmp_path: Path, script: str, said: str) -> None:
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    with pytest.raises(RecipeError, match=f"{broken} {said}"):
        setup.version_of(str(broken))


def test_an_environment_is_ready_only_when_it_was_made_whole_from_these_pins(tmp_path: Path) -> None:
    stamp = setup.stamp_of("floor", (3, 11))
    assert stamp != setup.stamp_of("floor", (3, 12))
    assert stamp != setup.stamp_of("openai", (3, 11))
    assert not setup.is_ready(tmp_path, stamp)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert not setup.is_ready(tmp_path, stamp)
    (tmp_path / "made-from.txt").write_text(stamp)
    assert setup.is_ready(tmp_path, stamp)


def interpreter_without_pip(folder: Path) -> str:
    """It answers as Python 3.11 and makes environments in which nothing can be installed."""
    path = folder / "python"
    path.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        '"-c "*) echo 3 11;;\n'
        '"-m venv") mkdir -p "$3/bin"; printf "#!/bin/sh\\necho no such package >&2; exit 1\\n" > "$3/bin/python";'
        ' chmod +x "$3/bin/python";;\n'
        "esac\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_failed_installation_says_its_step_and_leaves_nothing_that_could_be_run(tmp_path: Path) -> None:
    root = tmp_path / "environments"
    said = r"client 'floor': could not install its packages: no such package; all .* in .*/floor\.log"
    with pytest.raises(setup.SetupError, match=said):
        setup.make("floor", interpreter_without_pip(tmp_path), root=root)
    assert sorted(path.name for path in root.iterdir()) == ["floor.lock", "floor.log"]


def test_a_failed_attempt_keeps_the_environment_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "floor" / "bin").mkdir(parents=True)
    with pytest.raises(setup.SetupError):
        setup.make("floor", interpreter_without_pip(tmp_path), force=True, root=tmp_path)
    assert (tmp_path / "floor" / "bin").is_dir()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match=f"cannot write in {tmp_path}/file/x: .*STREAMGEN_BENCH_ENVIRONMENTS"):
        setup.make("floor", sys.executable, root=tmp_path / "file" / "x")


def test_the_command_ends_with_the_exit_code_and_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        setup.command(["floor", "nobody"])
    assert stopped.value.code == 2
    assert "unknown client 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("client", sorted(PEERS))
def test_a_script_has_no_name_of_a_package_and_imports_nothing_of_streamgen(client: str) -> None:
    tree = ast.parse((CLIENTS / f"{PEERS[client]}.py").read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    packages = {module.split(".")[0] for module in modules}
    assert "streamgen" not in packages
    assert not packages & {path.stem for path in CLIENTS.glob("*.py")}


def test_records_that_a_peer_lost_are_null_and_the_others_are_in_their_order(tmp_path: Path) -> None:
    rows = [Row(id=name, prompt="p") for name in "abcd"]
    texts = [("c", "third"), ("a", "first"), ("b", ""), ("d", None)]
    assert write_records(tmp_path, rows, texts, Report(tmp_path)) == 2
    assert (tmp_path / "records.jsonl").read_text().splitlines() == [
        '{"id": "c", "text": "third"}', '{"id": "a", "text": "first"}',
        '{"id": "b", "text": null}', '{"id": "d", "text": null}',
    ]  # fmt: skip
