"""Bad input gets a clear error, and nothing is lost."""

from __future__ import annotations

import gzip
import resource
import sqlite3
import subprocess
import sys
from errno import ENOSPC
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from rich.console import Console
from runs import CHAT, check_whole, echo, make, query

import streamgen
from streamgen.context import Context
from streamgen.errors import EndpointError, JournalError, RecipeError, StopRun, StreamgenError
from streamgen.journal.log import Log
from streamgen.journal.store import Store
from streamgen.present import Progress, summary_view
from streamgen.recipe import Part, Recipe, StageSpec
from streamgen.record import Record, Value
from streamgen.report.facts import facts_of
from streamgen.report.page import render
from streamgen.runs import Run
from streamgen.settings import Settings
from streamgen.summary import Summary
from streamgen.testing import HTML, Fault, ScriptedServer, refusal


class Nothing(Settings, frozen=True, kw_only=True):
    pass


async def finished(recipe: Recipe, directory: Path | None = None) -> Summary:
    async with streamgen.open(recipe, directory=directory) as run:
        return await run.finish()


async def failed(recipe: Recipe, directory: Path | None = None) -> tuple[Run, StreamgenError]:
    """The run and what it raised."""
    with pytest.raises(StreamgenError) as caught:
        async with streamgen.open(recipe, directory=directory) as run:
            await run.finish()
    return run, caught.value


def from_file(path: Path, **more: Value) -> Recipe:
    return Recipe.parse({"source": {"type": "jsonl", "path": path.name}, **more}, path.parent)


def letters(directory: Path) -> list[tuple[int, str, str]]:
    return query(directory, "SELECT ticket, stage, error FROM letters ORDER BY ticket")


# Rows


async def test_lines_that_are_no_objects_are_dead_letters_by_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(
        b'\xef\xbb\xbf{"n": 0}\r\n{"n": 1\r\n\r\n[1, 2]\r\n"text"\n7\nnull\n{"n": "\xff"}\n'
        b'{"n": 8, "_meta": {"id": "x"}}'
    )
    summary = await finished(from_file(rows, sinks=[{"type": "jsonl"}]), tmp_path / "run")
    assert (summary.end.reason, summary.statistics.accepted, summary.statistics.failed) == ("done", 2, 6)
    found = letters(tmp_path / "run")
    assert [(ticket, stage) for ticket, stage, _ in found] == [(n, "source") for n in range(1, 7)]
    said = [error for _, _, error in found]
    assert said[0].startswith("rows.jsonl:2: no JSON: ")
    assert said[1:5] == [
        f"rows.jsonl:{line}: a JSON object is needed, this is {what}"
        for line, what in ((4, "an array"), (5, "a string"), (6, "a number"), (7, "null"))
    ]
    assert said[5].startswith("rows.jsonl:8: no JSON: ")
    records = [msgspec.json.decode(line) for line in (tmp_path / "run/records.jsonl").read_bytes().splitlines()]
    assert [(record["n"], record["_meta"]["id"]) for record in records] == [(0, "0"), (8, "7")]


