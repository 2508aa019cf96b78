"""`streamgen check`: what it finds out about endpoints of all kinds, and what it tells."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from streamgen.cli import main
from streamgen.command_check import _probe_all, _targets, line, table
from streamgen.llm.model import ChatRequest, EmbeddingRequest, Request
from streamgen.llm.probe import Finding
from streamgen.recipe import Recipe
from streamgen.record import Value
from streamgen.testing import HANG, HTML, Fault, ScriptedServer, embedded, prompt_of, refusal

SECRET = "sk-very-secret-0123456789"
GOOD = '{"name": "Ada", "age": 36}'


def answer(request: Request) -> str:
    """A person where a schema is asked for, else a word."""
    return GOOD if "person" in prompt_of(request) else "OK"


async def check(models: Mapping[str, Value], timeout_s: float = 10.0) -> list[Finding]:
    stage = {"name": "a", "type": "chat", "model": next(iter(models)), "prompt": "p"}
    targets = list(_targets(Recipe.parse({"models": models, "stages": [stage], "run": {"accept": 1}})))
    await _probe_all(targets, timeout_s)
    return [target.finding for target in targets]


async def one(server: ScriptedServer, timeout_s: float = 10.0, **spec: Value) -> Finding:
    (finding,) = await check({"m": {"base_url": server.base_url, "model": "scripted", **spec}}, timeout_s)
    return finding


async def test_a_good_endpoint_is_told_with_all_that_it_can_do() -> None:
    async with ScriptedServer(answer) as server:
        finding = await one(server, price={"input": 1.0, "output": 2.0})
    assert (finding.reachable, finding.key, finding.model, finding.usage, finding.priced) == (True,) * 5
    assert (finding.rung, finding.is_usable, finding.notes) == ("json_schema", True, [])
    assert (finding.logprobs, finding.embeddings, finding.streaming) == (False, False, False)
    assert finding.seconds is not None
    assert server.counters.requests == 5


def no_formats(request: Request, n: int) -> Fault | None:
    has_format = isinstance(request, ChatRequest) and (request.schema or request.extra)
    return refusal(400, "response_format is unknown") if has_format else None


async def test_the_rung_that_is_reached_is_told() -> None:
    async with ScriptedServer(answer, fault=no_formats) as server:
        assert (await one(server)).rung == "prompt"


async def test_an_answer_that_never_fits_is_a_note_and_no_failure() -> None:
    async with ScriptedServer() as server:
        finding = await one(server)
    assert finding.is_usable
    assert "no structured answer" in finding.notes[0]


async def test_limits_in_headers_are_told() -> None:
    def limited(request: Request, n: int) -> Fault:
        headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "480"}
        return Fault(body=b'{"choices": [{"message": {"content": "{}"}}]}', headers=headers)

    async with ScriptedServer(fault=limited) as server:
        finding = await one(server)
    assert "480 of 500 requests" in line(finding)
    assert finding.usage is False


@pytest.mark.parametrize(
    ("fault", "facts", "said"),
    [
        (refusal(401, f"bad key {SECRET}"), (True, False, None), "check the key"),
        (refusal(404, "no such model"), (True, True, False), "check `model`"),
        (refusal(402, "no credit"), (True, True, None), "no credit left"),
        (refusal(429, "slow down"), (True, True, None), "wait until the limit is free"),
        (refusal(500, "oops"), (True, None, None), "server's log"),
        (HTML, (False, None, None), "OpenAI-compatible"),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, facts: tuple[bool | None, ...], said: str
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    async with ScriptedServer(fault=lambda request, n: fault) as server:
        finding = await one(server, api_key="env:MY_KEY")
    assert (finding.reachable, finding.key, finding.model) == facts
    assert not finding.is_usable
    console = Console(width=400, file=StringIO())
    console.print(table([finding]))
    for text in (line(finding), console.file.getvalue(), msgspec.json.encode(finding).decode()):
        assert said in text
        assert SECRET not in text


async def test_an_unknown_model_is_told_with_those_that_there_are() -> None:
    async with ScriptedServer(fault=lambda request, n: refusal(404, "no such model")) as server:
        finding = await one(server, model="gpt-9")
    assert "the server knows scripted, but not gpt-9" in str(finding.fix)


async def test_an_endpoint_that_hangs_is_given_up() -> None:
    async with ScriptedServer(fault=lambda request, n: HANG) as server:
        finding = await one(server, timeout_s=0.2)
    assert (finding.problem, finding.is_usable) == ("no answer within 0.2 s", False)


async def test_every_server_of_a_model_is_checked() -> None:
    async with ScriptedServer(answer) as server, ScriptedServer(answer, fault=lambda *_: refusal(401)) as other:
        lanes = [{"base_url": server.base_url}, {"base_url": other.base_url}]
        found = await check({"m": {"model": "scripted", "endpoints": lanes}})
    assert [(finding.name, finding.is_usable) for finding in found] == [("m[0]", True), ("m[1]", False)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_the_command_ends_with_1_where_an_endpoint_fails_and_2_for_a_recipe_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    models = {"m": {"base_url": f"http://127.0.0.1:{free_port()}/v1", "model": "x"}}
    stages = [{"name": "a", "type": "chat", "model": "m", "prompt": "p"}]
    path.write_bytes(msgspec.json.encode({"models": models, "stages": stages, "run": {"accept": 1}}))
    told = CliRunner().invoke(main, ["check", str(path)])
    assert (told.exit_code, told.stdout.count("\n")) == (1, 1)
    assert "m (127.0.0.1:" in told.stdout
    assert "check `base_url`" in told.stdout
    assert "tiny calls" in told.stderr
    (found,) = msgspec.json.decode(CliRunner().invoke(main, ["check", str(path), "--json"]).stdout)
    assert found["reachable"] is False
    path.write_bytes(msgspec.json.encode({"stages": [], "source": {"type": "list", "rows": []}}))
    assert CliRunner().invoke(main, ["check", str(path)]).exit_code == 2


async def test_a_server_that_only_makes_vectors_is_of_use() -> None:
    def refuse(request: Request, n: int) -> Fault | None:
        return None if isinstance(request, EmbeddingRequest) else refusal(400, "this model does not chat")

    async with ScriptedServer(lambda request: embedded([1.0, 0.0]), fault=refuse) as server:
        finding = await one(server)
    assert finding.is_usable and finding.embeddings and finding.model
    assert finding.notes == ["it makes vectors of texts (context.embed), and writes none"]
