"""The report: right numbers for runs in any state, hostile data as text, one well-formed page that loads nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sample_run import HOSTILE, recipe_of, run_sample, run_tuned, write_source

import streamgen
from streamgen.control.agent import Reward, Trial
from streamgen.errors import RecipeError
from streamgen.inspection import DropRow
from streamgen.journal.lock import locked
from streamgen.journal.store import FILE_NAME, Store
from streamgen.record import Meta, Record, encode
from streamgen.report import write_report
from streamgen.report.charts import Block, Measure, blocks_of
from streamgen.report.facts import Failure, Spend, StageFacts, facts_of

_VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page and refuses one that is not well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.text = html, ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text += data

    def having(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute))]


def page_of(directory: Path) -> Page:
    return Page(write_report(directory).read_text(encoding="utf-8"))


def tile(page: Page, name: str) -> str:
    found = re.search(f"<dt>{name}</dt><dd[^>]*>(.*?)</dd>", page.html)
    assert found
    return re.sub("<small>.*", "", found[1])


def records(*columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    made = [Record(str(n), row, Meta(ticket=n)) for n, row in enumerate(columns)]
    return [(n, n, record.id, encode(record)) for n, record in enumerate(made, 1)]


def store_with(directory: Path, **tables: list[tuple[Any, ...]]) -> Path:
    """A journal with these rows: what a run that was killed at once leaves behind."""
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(directory / FILE_NAME)
    store.commit(tables)
    store.close()
    return directory


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a controller; its directory gets a report, nothing else changes."""
    directory = tmp_path_factory.mktemp("runs") / "tuned"
    run_tuned(directory)
    return directory


def test_facts_of_a_finished_run_are_exact(tuned: Path) -> None:
    facts = facts_of(tuned)
    assert (facts.name, facts.state, facts.accepted, facts.wanted, facts.surplus) == ("sample", "done", 32, None, 0)
    assert facts.message == "the source has ended; 32 records accepted"
    assert facts.tickets == {"accepted": 32, "dropped": 4, "failed": 5} and facts.settled == 41
    assert [msgspec.structs.replace(stage, p50_s=None) for stage in facts.stages] == [
        StageFacts("source", "", 41, 40, 1, (), None),
        StageFacts("answer", "chat", 40, 36, 4, [], None),
        StageFacts("long-enough", "length", 36, 32, 0, [DropRow("long-enough", "too_short", 4)], None),
    ]
    assert [(stage.passed, stage.dropped) for stage in facts.stages] == [(40, 0), (36, 0), (32, 4)]
    assert facts.spends == [Spend("main", "answer", 36, 0, 36, 360, 180, pytest.approx(0.036), 0)]
    assert [sample.seq for sample in facts.samples] == list(range(1, 33))


def test_the_page_shows_the_headline_numbers(tuned: Path) -> None:
    page = page_of(tuned)
    names = ("accepted records", "tickets settled", "acceptance rate", "tokens", "cost")
    assert [tile(page, name) for name in names] == ["32", "41", "78.0 %", "540", "$0.0360"]
    assert re.search(r"too_short: 4\s*\(11\.1 %\)", page.text)


def test_the_page_is_one_file_that_loads_and_runs_nothing(tuned: Path) -> None:
    page = page_of(tuned)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert page.having("src") == [] and all(href.startswith("#") for href in page.having("href"))
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.having("content")
    assert not re.search(r"url\(|@import|https?:", page.html.split("<header>")[0])


def test_what_models_wrote_is_shown_as_text(tuned: Path) -> None:
    page = page_of(tuned)
    assert HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in page.text
    assert "<script>" not in page.html and "&lt;script&gt;" in page.html and "\x1b" not in page.html


