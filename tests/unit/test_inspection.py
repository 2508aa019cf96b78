"""Inspection: typed rows of a run's directory, filters, states, and views that show data as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from sample_run import run_sample, run_tuned

from streamgen.control.agent import Kind, Reward, Trial, Yield
from streamgen.errors import JournalError, RecipeError, UnknownName
from streamgen.inspection import DropRow, drops, letters, records, sessions, show, spends, trials
from streamgen.inspection_trials import as_lines, trial_table
from streamgen.inspection_view import VIEWS
from streamgen.journal.lock import is_locked, locked
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.spend import Spend


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a controller; nobody changes it."""
    path = tmp_path_factory.mktemp("runs") / "tuned"
    run_tuned(path)
    return path


def shown(directory: Path, what: str, limit: int = 10, **wish: Any) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"), markup=True)  # noqa: SIM115, PTH123
    with console.file:
        console.print(show(directory, what, limit, **wish))
    return console.export_text()


def note_session(store: Store, id_: int, end: str) -> None:
    """Another session with the first one's statistics."""
    (statistics,) = store.one("SELECT statistics FROM sessions WHERE id = 1")
    store.commit({"sessions": [(id_, 1000.0, 5.0, end, statistics)]})


def test_records_come_in_order_of_acceptance_a_page_at_a_time(directory: Path) -> None:
    assert [row.seq for row in records(directory, limit=3, offset=30)] == [31, 32]
    first = records(directory, limit=1)[0]
    assert (first.seq, first.record["prompt"], first.record.meta.path) == (1, "question 1", ("answer", "long-enough"))


def test_a_filter_keeps_records_by_a_column_or_by_their_provenance(directory: Path) -> None:
    labelled = records(directory, limit=100, where="label=class 1")
    assert len(labelled) == 11 and {row.record["label"] for row in labelled} == {"class 1"}
    assert records(directory, limit=2, offset=3, where="label=class 1") == labelled[3:5]
    assert len(records(directory, limit=100, where="_meta.trial=2")) == 8
    assert records(directory, where="label.deep=1") == records(directory, where="nothing=1") == []


@pytest.mark.parametrize("where", ["label", "=x", ""])
def test_a_filter_without_a_column_and_a_value_is_refused(directory: Path, where: str) -> None:
    with pytest.raises(RecipeError, match="a filter is column=value"):
        records(directory, where=where)


def test_letters_tell_stage_columns_and_error_and_the_traceback_on_demand(directory: Path) -> None:
    rows = letters(directory)
    assert [row.stage for row in rows].count("answer") == 4
    (line,) = [row for row in rows if row.stage == "source"]
    assert line.columns == {"line": "{no json"} and line.error.startswith("tuned-source.jsonl:3: no JSON")
    assert {row.traceback for row in rows} == {""}
    traced = [row for row in letters(directory, traceback=True) if row.stage == "answer"]
    assert all(row.traceback.endswith(f"{row.error.split(': ')[1]}\n") for row in traced)
    assert letters(directory, limit=2, offset=1) == rows[1:3]


def test_drops_are_summed_over_tickets_by_stage_and_reason(directory: Path) -> None:
    assert drops(directory) == [DropRow("long-enough", "too_short", 4)]


def test_trials_come_with_their_rewards_where_these_are_known(directory: Path) -> None:
    rows = {row.trial.id: row for row in trials(directory)}
    assert [rows[id_].trial.kind for id_ in (0, 1, 2, 3)] == ["default", "explore", "explore", "recommended"]
    assert [rows[id_].reward.value for id_ in (1, 2) if rows[id_].reward] == [0.8, 0.8]  # type: ignore[union-attr]


def test_a_session_tells_how_it_ended(tmp_path: Path) -> None:
    run_sample(tmp_path / "run")
    (session,) = sessions(tmp_path / "run")
    assert (session.id, session.state, session.statistics.accepted) == (1, "done", 32)


def test_a_session_without_an_end_has_crashed_unless_somebody_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run"
    run_sample(path)
    store = Store(path / FILE_NAME)
    note_session(store, 1, "running")
    note_session(store, 2, "running")
    assert [row.state for row in sessions(path)] == ["crashed", "crashed"]
    with locked(path):
        assert is_locked(path)
        assert [row.state for row in sessions(path)] == ["crashed", "running"]
    assert not is_locked(path)
    store.close()


def test_rows_of_another_version_are_named(tmp_path: Path) -> None:
    run_sample(tmp_path / "run")
    store = Store(tmp_path / "run" / FILE_NAME)
    store.commit({"sessions": [(1, 0.0, 0.0, "done", b"{}")]})
    store.close()
    with pytest.raises(JournalError, match=r"holds a RunStatistics that this streamgen cannot read .*use the version"):
        sessions(tmp_path / "run")


@pytest.mark.parametrize("what", VIEWS)
def test_a_directory_without_a_run_says_so(tmp_path: Path, what: str) -> None:
    with pytest.raises(RecipeError, match=r"holds no run"):
        show(tmp_path, what)


@pytest.mark.parametrize("what", VIEWS)
def test_an_empty_journal_is_shown_as_one(tmp_path: Path, what: str) -> None:
    Store(tmp_path / FILE_NAME).close()
    assert shown(tmp_path, what).strip().split()[0] in ("no", "nothing")