async def test_a_file_of_nothing_but_bad_rows_is_no_success_however_often_it_is_run(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("n,text\n1,hello\n")
    for _ in range(2):
        end = (await finished(from_file(rows), tmp_path / "run")).end
        assert (end.reason, end.exit_code) == ("source_ended", 1)
        assert end.message.startswith("the source has ended and nothing was accepted; 2 of its rows cannot be read")


async def test_an_empty_file_is_done_at_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    end = (await finished(from_file(tmp_path / "rows.jsonl"))).end
    assert (end.reason, end.exit_code) == ("done", 0)


async def test_a_stage_that_stops_the_run_is_quoted() -> None:
    async def stop(record: Record, context: Context[Nothing]) -> Record:
        raise StopRun("the quota of the day is used up")

    end = (await finished(make(echo(), 3, before=[StageSpec(name="stop", type=stop, settings=Nothing())]))).end
    assert (end.reason, end.exit_code) == ("stopped", 3)
    assert end.message == "the quota of the day is used up; run the same command again to go on"


async def test_bad_rows_belong_to_trials_and_these_end_all_the_same(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join("no json\n" if n % 4 == 0 else f'{{"n": {n}}}\n' for n in range(16)))
    controller = {
        "agent": "random_search", "batch": 4, "trials": 4, "space": {"long.min_words": {"low": 0, "high": 1}},
        "reward": {"type": "callback", "function": "bad_rows:count", "metric": "records"},
    }  # fmt: skip
    (tmp_path / "bad_rows.py").write_text("def count(records):\n    return {'records': len(records)}\n")
    stage = {"name": "long", "type": "length", "column": "n", "min_words": 0}
    summary = await finished(from_file(rows, stages=[stage], controller=controller), tmp_path / "run")
    assert (summary.statistics.accepted, summary.statistics.failed) == (12, 4)
    assert summary.trials is not None
    assert [trial.reward and trial.reward.value for trial in summary.trials.trials] == [3.0] * 4


async def test_an_empty_file_makes_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    summary = await finished(from_file(tmp_path / "rows.jsonl"))
    assert summary.end.message == "the source has ended; 0 records accepted"
    summary = await finished(from_file(tmp_path / "rows.jsonl", run={"accept": 5}))
    assert (summary.end.reason, summary.end.exit_code) == ("source_ended", 1)
    assert "with 0 of 5 records accepted; give it more rows, set `repeat = true`" in summary.end.message


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
async def test_a_compressed_file_that_ends_too_early_stops_the_run_with_its_place(tmp_path: Path, suffix: str) -> None:
    from streamgen.files import zstd_compress

    text = b"".join(b'{"n": %d, "noise": %d}\n' % (n, n * n * 7919) for n in range(20_000))
    whole = gzip.compress(text) if suffix == ".gz" else zstd_compress(text)
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    run, error = await failed(from_file(path), tmp_path / "run")
    assert f"{path} is damaged behind line " in str(error)
    assert run.summary().end.reason == "failed"
    path.write_bytes(whole)
    assert (await finished(from_file(path), tmp_path / "run")).statistics.accepted == 20_000


async def test_a_file_that_is_not_compressed_as_it_says_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        path = tmp_path / f"rows.jsonl{suffix}"
        path.write_text('{"n": 1}\n')
        with pytest.raises(RecipeError, match=f"rows.jsonl{suffix} is damaged behind line 0"):
            await finished(from_file(path))


async def test_rows_of_a_source_in_python_are_checked(tmp_path: Path) -> None:
    source = Part(type=lambda: iter([{"n": 1}, "text", {"n": 2}, None]))
    summary = await finished(Recipe(source=source), tmp_path)
    assert (summary.statistics.accepted, summary.statistics.failed) == (2, 2)
    needed = "a mapping of columns is needed, this is"
    assert letters(tmp_path) == [(1, "source", f"row 2: {needed} str"), (3, "source", f"row 4: {needed} NoneType")]


# Handlers


async def test_a_stage_that_raises_for_one_record_in_a_hundred_loses_only_those(tmp_path: Path) -> None:
    stages = [StageSpec(name="picky", type=picky, settings=Nothing())]
    summary = await finished(make(echo(), 1000, after=stages), tmp_path)
    assert (summary.end.reason, summary.statistics.accepted, summary.statistics.failed) == ("done", 990, 10)
    assert letters(tmp_path) == [(n, "picky", f"ValueError: no {n}") for n in range(50, 1000, 100)]
    (trace,) = query(tmp_path, "SELECT traceback FROM letters LIMIT 1")[0]
    assert "in picky" in trace


def picky(record: Record, context: Context[Nothing]) -> Record:
    if record["n"] % 100 == 50:
        raise ValueError(f"no {record['n']}")
    return record


@pytest.mark.parametrize("value", [object(), "\ud800", {(1, 2): 3}], ids=["object", "surrogate", "keys"])
async def test_a_record_that_json_cannot_hold_is_a_dead_letter(tmp_path: Path, value: Any) -> None:
    def odd(record: Record, context: Context[Nothing]) -> Record:
        return record.with_columns(odd=value) if record["n"] == 3 else record

    summary = await finished(make(echo(), 10, after=[StageSpec(name="odd", type=odd, settings=Nothing())]), tmp_path)
    assert (summary.end.reason, summary.statistics.accepted) == ("done", 9)
    ((ticket, stage, error),) = letters(tmp_path)
    assert (ticket, stage) == (3, "sink") and "cannot be written as JSON" in error
    assert query(tmp_path, "SELECT outcome FROM outcomes WHERE ticket = 3") == [("failed",)]


async def test_an_error_that_sqlite_cannot_hold_is_told_all_the_same(tmp_path: Path) -> None:
    def odd(record: Record, context: Context[Nothing]) -> Record:
        raise ValueError("half a character: \ud800 and a key sk-abcdefgh12345678")

    bounds = {"failure_share": 1.0}
    recipe = make(echo(), 3, run={"bounds": bounds}, after=[StageSpec(name="odd", type=odd, settings=Nothing())])
    summary = await finished(recipe, tmp_path)
    assert summary.statistics.failed == 3
    assert letters(tmp_path)[0][2] == "ValueError: half a character: \\ud800 and a key ***"


# Endpoints


def over_http(server: ScriptedServer, **model: Value) -> Recipe:
    main = {"base_url": server.base_url, "model": "scripted", "retry": {"attempts": 1}, **model}
    rows = [{"n": n} for n in range(20)]
    return Recipe.parse({"models": {"main": main}, "source": {"type": "list", "rows": rows}, "stages": [CHAT]})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (refusal(401, "Incorrect API key", code="invalid_api_key"), "Incorrect API key"),
        (HTML, "no API but a web page"),
        (refusal(404, "no model x", code="model_not_found"), "no model x"),
    ],
    ids=["key", "html", "model"],
)
async def test_an_endpoint_that_cannot_be_used_ends_the_run_and_it_resumes(
    tmp_path: Path, fault: Fault, said: str
) -> None:
    async with ScriptedServer(fault=lambda request, n: fault) as server:
        run, error = await failed(over_http(server), tmp_path)
    assert isinstance(error, EndpointError)
    assert "'main'" in str(error) and said in str(error)
    end = run.summary().end
    assert (end.reason, end.exit_code, end.is_resumable, end.message) == ("failed", 1, True, str(error))
    async with ScriptedServer() as server:
        assert (await finished(over_http(server), tmp_path)).statistics.accepted == 20