def test_every_name_of_the_run_is_escaped(tmp_path: Path) -> None:
    evil = '"><script>x</script>'
    recipe = {"order": [evil], "stages": {evil: {"type": evil}}}
    trial = Trial(id=0, first_ticket=0, tickets=1, settings={evil: evil}, kind="explore")
    reward = Reward(value=1.0, metrics={evil: 1.0}, n=1)
    failed = Trial(id=1, first_ticket=1, tickets=1, settings={}, kind="explore")
    directory = store_with(
        tmp_path / "run",
        facts=[("name", evil.encode()), ("recipe", msgspec.json.encode(recipe))],
        calls=[(0, evil, "0", 0, evil, b"{}", b"{}", 1, 1, 1, None)],
        records=records({evil: evil, "deep": {evil: [evil]}}),
        letters=[(0, evil, evil, msgspec.json.encode({evil: evil}), evil, evil)],
        outcomes=[(0, "dropped", msgspec.json.encode([(evil, evil, 1)]), evil)],
        trials=[(trial.id, msgspec.json.encode(trial)), (failed.id, msgspec.json.encode(failed))],
        rewards=[(0, msgspec.json.encode(reward)), (1, msgspec.json.encode(Reward(failed=True, error=evil)))],
    )
    page = page_of(directory)
    assert "<script" not in page.html
    assert page.text.count("<script>x</script>") >= 15


def test_landmarks_and_pictures_have_names_that_exist(tuned: Path) -> None:
    page = page_of(tuned)
    ids = page.having("id")
    assert len(ids) == len(set(ids))
    assert {name for names in page.having("aria-labelledby") for name in names.split()} <= set(ids)
    assert {href[1:] for href in page.having("href")} <= set(ids)
    tables = [tag for tag, _ in page.tags if tag == "table"]
    assert len([tag for tag, _ in page.tags if tag == "caption"]) == len(tables)
    assert [attrs for tag, attrs in page.tags if tag in ("section", "svg") and "aria-label" not in str(attrs)] == []
    assert page.tags[0] == ("html", {"lang": "en"})


def test_failures_are_grouped_by_stage_and_kind_with_the_first_of_each(tuned: Path) -> None:
    refused, bad_line = facts_of(tuned).failures
    assert msgspec.structs.replace(refused, traceback="") == Failure(
        "answer", 4, "0", "CallError: question 0 is not allowed", {"prompt": "question 0", "label": "class 0"}, ""
    )
    assert refused.traceback.startswith("Traceback") and refused.traceback.endswith("is not allowed\n")
    assert (bad_line.stage, bad_line.records, bad_line.columns) == ("source", 1, {"line": "{no json"})
    assert "streamgen inspect DIR letters" in page_of(tuned).text


def test_trials_come_with_rewards_and_the_recommended_settings(tuned: Path) -> None:
    facts, page = facts_of(tuned), page_of(tuned)
    assert facts.trials.recommended is not None and facts.trials.recommended["answer.temperature"] is not None
    assert "Chosen settings" in page.text and "Best single trial: 1" in page.text
    drawn = [attrs["aria-labelledby"] for tag, attrs in page.tags if tag == "svg"]
    drawn = [name for name in drawn if name and not name.startswith("metric-")]
    names = ("rewards", "regret", "explored", "belief-0", "curse", "exploration")
    assert drawn == [f"{name}-title {name}-text" for name in names]


def test_samples_tell_what_was_asked_for_them(tuned: Path) -> None:
    (first, *_) = facts_of(tuned).samples
    (asked,) = first.asked
    assert (asked.stage, asked.model, asked.answer) == ("answer", "main", first.columns["answer"])
    assert asked.prompt == f"user: {first.columns['prompt']}"
    assert f"what the models were asked for record {first.id}" in page_of(tuned).text