def test_what_was_spent_is_told_by_stage_and_model_with_the_sum(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE_NAME)
    calls = [(n, "a", str(n), 0, "small", b"{}", b"{}", 10, 5, 1, cost) for n, cost in enumerate([0.25, None])]
    store.commit({"calls": calls, "wasted": [(1, "b", "large", 1000, 1, 2, 1.5)]})
    store.close()
    assert spends(tmp_path) == [
        Spend("large", "b", 0, 2, 2, 1000, 1, 1.5, 0),
        Spend("small", "a", 2, 0, 2, 20, 10, 0.25, 1),
    ]
    rows = [line.split() for line in shown(tmp_path, "spend").splitlines()]
    assert rows[1] == ["b", "large", "0", "2", "1,001", "$1.50"]
    assert [" ".join(row[-3:]) for row in rows[2:]] == ["at least $0.2500", "at least $1.75"]


def test_an_unknown_view_lists_the_known_ones(directory: Path) -> None:
    with pytest.raises(UnknownName, match="unknown view 'letter'; did you mean 'letters'"):
        show(directory, "letter")


def test_markup_and_escape_sequences_of_the_data_are_shown_as_text(directory: Path) -> None:
    text = shown(directory, "records", 1)
    assert "<script>alert('x')</script> [bold]no markup[/bold] \N{REPLACEMENT CHARACTER}[31m" in text
    assert "\x1b" not in text


def test_views_show_at_most_as_many_rows_as_asked_for(directory: Path) -> None:
    assert shown(directory, "records", 3).count("question") == 3
    assert shown(directory, "letters", 2).count("failed:") == 2
    assert "too_short" in shown(directory, "drops", 1)
    assert "4" in shown(directory, "trials", 1).splitlines()[1].split()
    assert "done" in shown(directory, "sessions")


def test_views_filter_records_and_show_tracebacks_when_asked_for(directory: Path) -> None:
    assert shown(directory, "records", 100, where="label=class 1").count("class 1") == 11
    nothing = shown(directory, "records", where="lable=class 1").strip()
    assert nothing == "no records fit lable=class 1; the first one has the columns prompt, label, answer"
    assert "Traceback" not in shown(directory, "letters")
    assert shown(directory, "letters", traceback=True).count("Traceback (most recent call last)") == 4


def test_what_a_view_cannot_do_is_told(directory: Path) -> None:
    with pytest.raises(RecipeError, match="a filter is for records, not for trials"):
        shown(directory, "trials", where="label=class 1")
    with pytest.raises(RecipeError, match="tracebacks are with letters, not with drops: streamgen inspect"):
        shown(directory, "drops", traceback=True)


def simulated(directory: Path) -> Path:
    """A journal with four trials: the recipe's own, a good one, a failed one, and one that goes on."""
    directory.mkdir()
    store = Store(directory / FILE_NAME)
    kinds: list[Kind] = ["default", "explore", "explore", "recommended"]
    ended = [
        Trial(
            id=n, first_ticket=10 * n, tickets=10, settings={"a.t": 0.123456 * n, "a.m": "x\t\x1b[31m"}, kind=kind,
            rung=n % 2, came=Yield(records=8, tokens=120, usd=0.01) if n < 3 else None,
        )
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    rewards = [Reward(value=0.5, se=0.02, n=8), Reward(value=0.75, n=7), Reward(failed=True, error="no records", n=0)]
    store.commit({
        "trials": [(trial.id, msgspec.json.encode(trial)) for trial in ended],
        "rewards": [(n, msgspec.json.encode(reward)) for n, reward in enumerate(rewards)],
        "outcomes": [(34, "accepted", None, None)],
        "facts": [("recommended", b'{"a.t":0.25}')],
    })  # fmt: skip
    store.close()
    return directory


def test_trials_come_as_lines_for_other_programs(tmp_path: Path) -> None:
    head, *lines, recommended = as_lines(trial_table(simulated(tmp_path / "run")))
    rows = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert [row["reward"] for row in rows] == ["0.5", "0.75", "", ""]
    assert [row["note"] for row in rows] == ["", "", "failed: no records", "waits"]
    assert [row["tickets"] for row in rows] == ["10", "10", "10", "5"]
    assert (rows[1]["rung"], rows[1]["tokens"], rows[1]["usd"], rows[3]["tokens"]) == ("1", "120", "0.01", "")
    assert rows[1]["settings"].startswith("a.t=0.1235 a.m=x") and "\x1b" not in "".join(lines)
    assert recommended == "# recommended: a.t=0.25"


def test_the_best_trials_come_by_their_rewards(tmp_path: Path) -> None:
    path = simulated(tmp_path / "run")
    assert [row.id for row in trial_table(path, best=True).trials] == [1, 0]
    assert [row.id for row in trial_table(path, 2).trials] == [2, 3]
    text = shown(path, "trials", 1, best=True)
    assert "0.75" in text and "$0.0100" in text and "0.5 " not in text
    with pytest.raises(RecipeError, match="the best are among trials, not letters"):
        shown(path, "letters", best=True)


def test_a_terminal_shows_errors_notes_and_the_recommended_settings(tmp_path: Path) -> None:
    text = shown(simulated(tmp_path / "run"), "trials")
    assert "0.5 ± 0.02" in text and "failed: no records" in text and "waits" in text
    assert text.rstrip().splitlines()[-2:] == ["recommended", "  a.t = 0.25"]


def test_settings_of_trials_are_shown_with_as_many_digits_as_matter(directory: Path) -> None:
    assert max(map(len, re.findall(r"answer.temperature = (\S+)", shown(directory, "trials")))) <= 6
