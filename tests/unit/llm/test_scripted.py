import anyio
import pytest

from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Request, Response
from streamgen.record import Usage
from streamgen.testing import prompt_of, scripted
from streamgen.virtual_time import run_virtual

ASK = ChatRequest(messages=(Message("system", "be short"), Message("user", "one two three")))


async def test_a_list_is_cycled() -> None:
    model = scripted(["a", "b"])
    assert [(await model.chat(ASK)).text for _ in range(5)] == ["a", "b", "a", "b", "a"]
    assert model.requests == [ASK] * 5


async def test_a_list_that_does_not_repeat_ends() -> None:
    model = scripted(["a"], repeat=False)
    await model.chat(ASK)
    with pytest.raises(AssertionError, match="no answer for request 2"):
        await model.chat(ASK)


async def test_tokens_are_words() -> None:
    assert (await scripted(["yes indeed"]).chat(ASK)).usage == Usage(3, 2)


async def test_a_response_is_given_as_it_is_and_an_exception_is_raised() -> None:
    response = Response("cut", "length", Usage(1, 1))
    model = scripted([response, KeyError("x")])
    assert await model.complete(CompletionRequest(prompt="1.")) is response
    with pytest.raises(KeyError):
        await model.chat(ASK)


async def test_a_function_sees_the_request() -> None:
    async def later(request: Request) -> str:
        return prompt_of(request).upper()

    for answers in (lambda request: prompt_of(request).upper(), later):
        assert (await scripted(answers).chat(ASK)).text == "ONE TWO THREE"


def test_latency_is_time_of_the_loop() -> None:
    async def main() -> float:
        await scripted(["a"], latency_s=7.0).chat(ASK)
        return anyio.current_time()

    assert run_virtual(main) == 7.0
