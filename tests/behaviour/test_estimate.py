"""Estimates from a pilot: exact figures on virtual time, and what is kept of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from click.testing import CliRunner, Result
from runs import CHAT, asked, check_whole, make, model

import streamgen
from streamgen import registry
from streamgen.cli import main as cli
from streamgen.errors import BudgetExhausted, RecipeError
from streamgen.llm.model import Response
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec
from streamgen.pilot import Estimate, estimate
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Usage
from streamgen.summary import Summary
from streamgen.testing import Scripted
from streamgen.virtual_time import run_virtual


def priced(usd: float | None = 0.002) -> Scripted:
    return model(lambda request: Response("fine", usage=Usage(20, 10, cost_usd=usd), model="m"), 0.5)


def keep(record: Record, context: object) -> bool:
    """Three tickets of four."""
    return int(record.id) % 4 != 0


SIEVE = StageSpec(name="sieve", type=keep)
PARALLEL = {**CHAT, "parallel": 4}


def pilot(recipe: Recipe, directory: Path, tickets: int = 20, *, stays: bool = True) -> Estimate:
    async def work(recipe: Recipe, directory: Path) -> Summary:
        async with streamgen.open(recipe, directory=directory, tickets=tickets) as run:
            return await run.finish()

    async def main() -> Estimate:
        return await estimate(recipe, directory, work, keep=stays)

    return run_virtual(main)


def test_a_pilot_tells_what_the_whole_run_will_take(tmp_path: Path) -> None:
    main = priced()
    recipe = make(main, 1000, [PARALLEL], after=[SIEVE], run={"accept": 300})
    found = pilot(recipe, tmp_path)
    assert len(main.requests) == 20
    whole, paid = found.whole, found.pilot
    assert (paid.tickets, paid.records, paid.requests, paid.tokens) == (20, 15, 20, 600)
    assert paid.usd == pytest.approx(0.04) and 2.5 <= paid.seconds < 2.6
    assert (whole.acceptance.value, whole.tickets.value, whole.requests.value) == (0.75, 400, 400)
    assert (whole.tokens.value, whole.usd.value) == (12_000, pytest.approx(0.8))
    assert whole.seconds.value == pytest.approx(400 * 0.5 / 4)
    assert whole.limited_by == "4 calls at once to main"
    for interval in (whole.acceptance, whole.tickets, whole.requests, whole.tokens, whole.usd, whole.seconds):
        assert interval.low is not None and interval.high is not None and interval.value is not None
        assert interval.low <= interval.value <= interval.high
    assert whole.acceptance.low == pytest.approx(0.5313, abs=1e-4)  # Wilson's, of 15 in 20
    assert (found.at_least, found.notes) == (False, [])


def test_the_run_goes_on_from_its_pilot_and_pays_nothing_twice(tmp_path: Path) -> None:
    main = priced()
    recipe = make(main, 40, [PARALLEL], after=[SIEVE], run={"accept": 30})
    assert pilot(recipe, tmp_path).pilot.directory == str(tmp_path)
    again = pilot(recipe, tmp_path, 8)
    assert (again.pilot.tickets, again.pilot.records, len(main.requests)) == (8, 6, 28)
    summary = streamgen.run(recipe, directory=tmp_path)
    assert (summary.end.reason, summary.statistics.accepted) == ("done", 30)
    assert set(asked(main).values()) == {1}
    check_whole(tmp_path)


def test_a_source_is_counted_where_all_of_it_is_taken(tmp_path: Path) -> None:
    found = pilot(make(priced(), 500, [PARALLEL]), tmp_path)
    assert found.accept is None
    assert (found.whole.tickets.low, found.whole.tickets.value, found.whole.tickets.high) == (500, 500, 500)
    assert (found.whole.tokens.low, found.whole.tokens.high) == (15_000, 15_000)


def test_a_source_without_an_end_needs_a_number_of_records(tmp_path: Path) -> None:
    raw = {"source": {"type": "list", "rows": [{"n": 1}], "repeat": True}}
    with pytest.raises(RecipeError, match=r"has no end.*run\.accept"):
        pilot(make(priced(), **raw), tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("limits", "seconds", "said"), [
    ({"requests_per_minute": 60}, 100, "60 requests a minute of main"),
    ({"tokens_per_minute": 600}, 300, "600 tokens a minute of main"),
    ({"concurrency": 2}, 25, "2 calls at once to main"),
])  # fmt: skip
def test_time_is_bounded_by_what_the_recipe_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], seconds: float, said: str
) -> None:
    monkeypatch.setitem(registry.BUILTIN["models"], "fake", f"{__name__}:open_fake")
    recipe = make(None, 1000, [{**CHAT, "parallel": 16}], run={"accept": 100})
    spec = msgspec.convert({"provider": "fake", "limits": limits}, ModelSpec)
    whole = pilot(msgspec.structs.replace(recipe, models={"main": spec}), tmp_path).whole
    assert whole.seconds.value == pytest.approx(seconds) and whole.limited_by == said


def open_fake(spec: object) -> Scripted:
    return priced(None)


def test_an_unknown_price_is_null_and_told(tmp_path: Path) -> None:
    found = pilot(make(priced(None), 100, [PARALLEL]), tmp_path)
    assert (found.whole.usd.value, found.whole.usd.low, found.pilot.usd, found.at_least) == (None, None, None, False)
    assert "the price of main is unknown: set `price = " in found.notes[0]


def test_a_price_that_is_known_in_part_is_at_least_that(tmp_path: Path) -> None:
    recipe = make(priced(), 100, [PARALLEL])
    again = msgspec.structs.replace(recipe.stages[0], name="again")
    again = msgspec.structs.replace(again, settings=msgspec.structs.replace(again.settings, model="other"))
    models = {"main": priced(), "other": priced(None)}
    found = pilot(msgspec.structs.replace(recipe, models=models, stages=(*recipe.stages, again)), tmp_path)
    assert found.at_least and found.whole.usd.value == pytest.approx(0.2)
    assert "the price of other is unknown" in found.notes[0]


def test_a_pilot_without_a_record_tells_only_what_is_the_least(tmp_path: Path) -> None:
    nothing = StageSpec(name="sieve", type=lambda record, context: False)
    found = pilot(make(priced(), 100, [PARALLEL], after=[nothing], run={"accept": 50}), tmp_path)
    assert (found.whole.acceptance.value, found.whole.tickets.value, found.whole.tickets.high) == (0.0, None, None)
    assert found.whole.tickets.low is not None and found.whole.tickets.low > 50 / 0.2
    assert "no ticket of the pilot gave a record" in found.notes[0]


def test_a_pilot_stays_within_the_budget_and_says_what_it_is_worth(tmp_path: Path) -> None:
    main = priced()
    recipe = make(main, 1000, [PARALLEL], run={"accept": 100, "budget": {"requests": 10}})
    found = pilot(recipe, tmp_path)
    assert (len(main.requests), found.pilot.tickets, found.whole.requests.value) == (10, 10, 100)
    assert "the pilot was cut short: the budget of 10 requests" in found.notes[0]
    assert found.notes[1] == "the budget of requests is about 10% of it: raise `run.budget.requests`"
    with pytest.raises(BudgetExhausted, match="could not end a ticket: the budget of 10 requests"):
        pilot(recipe, tmp_path)


def test_there_is_nothing_to_estimate_of_a_run_that_is_done(tmp_path: Path) -> None:
    recipe = make(priced(), 10, [PARALLEL], run={"accept": 5})
    assert pilot(recipe, tmp_path).pilot.records >= 5
    with pytest.raises(RecipeError, match="nothing to estimate: 5 records accepted"):
        pilot(recipe, tmp_path)


def test_tickets_that_fail_count_as_tickets(tmp_path: Path) -> None:
    def answer(request: object) -> Response:
        if len(main.requests) % 5 == 0:
            raise CallError(Kind.BAD_REQUEST, "filtered", usage=Usage(20, 0, cost_usd=0.001))
        return Response("fine", usage=Usage(20, 10, cost_usd=0.002))

    main = model(answer, 0.5)
    found = pilot(make(main, 1000, [PARALLEL], run={"accept": 80}), tmp_path)
    assert (found.pilot.records, found.pilot.tokens) == (16, 16 * 30 + 4 * 20)
    assert found.whole.tickets.value == 100 and found.whole.usd.value == pytest.approx(80 * 0.002 + 20 * 0.001)


RECIPE = """
name = "asked"
[models.main]
base_url = "{base_url}"
model = "scripted"
price = {{ input = 100.0, output = 200.0 }}
[source]
type = "list"
rows = [{rows}]
[[stages]]
name = "answer"
type = "chat"
model = "main"
prompt = "question {{{{ n }}}}"
output = "text"
[[sinks]]
type = "jsonl"
path = "records.jsonl"
"""


@pytest.fixture
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "streamgen.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        yield child.stdout.readline().strip()
        child.terminate()


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def counters(base_url: str) -> dict[str, Any]:
    with urlopen(base_url.removesuffix("/v1") + "/counters") as page:
        counted: dict[str, Any] = json.load(page)
    return counted


def test_the_command_prints_the_estimate_and_the_run_uses_its_records(tmp_path: Path, server: str) -> None:
    """A question has 2 tokens, its answer 5."""
    recipe, out = tmp_path / "recipe.toml", tmp_path / "out"
    rows = ", ".join(f"{{ n = {n} }}" for n in range(50))
    recipe.write_text(RECIPE.format(base_url=server, rows=rows))
    shown = call("estimate", recipe, "--tickets", 5, "--out", out)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"tokens +350 +350 to 350\b", shown.stdout) and "$0.0600 to $0.0600" in shown.stdout
    assert "5 tickets gave 5 records and took 5 requests, 35 tokens, $0.0060," in shown.stdout
    assert "goes on" in shown.stdout
    found = json.loads(call("estimate", recipe, "--tickets", 5, "--out", out, "--json").stdout)
    assert found["whole"]["usd"]["value"] == pytest.approx(50 * (2 * 100 + 5 * 200) / 1e6)
    assert found["pilot"]["requests"] == 5
    assert call("run", recipe, "--out", out).exit_code == 0
    assert len((out / "records.jsonl").read_text().splitlines()) == 50
    assert set(counters(server)["paid"].values()) == {1} and counters(server)["requests"] == 50
    assert "thrown away" in call("estimate", recipe, "--tickets", 3).stdout
    assert counters(server)["requests"] == 53


def test_what_stops_the_pilot_is_told_with_its_exit_code(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(base_url="http://127.0.0.1:9/v1", rows="{ n = 1 }"))
    unreachable = call("estimate", recipe, "--set", "models.main.retry.attempts=1")
    assert unreachable.exit_code == 1 and "error: endpoint 'main'" in unreachable.stderr
    spent = call("estimate", recipe, "--set", "run.budget.requests=0")
    assert spent.exit_code == 3 and "the budget of 0 requests" in spent.stderr


def test_a_model_that_runs_here_costs_nothing_and_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILTIN["models"], "local", f"{__name__}:open_fake")
    recipe = msgspec.structs.replace(make(None, 100, [PARALLEL]), models={"main": ModelSpec(provider="local")})
    found = pilot(recipe, tmp_path)
    assert (found.whole.usd.value, found.pilot.usd, found.at_least, found.notes) == (0.0, 0.0, False, [])


def test_calls_that_the_run_would_drop_are_there_for_the_estimate(tmp_path: Path) -> None:
    found = pilot(make(priced(), 100, [PARALLEL], run={"retain": "accepted"}), tmp_path)
    assert (found.pilot.requests, found.whole.requests.value) == (20, 100)
