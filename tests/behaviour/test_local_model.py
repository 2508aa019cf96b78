"""The real model, fetched on first use: deselect with `-m "not model"`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import pytest

from streamgen.errors import EndpointError, MissingExtra, RecipeError
from streamgen.llm.embeddings import matrix
from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, as_messages
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec
from streamgen_adapters import llamacpp
from streamgen_adapters.llamacpp import LocalModel, open_local

LIST = CompletionRequest(prompt="Cities:\n- Paris\n- London\n-", max_tokens=8, stop=("\n",), seed=3, temperature=1.0)


@pytest.fixture
async def model() -> AsyncIterator[LocalModel]:
    pytest.importorskip("xllamacpp")
    opened = open_local(ModelSpec(provider="local", model="smollm2-135m", context=512, slots=2))
    yield opened
    await opened.aclose()


def process_of(model: LocalModel) -> subprocess.Popen[bytes]:
    assert model._server is not None
    return model._server.process


@pytest.mark.model
async def test_a_list_is_continued_and_the_same_seed_gives_the_same_text(model: LocalModel) -> None:
    first = await model.complete(LIST)
    assert first.text.strip() and "\n" not in first.text
    assert (await model.complete(LIST)).text == first.text
    assert (first.model, first.usage.prompt_tokens, first.finish_reason) == ("smollm2-135m", 11, "stop")
    others = {(await model.complete(msgspec.structs.replace(LIST, seed=seed))).text for seed in range(6)}
    assert len(others) > 1


@pytest.mark.model
async def test_vectors_come_from_a_process_of_their_own_which_ends_with_the_model(model: LocalModel) -> None:
    texts = ("a cat sits on the mat", "a cat sat on a mat", "stock prices fell sharply", "word " * 400)
    answer = await model.embed(EmbeddingRequest(texts=texts))
    rows = matrix(answer.vectors)
    assert rows.shape == (4, 576)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert answer.usage.prompt_tokens > 400 and answer.usage.completion_tokens == 0
    assert model._server is None and model._embedder is not None
    process = process_of(model._embedder)
    with pytest.raises(CallError, match=r"too large|exceed"):
        await model.embed(EmbeddingRequest(texts=("word " * 3000,)))
    await model.aclose()
    assert process.poll() is not None


@pytest.mark.model
async def test_answers_tell_how_likely_they_were(model: LocalModel) -> None:
    continued = await model.complete(msgspec.structs.replace(LIST, logprobs=True))
    said = await model.chat(ChatRequest(messages=as_messages("Say hi."), max_tokens=8, logprobs=True))
    assert all(response.logprob is not None and -20 < response.logprob < 0 for response in (continued, said))
    assert (await model.complete(LIST)).logprob is None


@pytest.mark.model
async def test_answers_fit_the_schema_and_calls_beyond_the_slots_wait_their_turn(model: LocalModel) -> None:
    city = {"type": "object", "properties": {"city": {"enum": ["Rome", "Graz"]}}, "required": ["city"]}
    found: list[str] = []

    async def ask(seed: int) -> None:
        request = ChatRequest(messages=as_messages("Name a city."), max_tokens=40, schema=city, seed=seed)
        found.append(msgspec.json.decode((await model.chat(request)).text)["city"])

    async with anyio.create_task_group() as group:
        for seed in range(5):
            group.start_soon(ask, seed)
    assert len(found) == 5
    assert set(found) <= {"Rome", "Graz"}


@pytest.mark.model
async def test_a_prompt_beyond_the_context_fails_the_call_only(model: LocalModel) -> None:
    with pytest.raises(CallError, match="context size") as caught:
        await model.complete(CompletionRequest(prompt="a " * 600))
    assert caught.value.kind is Kind.BAD_REQUEST
    assert (await model.complete(LIST)).text


@pytest.mark.model
async def test_nobody_without_the_key_is_answered(model: LocalModel) -> None:
    await model.complete(LIST)
    assert model._server is not None
    url = f"{model._server.address}/v1/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json={"prompt": "x"}) as answer:
        assert answer.status == 401
        assert answer.headers.get("Access-Control-Allow-Origin", "") == ""


@pytest.mark.model
async def test_the_loop_turns_while_the_model_loads(model: LocalModel) -> None:
    turns = 0
    with anyio.CancelScope() as counting:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                await model.complete(LIST)
                counting.cancel()

            group.start_soon(ask)
            while True:
                await anyio.sleep(0.01)
                turns += 1
    assert turns > 10  # loading takes half a second and more


@pytest.mark.model
async def test_closing_ends_the_process_and_a_later_call_starts_another(model: LocalModel) -> None:
    await model.complete(LIST)
    first = process_of(model)
    await model.aclose()
    await model.aclose()
    assert first.poll() == 0
    await model.complete(LIST)
    assert process_of(model).pid != first.pid


@pytest.mark.model
async def test_a_server_that_died_is_started_again(model: LocalModel) -> None:
    text = (await model.complete(LIST)).text
    first = process_of(model)
    first.kill()
    await anyio.to_thread.run_sync(first.wait)
    assert (await model.complete(LIST)).text == text


@pytest.mark.model
async def test_first_calls_at_once_start_one_server(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[object] = []
    launch = llamacpp._launch
    monkeypatch.setattr(llamacpp, "_launch", lambda options: launched.append(options) or launch(options))
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(model.complete, LIST)
    assert len(launched) == 1


@pytest.mark.model
async def test_a_start_that_is_cancelled_leaves_no_process(model: LocalModel) -> None:
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(model.complete, LIST)
        while model._starting.statistics().locked is False:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    process = process_of(model) if model._server else None
    await model.aclose()
    assert process is None or process.poll() == 0


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_the_server_ends_with_a_run_that_is_killed() -> None:
    pytest.importorskip("xllamacpp")
    psutil = pytest.importorskip("psutil")
    script = (
        "import anyio\n"
        "from streamgen.llm.model import CompletionRequest\n"
        "from streamgen.llm.spec import ModelSpec\n"
        "from streamgen_adapters.llamacpp import open_local\n"
        "async def main():\n"
        "    model = open_local(ModelSpec(provider='local', model='smollm2-135m', context=512, slots=1))\n"
        "    await model.complete(CompletionRequest(prompt='x', max_tokens=1))\n"
        "    print(model._server.process.pid, flush=True)\n"
        "    await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    async with await anyio.open_process([sys.executable, "-c", script]) as run:
        assert run.stdout is not None
        server = psutil.Process(int(await run.stdout.receive()))
        run.kill()
        await run.wait()
    _, alive = await anyio.to_thread.run_sync(psutil.wait_procs, [server], 30)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)  # nobody reaps it in some containers


async def test_a_file_that_is_no_gguf_is_named() -> None:
    pytest.importorskip("xllamacpp")
    model = open_local(ModelSpec(provider="local", path=__file__))
    with pytest.raises(EndpointError, match=r"cannot load .*test_local_model.py: .*GGUF"):
        await model.complete(LIST)
    await model.aclose()


def test_an_unknown_model_lists_the_known_ones_before_anything_starts() -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(RecipeError, match=r"no such model.*fetched on first use: smollm2-135m - at `model`"):
        open_local(ModelSpec(provider="local", model="smolm"))
    with pytest.raises(RecipeError, match="needs `model`"):
        open_local(ModelSpec(provider="local"))


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llamacpp, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[local\]'"):
        open_local(ModelSpec(provider="local", model="smollm2-135m"))


def test_slots_tell_how_many_calls_may_be_in_flight() -> None:
    pytest.importorskip("xllamacpp")
    assert open_local(ModelSpec(provider="local", model="smollm2-135m")).slots == 8
    assert open_local(ModelSpec(provider="local", model="smollm2-135m", slots=3)).slots == 3