async def test_a_server_that_is_out_is_shown_while_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamgen.present._LINES_S", 0.01)
    fault = refusal(401, "Incorrect API key", code="invalid_api_key")
    async with ScriptedServer(latency_s=0.03) as good, ScriptedServer(fault=lambda request, n: fault) as bad:
        recipe = over_http(good, endpoints=[{}, {"base_url": bad.base_url}])
        async with streamgen.open(recipe, directory=tmp_path) as run, anyio.create_task_group() as beside:
            beside.start_soon(Progress(run).follow)
            summary = await run.finish()
            beside.cancel_scope.cancel()
    (warning,) = summary.statistics.warnings
    assert "main, endpoints[1]" in warning and "Incorrect API key" in warning
    assert summary.statistics.accepted == 20
    assert capfd.readouterr().err.count("Incorrect API key") == 1
    console = Console(width=500, file=StringIO())
    console.print(summary_view(summary))
    assert warning in console.file.getvalue()  # type: ignore[attr-defined]
    assert "main, endpoints[1]" in render(facts_of(tmp_path))


async def test_an_unreachable_endpoint_ends_the_run_and_it_resumes(tmp_path: Path) -> None:
    async with ScriptedServer() as server:
        recipe = over_http(server)
    run, error = await failed(recipe, tmp_path)
    assert isinstance(error, EndpointError) and server.base_url.removesuffix("/v1") in str(error)
    assert run.summary().end.reason == "failed"
    async with ScriptedServer() as server:
        assert (await finished(over_http(server), tmp_path)).statistics.accepted == 20


async def test_an_error_of_closing_a_model_is_told() -> None:
    class Stuck:
        async def aclose(self) -> None:
            raise OSError("the model does not close")

    with pytest.raises(OSError, match="does not close"):
        await finished(make(Stuck(), 0))


# The disk and the journal


async def test_a_full_disk_ends_the_run_and_it_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make(echo(0.001), 400, sinks=[{"type": "jsonl"}])
    with pytest.raises(JournalError) as caught:
        async with streamgen.open(recipe, directory=tmp_path, window=20) as run:
            async for record in run.records():
                if record.id == "100":
                    monkeypatch.setattr(Log, "write", no_space)
    assert "no space is left for the journal" in str(caught.value) and "what it holds is safe" in str(caught.value)
    assert run.summary().end.reason == "failed"
    monkeypatch.undo()
    check_whole(tmp_path)
    assert 0 < query(tmp_path, "SELECT count(*) FROM records")[0][0] == run.statistics().accepted < 400
    assert (await finished(recipe, tmp_path)).statistics.accepted == 400
    assert len((tmp_path / "records.jsonl").read_bytes().splitlines()) == 400


def no_space(log: Log) -> None:
    raise OSError(ENOSPC, "No space left on device")


