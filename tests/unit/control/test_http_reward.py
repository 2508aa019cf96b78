from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketStream

from streamgen.control.http_reward import MAX_ANSWER_BYTES, HttpReward, HttpSettings
from streamgen.control.reward import TrialFacts
from streamgen.decode import decode
from streamgen.errors import RecipeError, RewardError
from streamgen.record import Meta, Record

RECORDS = [Record("0", {"text": "a", "label": "x"}, Meta(trial=3)), Record("1", {"text": "b", "label": "y"})]


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


GOOD = answer(b'{"score": 0.5, "n": 2}')
SILENCE = b""
HANG = None


class Server:
    """Gives each connection the next of some answers, as bytes; keeps what it was sent."""

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.url = ""

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            received = b""
            while not _is_whole(received):
                received += await stream.receive()
            self.requests.append(received)
            if (reply := self.answers.pop(0)) is None:
                await anyio.sleep_forever()
            else:
                await stream.send(reply)

    @property
    def bodies(self) -> list[Any]:
        return [msgspec.json.decode(request.partition(b"\r\n\r\n")[2]) for request in self.requests]


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return bool(end) and len(body) >= lengths[0]


@asynccontextmanager
async def serving(*answers: bytes | None) -> AsyncIterator[Server]:
    server = Server(answers)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    server.url = f"http://127.0.0.1:{port}/score"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.handle)
        yield server
        group.cancel_scope.cancel()


def reward(server: Server, **more: Any) -> HttpReward:
    return HttpReward(HttpSettings(url=server.url, metric="score", pause_s=0.0, **more))


async def test_records_are_posted_without_provenance_and_the_answer_is_the_metrics() -> None:
    async with serving(GOOD) as server:
        assert await reward(server).score(RECORDS, []) == {"score": 0.5, "n": 2}
    assert server.bodies == [
        {
            "records": [
                {"id": "0", "columns": {"text": "a", "label": "x"}},
                {"id": "1", "columns": {"text": "b", "label": "y"}},
            ],
            "facts": None,
        }
    ]


async def test_only_the_chosen_columns_are_sent_and_the_facts_come_along() -> None:
    async with serving(GOOD) as server:
        await reward(server, columns=("text",)).score(RECORDS, [], facts=TrialFacts(tickets=4, accepted=2, tokens=9))
    (body,) = server.bodies
    assert [record["columns"] for record in body["records"]] == [{"text": "a"}, {"text": "b"}]
    assert body["facts"] == {"tickets": 4, "accepted": 2, "tokens": 9, "usd": None, "seconds": 0.0}


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORER_KEY", "hush-hush")
    async with serving(GOOD) as server:
        await reward(server, api_key="env:SCORER_KEY", headers={"X-Team": "a"}).score(RECORDS, [])
    assert b"Authorization: Bearer hush-hush" in server.requests[0]
    assert b"X-Team: a" in server.requests[0]


@pytest.mark.parametrize(
    "bad",
    [
        answer(b"busy", "503 Service Unavailable"),
        answer(b"slow down", "429 Too Many Requests", "Retry-After: 0\r\n"),
        answer(b"", "500 Oops", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        SILENCE,
        b"\x00\xff no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        answer(b'{"score": 0.'),
        answer(b'{"score": NaN}'),
    ],
)
async def test_what_may_pass_is_tried_again(bad: bytes) -> None:
    async with serving(bad, GOOD) as server:
        assert (await reward(server).score(RECORDS, []))["score"] == 0.5
    assert len(server.requests) == 2


async def test_what_does_not_pass_is_tried_as_often_as_allowed() -> None:
    async with serving(*[answer(b"still busy", "503 Service Unavailable")] * 3) as server:
        with pytest.raises(RewardError, match="answered 503: still busy, also after 2 retries"):
            await reward(server, retries=2).score(RECORDS, [])
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (answer(b"no such key sk-abcdefgh12345678", "401 Unauthorized"), r"answered 401: no such key \*\*\*"),
        (answer(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "answered 302"),
        (answer(b"[0.5]"), "no object of numbers"),
        (answer(b"0" * (MAX_ANSWER_BYTES + 1)), "longer than"),
    ],
)
async def test_what_will_not_pass_fails_at_once(bad: bytes, message: str) -> None:
    async with serving(bad) as server:
        with pytest.raises(RewardError, match=message):
            await reward(server).score(RECORDS, [])
    assert len(server.requests) == 1


async def test_a_service_that_hangs_is_given_up() -> None:
    async with serving(HANG, HANG) as server:
        with pytest.raises(RewardError, match=r"no answer within timeout_s = 0\.05, also after 1 retries"):
            await reward(server, timeout_s=0.05, retries=1).score(RECORDS, [])


async def test_a_service_that_is_not_there_is_named() -> None:
    async with serving() as server:
        pass
    with pytest.raises(RewardError, match=f"{server.url}: it cannot be reached"):
        await reward(server, retries=0).score(RECORDS, [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"url": "ftp://host/x"}, "http://host:port"),
        ({"url": "host/x"}, "http://host:port"),
        ({"url": "http://me:secret@host/"}, "no passwords"),
        ({"api_key": "sk-abcdefgh12345678"}, "must name an environment variable"),
        ({"headers": {"Authorization": "Bearer x"}}, "must name an environment variable"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_a_key(more: dict[str, Any], message: str) -> None:
    settings = decode({"url": "http://host/", "metric": "m", **more}, HttpSettings)
    with pytest.raises(ValueError, match=message) as caught:
        settings.check()
    assert "secret" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)


def test_a_key_that_is_not_set_is_named() -> None:
    with pytest.raises(RecipeError, match="NO_SUCH_KEY is not set"):
        HttpReward(HttpSettings(url="http://host/", metric="m", api_key="env:NO_SUCH_KEY"))
