from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgen.context import StageContext
from streamgen.control.agent import Reward, Trial
from streamgen.engine.graph import build_graph
from streamgen.engine.stage import Drop, Memory, Result, Stage
from streamgen.errors import RecipeError
from streamgen.journal.store import Store
from streamgen.llm.spec import ModelSpec
from streamgen.readmit import readmitting
from streamgen.recipe import Part, Recipe, RunSpec
from streamgen.record import Record
from streamgen.resume import adopt, differences, memories_of, past_of


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, ["$.a.b: [1] -> [2]"]),
        ({"a": 1}, {"b": 2}, ["$.a: 1 -> null", "$.b: null -> 2"]),
        ({"a": {}}, {"a": 3}, ["$.a: {} -> 3"]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": "x" * 100}, {"a": ""}, ['$.a: "' + "x" * 76 + '... -> ""']),
    ],
)
def test_differences_have_their_places(old: Any, new: Any, said: list[str]) -> None:
    assert list(differences(old, new)) == said


def test_a_recipe_that_only_changes_how_it_runs_is_adopted() -> None:
    store = Store(None)
    source = Part(type="list", name="list")
    adopt(store, Recipe(name="a", source=source, run=RunSpec(accept=1)))
    adopt(store, Recipe(name="b", source=source, run=RunSpec(accept=9, ordered=True)))
    with pytest.raises(RecipeError, match=r"\$\.seed: 0 -> 1"):
        adopt(store, Recipe(source=source, seed=1))
    store.close()


def served(**model: Any) -> Recipe:
    return Recipe(models={"main": msgspec.convert({"base_url": "http://a/v1", "model": "m", **model}, ModelSpec)})


def test_servers_may_change_but_not_the_models_that_they_have() -> None:
    store = Store(None)
    adopt(store, served())
    other = {"base_url": "http://b/v1"}
    adopt(store, served(endpoints=[other, {"base_url": "http://c/v1", "limits": {"concurrency": 3}}]))
    adopt(store, served(model=None, endpoints=[{**other, "model": "m"}]))
    with pytest.raises(RecipeError, match=r'\$\.models\.main\.model: "m" -> \["m","n"\]'):
        adopt(store, served(endpoints=[{}, {**other, "model": "n"}]))
    store.close()


def test_a_recipe_from_python_may_hold_functions() -> None:
    store = Store(None)
    raw = {"controller": {"reward": {"function": print}}}
    adopt(store, msgspec.structs.replace(Recipe(source=Part(type=iter)), raw=raw))
    assert store.fact("recipe.raw") == b'{"controller":{"reward":{"function":"builtins:print"}}}'
    store.close()


def test_the_past_of_a_fresh_journal_is_empty() -> None:
    store = Store(None)
    past = past_of(store)
    assert (past.sessions, past.unsettled, past.following, past.minutes) == (0, (), 0, 0.0)
    store.close()


def test_trials_come_in_order_and_rewards_in_that_of_their_telling() -> None:
    store = Store(None)
    trials = [Trial(id=n, first_ticket=4 * n, tickets=4, settings={}, kind="explore") for n in range(3)]
    rewards = [(n, Reward(value=float(n))) for n in (2, 0, 1)]
    store.commit(
        {
            "sessions": [(1, 0.0, 1.0, "stopped", b"")],
            "trials": [(trial.id, msgspec.json.encode(trial)) for trial in reversed(trials)],
            "rewards": [(n, msgspec.json.encode(reward)) for n, reward in rewards],
        }
    )
    past = past_of(store)
    assert (past.trials, past.rewards) == (trials, rewards)
    store.close()


def test_the_past_tells_what_was_paid_stored_and_left_open() -> None:
    store = Store(None)
    response = b'{"text":"hi"}'
    store.commit(
        {
            "sessions": [(1, 0.0, 90.0, "running", b""), (2, 0.0, 30.0, "stopped", b"")],
            "outcomes": [(0, "accepted", None, None), (2, "accepted", None, None)],
            "calls": [
                (n, "a", f"{n}.0", 3, "main", b"{}", response, 10, 5, 1, 0.5) for n in (0, 1)
            ],
            "wasted": [(0, "a", "main", 1, 2, 3, 0.25), (0, "b", "main", 0, 0, 1, None)],
            "records": [(1, 0, "0.0", b"{}"), (2, 1, "1.0", b"{}")],
            "surplus": [(1, "1.1", b"{}"), (2, "2", b"{}")],
            "retunes": [(5, b'{"a.x":1}')],
            "letters": [(2, "source", "2", b"{}", "no row", ""), (3, "a", "3", b"{}", "no", "")],
        }
    )  # fmt: skip
    past = past_of(store)
    assert (past.sessions, past.minutes, past.unsettled, past.following) == (2, 2.0, [1], 3)
    assert [(key, stored.text) for key, stored in past.replay.items()] == [((1, "a", "1.0", 3), "hi")]
    assert (past.accepted, past.surplus) == ({"1.0"}, {"1.1"})
    spent = [each for stages in store.progress().spent.values() for each in stages.values()]
    columns = zip(
        *((each.prompt_tokens, each.completion_tokens, each.requests, each.usd) for each in spent), strict=True
    )
    assert [sum(column) for column in columns] == [21, 12, 6, 1.25]
    assert past.retunes == [(5, {"a.x": 1})]
    assert past.bad_rows == 1
    store.close()


class Once:
    """Lets each text pass once, and knows those that were accepted."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, records: Sequence[Record], context: StageContext[None]) -> Sequence[Result]:
        return [Drop("seen") if record["x"] in self.seen else record for record in records]

    def restore(self, records: Sequence[Record]) -> None:
        self.seen.update(record["x"] for record in records)


def test_what_led_to_an_accepted_record_is_no_duplicate_of_itself() -> None:
    memory = Once()
    memory.restore([Record("5.1.0", {"x": "same"})])
    (stage,) = readmitting(build_graph([Stage(name="d", handler=memory)]), {"5.1.0"}).stages
    records = [Record("5.1", {"x": "same"}), Record("5.2", {"x": "same"}), Record("6", {"x": "other"})]
    results = stage.handler(records, StageContext("d", None))  # type: ignore[arg-type]
    assert results == [True, Drop("seen"), records[2]]


def test_without_such_records_the_graph_is_the_same() -> None:
    graph = build_graph([Stage(name="d", handler=Once())])
    assert readmitting(graph, frozenset()) is graph


def test_only_memories_of_tickets_that_come_again_have_their_records() -> None:
    store = Store(None)
    ids = ("0", "1.0", "2/b", "3")
    store.commit(
        {
            "sessions": [(1, 0.0, 1.0, "running", b"")],
            "outcomes": [(ticket, "dropped", None, None) for ticket in (0, 2)],
            "memories": [("d", id_, id_.encode()) for id_ in ids],
        }
    )
    store.commit({"memories": [("e", "0", b"another"), ("d", "0.1", b"more")]})
    memories = [memory for page in memories_of(store, "d", past_of(store)) for memory in page]
    assert memories == [
        Memory(b"0"), Memory(b"1.0", "1.0"), Memory(b"2/b"), Memory(b"3", "3"), Memory(b"more"),
    ]  # fmt: skip
    store.close()


def test_a_lock_file_alone_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("1")
    store = Store(tmp_path / "run.db")
    assert past_of(store).sessions == 0
    store.close()