_LIMITED = """
import resource, sys, streamgen
from streamgen.recipe import Recipe
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
rows = [{"text": "x" * 500}]
sinks = [{"type": "jsonl", "path": "a.jsonl"}, {"type": "jsonl", "path": "b.jsonl.gz"}]
source = {"type": "list", "rows": rows, "repeat": True}
recipe = Recipe.parse({"source": source, "sinks": sinks, "run": {"accept": 2000}})
try:
    summary = streamgen.run(recipe, directory=sys.argv[1])
except streamgen.StreamgenError as error:
    print(f"{type(error).__name__}: {error}")
else:
    print(summary.end.reason, summary.statistics.accepted)
"""


def limited(directory: Path, size: int) -> str:
    """What a run says whose files may not grow beyond a size."""
    command = [sys.executable, "-W", "error", "-c", _LIMITED, str(directory), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("kilobytes", [300, 700])
def test_a_file_that_cannot_grow_ends_the_run_and_it_resumes(tmp_path: Path, kilobytes: int) -> None:
    said = limited(tmp_path, kilobytes << 10)
    assert said.startswith("JournalFailed: "), said
    assert limited(tmp_path, resource.RLIM_INFINITY) == "done 2000"
    check_whole(tmp_path)
    lines = (tmp_path / "a.jsonl").read_bytes()
    assert len(lines.splitlines()) == 2000
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == lines


async def test_a_sink_that_fails_ends_the_run_and_the_others_are_complete(tmp_path: Path) -> None:
    class Broken:
        def open(self, directory: Path, position: int) -> bool:
            return True

        def write(self, records: object) -> None:
            raise OSError(28, "No space left on device")

        def sync(self, is_last: bool) -> int | None:
            return 0

        def close(self) -> None: ...

    recipe = make(echo(), 20, sinks=[{"type": "jsonl"}])
    recipe = msgspec.structs.replace(recipe, sinks=(*recipe.sinks, Part(type=Broken, name="broken")))
    _, error = await failed(recipe, tmp_path)
    assert "the sink 'broken' cannot be written: No space left on device" in str(error)
    kept = query(tmp_path, "SELECT count(*) FROM records")[0][0]
    assert len((tmp_path / "records.jsonl").read_bytes().splitlines()) == kept


async def test_a_foreign_a_broken_and_a_newer_journal_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE mine (x)")
    foreign.close()
    before = path.read_bytes()
    await refused(tmp_path, "is a database, but not one of streamgen's; choose another directory")
    assert path.read_bytes() == before
    path.write_bytes(b"this is a text, and a long one, too. " * 100)
    await refused(tmp_path, "is not a readable database")
    path.unlink()
    Store(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    await refused(tmp_path, "was written by a newer streamgen (format 99, this one knows 3); upgrade")


async def refused(directory: Path, said: str) -> None:
    with pytest.raises(JournalError) as caught:
        await finished(make(echo(), 1), directory)
    assert said in str(caught.value) and str(directory / "run.db") in str(caught.value)


async def test_a_damaged_journal_is_told_and_not_a_traceback_of_sqlite(tmp_path: Path) -> None:
    await finished(make(echo(), 300), tmp_path)
    data = bytearray((tmp_path / "run.db").read_bytes())
    data[8192 : len(data) - 4096] = b"\xff" * (len(data) - 4096 - 8192)
    (tmp_path / "run.db").write_bytes(data)
    with pytest.raises(JournalError, match=r"run.db (is not a readable database|cannot be used)"):
        await finished(make(echo(), 300), tmp_path)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot make the run's directory"):
        await finished(make(echo(), 1), tmp_path / "file" / "run")


async def test_a_sink_may_not_leave_the_directory_or_take_the_runs_own_files(tmp_path: Path) -> None:
    for path, said in (("../out.jsonl", "leads out of"), ("run.db", "a file of the run itself"), ("a/..", "cannot be")):
        with pytest.raises(StreamgenError, match=said):
            await finished(make(echo(), 1, sinks=[{"type": "jsonl", "path": path}]), tmp_path)
    with pytest.raises(RecipeError, match=r"two sinks are called 'a.jsonl'.*\$\.sinks\[1\]"):
        sinks = [{"type": "jsonl", "path": "a.jsonl"}, {"type": "jsonl", "path": "./a.jsonl"}]
        await finished(make(echo(), 1, sinks=sinks), tmp_path)
    with pytest.raises(RecipeError, match=r"so the run needs a directory.*\$\.sinks\[0\]"):
        await finished(make(echo(), 1, sinks=[{"type": "jsonl"}]))