def test_calls_for_an_ancestor_count_for_its_descendants_alone(tmp_path: Path) -> None:
    def call(record: str, n: int, text: str) -> tuple[Any, ...]:
        request = {"messages": [{"role": "system", "content": "be sk-abcdefghijklmnopqrstuvwxyz1234"},
                                {"role": "user", "content": text}]}  # fmt: skip
        response = {"text": text.upper()}
        return (7, "s", record, n, "main", msgspec.json.encode(request), msgspec.json.encode(response), 1, 1, 1, None)

    made = [Record(id_, {"a": 1}, Meta(ticket=7)) for id_ in ("7.1", "7.10")]
    directory = store_with(
        tmp_path / "run",
        records=[(n, 7, record.id, encode(record)) for n, record in enumerate(made, 1)],
        calls=[call("7", 0, "one"), call("7.1", 0, "two"), call("7.10", 0, "x" * 5000)],
    )
    first, second = facts_of(directory).samples
    assert [asked.answer for asked in first.asked] == ["ONE", "TWO"]
    assert [asked.answer[:3] for asked in second.asked] == ["ONE", "XXX"]
    assert "sk-abcdef" not in first.asked[0].prompt and first.asked[0].prompt.endswith("user: one")
    assert "(5,000 characters)" in second.asked[1].answer


def test_the_card_tells_what_the_recipe_states_and_what_the_run_knows(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.jsonl", 10)
    card = {"license": "CC-BY-4.0", "sources": "questions of our own", "description": "Answers <b>of</b> a script"}
    streamgen.run(recipe_of(source, card=card), directory=tmp_path / "run")
    page = page_of(tmp_path / "run")
    told = page.text.split("Data card")[-1]
    for sentence in (
        "Answers <b>of</b> a script", "CC-BY-4.0", "questions of our own", "Seed 0.", "127.0.0.1",
        "Nothing was done to find or remove private data.", "1 records failed and are not among these.",
    ):  # fmt: skip
        assert sentence in told, sentence
    assert "Contact" not in told


def test_a_run_stopped_by_its_budget_says_so_in_its_own_words(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.jsonl", 40)
    summary = streamgen.run(recipe_of(source, run={"budget": {"requests": 8}}), directory=tmp_path / "run")
    facts = facts_of(tmp_path / "run")
    assert (facts.state, facts.message) == ("budget", summary.end.message)
    assert facts.message in page_of(tmp_path / "run").text


def test_a_run_without_an_end_runs_or_has_crashed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    run_sample(directory)
    store = Store(directory / FILE_NAME)
    (cells,) = store.read("SELECT id, started, seconds, 'running', statistics FROM sessions")
    store.commit({"sessions": [cells]})
    store.close()
    assert "was killed, or the machine went down" in page_of(directory).text
    with locked(directory):
        page = page_of(directory)
    assert "The run goes on." in page.text and tile(page, "accepted records") == "32"


def test_a_run_that_was_killed_at_once_has_a_page(tmp_path: Path) -> None:
    page = page_of(store_with(tmp_path / "run"))
    assert [tile(page, name) for name in ("accepted records", "tickets settled", "acceptance rate")] == ["0", "0", "-"]
    assert tile(page, "cost").strip() == "nothing spent"
    for sentence in ("No ticket has been settled yet", "No model has answered yet", "No record has been accepted yet"):
        assert sentence in page.text


def test_what_is_exact_is_shown_also_where_the_notes_lag_behind(tmp_path: Path) -> None:
    recipe = {"order": ["a"], "stages": {"a": {"type": "length"}}}
    drops = msgspec.json.encode([("a", "too_short", 3)])
    directory = store_with(
        tmp_path / "run",
        facts=[("recipe", msgspec.json.encode(recipe))],
        outcomes=[(0, "dropped", drops, None), (1, "dropped", drops, None), (2, "failed", None, "a: x")],
        letters=[(2, "a", "2", b"{}", "x", "")],
    )
    (stage,) = facts_of(directory).stages
    assert (stage.received, stage.dropped, stage.failed, stage.passed) == (7, 6, 1, 0)


@pytest.mark.parametrize(
    ("costs", "shown"),
    [([None, None], "unknown price"), ([0.5, None], "at least $0.5000"), ([0.5, 1.0], "$1.50"), ([0.0], "$0.0000")],
)
def test_cost_is_told_as_far_as_it_is_known(tmp_path: Path, costs: list[float | None], shown: str) -> None:
    calls = [(n, "a", "0", 0, "main", b"{}", b"{}", 1, 1, 1, cost) for n, cost in enumerate(costs)]
    assert tile(page_of(store_with(tmp_path / "run", calls=calls)), "cost").strip() == shown


def test_useless_answers_count_as_spending(tmp_path: Path) -> None:
    directory = store_with(
        tmp_path / "run",
        calls=[(0, "a", "0", 0, "main", b"{}", b"{}", 10, 5, 2, 0.25)],
        wasted=[(1, "a", "main", 7, 3, 1, 0.5), (1, "b", "main", 1, 1, 1, None)],
    )
    facts = facts_of(directory)
    assert facts.spends == [Spend("main", "a", 1, 2, 3, 17, 8, 0.75, 0), Spend("main", "b", 0, 1, 1, 1, 1, None, 1)]
    assert facts.spent == Spend("all", "", 1, 3, 4, 18, 9, 0.75, 1)


def test_a_hundred_thousand_records_give_a_page_below_two_megabytes(tmp_path: Path) -> None:
    long = "<&\"'é" * 5_000
    rows = records(*[{"text": long if n % 2000 == 0 else "short", "n": n} for n in range(100_000)])
    rows[-1] = (100_000, 1, "x", encode(Record("x", {f"column {n}": long for n in range(50)})))
    trials = [Trial(id=n, first_ticket=n, tickets=1, settings={"a.prompt": long}, kind="explore") for n in range(1000)]
    letters = [(n, "a", str(n), msgspec.json.encode({"text": long}), long[: 60 + n], long) for n in range(100)]
    directory = store_with(
        tmp_path / "run",
        records=rows,
        letters=letters,
        trials=[(trial.id, msgspec.json.encode(trial)) for trial in trials],
        rewards=[(trial.id, msgspec.json.encode(Reward(value=float(trial.id), n=1))) for trial in trials],
    )
    path = write_report(directory)
    assert 100_000 < path.stat().st_size < 2_000_000
    page = Page(path.read_text(encoding="utf-8"))
    assert "50 of 100,000 accepted records" in page.text and "800 in the middle are left out" in page.text
    assert [sample.seq for sample in facts_of(directory).samples][::49] == [1, 100_000]


def test_metrics_of_any_shape_become_tables_and_bars() -> None:
    result = {"entropy": 0.5, "missing": None, "counts": {"a": 4, "b": 1}, "words": {"count": 2, "mean": 1.5}, "no": {}}
    assert blocks_of("balance", result) == [
        Block("balance", [Measure("entropy", "0.5"), Measure("missing", "-")]),
        Block("balance: counts", [Measure("a", "4", 1.0), Measure("b", "1", 0.25)]),
        Block("balance: words", [Measure("count", "2"), Measure("mean", "1.5")]),
    ]
    assert blocks_of("list", [1, 2]) == [Block("list", [Measure("", "[1, 2]")])]
    (many,) = blocks_of("m", {str(n): n for n in range(100)})
    assert (len(many.measures), many.more) == (30, 70)


def test_the_page_goes_where_it_is_told_and_replaces_the_last_one(tmp_path: Path) -> None:
    directory = store_with(tmp_path / "run")
    assert write_report(directory) == directory / "report.html"
    out = tmp_path / "deep" / "page.html"
    assert write_report(directory, out) == write_report(directory, out) == out
    assert sorted(path.name for path in out.parent.iterdir()) == ["page.html"]
    with pytest.raises(RecipeError, match=r"give it a name that ends in \.html, not 'run\.db'"):
        write_report(directory, directory / FILE_NAME)


def test_a_directory_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
