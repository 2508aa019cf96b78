"""The mock endpoint does what its configuration says, and counts it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import wraps

import msgspec
import pytest
from mock_client import Client, open_endpoint

from benchmarks.endpoint.config import Config, Rate
from benchmarks.endpoint.connection import Connection
from benchmarks.endpoint.counters import window_sums
from benchmarks.endpoint.draws import key_of
from benchmarks.endpoint.faults import fault_of
from benchmarks.endpoint.latency import service_s
from streamgen.virtual_time import run_virtual


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """The test on virtual time."""

    @wraps(test)
    def run() -> None:
        run_virtual(test)

    del run.__wrapped__  # type: ignore[attr-defined]  # or pytest takes it for an async test
    return run


@virtual
async def test_an_answer_depends_on_the_prompt_alone_and_tells_its_usage():
    endpoint = open_endpoint()
    first, again, other = (Client(endpoint).ask(prompt) for prompt in ("a", "a", "b"))
    assert first.status == 200
    assert first.body == again.body != other.body
    usage = json.loads(first.body)["usage"]
    assert usage["prompt_tokens"] == 1
    assert usage["total_tokens"] == 1 + usage["completion_tokens"]
    assert len(first.text.split()) == 61  # sixty words behind the prompt's number


@virtual
async def test_requests_that_arrive_in_pieces_or_together_are_read():
    endpoint = open_endpoint()
    body = b'{"messages":[{"content":"a"}]}'
    request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    client = Client(endpoint)
    for byte in request[:-1]:
        client.connection.data_received(bytes([byte]))
    assert client.status is None
    client.connection.data_received(request[-1:] + request + request)
    assert client.wire.written.count(b"HTTP/1.1 200 OK") == 3


@virtual
async def test_a_body_without_its_length_is_refused():
    client = Client(open_endpoint())
    client.connection.data_received(b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.status == 411
    assert client.wire.is_closed


@virtual
async def test_counters_are_told_and_cleared():
    endpoint = open_endpoint()
    for prompt in ("a", "a", "b"):
        Client(endpoint).ask(prompt)
    client = Client(endpoint)
    client.connection.data_received(b"GET /counters HTTP/1.1\r\n\r\n")
    counted = json.loads(client.body)
    assert (counted["requests"], counted["distinct_prompts"], counted["paid"]) == (3, 2, 3)
    assert (counted["paid_more_than_once"], counted["times_paid"]) == (1, {"2": 1, "1": 1})
    other = Client(endpoint)
    other.connection.data_received(b"GET /progress HTTP/1.1\r\n\r\n")
    assert json.loads(other.body) == {"requests": 3, "paid": 3, "in_flight": 0}
    client.connection.data_received(b"POST /reset HTTP/1.1\r\n\r\n")
    assert endpoint.counters.summary()["requests"] == 0


@virtual
async def test_a_slow_endpoint_answers_after_its_latency():
    endpoint = open_endpoint(latency_ms=200)
    client = Client(endpoint).ask("a")
    await asyncio.sleep(0.199)
    assert client.status is None
    await asyncio.sleep(0.002)
    assert client.status == 200


def test_log_normal_latency_has_its_median_and_is_drawn_anew_for_the_same_prompt():
    config = Config(latency_ms=200, latency_sigma=1.0)
    drawn = sorted(service_s(config, key_of(f"prompt {n}"), 0) for n in range(2000))
    assert drawn[1000] == pytest.approx(0.2, rel=0.1)
    assert drawn[1682] == pytest.approx(0.2 * 2.718, rel=0.1)  # one sigma above
    assert service_s(config, 7, 0) == service_s(config, 7, 0) != service_s(config, 7, 1)


@virtual
async def test_beyond_its_slots_requests_wait_in_order():
    endpoint = open_endpoint(latency_ms=100, slots=2)
    clients = [Client(endpoint).ask(str(n)) for n in range(5)]
    done = []
    for _ in range(3):
        await asyncio.sleep(0.1001)
        done.append([client.status for client in clients].count(200))
    assert done == [2, 4, 5]
    summary = endpoint.counters.summary()
    assert (summary["max_in_flight"], summary["in_flight"]) == (5, 0)


@virtual
async def test_beyond_its_slots_requests_are_refused_where_that_is_said():
    endpoint = open_endpoint(latency_ms=100, slots=2, when_full="refuse")
    assert [Client(endpoint).ask(str(n)).status for n in range(3)] == [None, None, 429]
    await asyncio.sleep(0.11)
    assert Client(endpoint).ask("3").status is None


@virtual
async def test_a_rate_refuses_what_is_above_its_burst_and_says_when_in_whole_seconds():
    endpoint = open_endpoint(requests=Rate(amount=100, per_s=1, burst=10))
    clients = [Client(endpoint).ask(str(n)) for n in range(12)]
    assert [client.status for client in clients] == [200] * 10 + [429] * 2
    assert clients[-1].headers["retry-after"] == "1"
    assert "x-ratelimit-limit-requests" not in clients[0].headers
    await asyncio.sleep(0.0201)
    assert [Client(endpoint).ask(str(n)).status for n in range(3)] == [200, 200, 429]
    assert endpoint.counters.summary()["statuses"] == {"200": 12, "429": 3}


@virtual
async def test_buckets_are_told_in_headers_where_that_is_said():
    endpoint = open_endpoint(requests=Rate(amount=60, burst=10), tokens=Rate(amount=6_000, burst=1_000), headers=True)
    headers = Client(endpoint).ask("a").headers
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-ratelimit-reset-requests"] == "1000ms"
    assert int(headers["x-ratelimit-remaining-tokens"]) < 1_000


@virtual
async def test_a_token_bucket_counts_prompt_and_answer():
    endpoint = open_endpoint(tokens=Rate(amount=60_000, burst=300))
    clients = [Client(endpoint).ask(f"prompt {n}") for n in range(4)]
    assert [client.status for client in clients].count(429) >= 1
    let_in = [json.loads(client.body)["usage"]["total_tokens"] for client in clients if client.status == 200]
    assert sum(let_in) <= 300
    assert endpoint.counters.summary()["tokens"] == sum(let_in)


def faulty(name, **more):
    return open_endpoint(faults={name: 1.0}, **more)


@pytest.mark.parametrize("name", ["500", "503"])
def test_a_broken_server_answers_with_its_status(name):
    async def main():
        endpoint = faulty(name)
        assert Client(endpoint).ask("a").status == int(name)
        assert endpoint.counters.summary()["paid"] == 0

    run_virtual(main)


@virtual
async def test_useless_answers_are_well_formed_but_where_that_is_the_fault():
    empty, truncated, malformed = (Client(faulty(name)).ask("a") for name in ("empty", "truncated", "malformed"))
    assert [client.status for client in (empty, truncated, malformed)] == [200, 200, 200]
    assert empty.text == truncated.text == ""
    assert json.loads(truncated.body)["choices"][0]["finish_reason"] == "length"
    assert json.loads(empty.body)["choices"][0]["finish_reason"] == "stop"
    assert int(malformed.headers["content-length"]) == len(malformed.body)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(malformed.body)


@virtual
async def test_a_hung_request_holds_its_slot_until_the_client_goes():
    endpoint = open_endpoint(faults={"hang": 1.0}, slots=1)
    first, second = Client(endpoint).ask("a"), Client(endpoint).ask("b")
    await asyncio.sleep(3600)
    assert first.status is None
    assert endpoint.counters.faults["hang"] == 1  # the second one has not even begun
    first.leave()
    assert endpoint.counters.faults["hang"] == 2
    assert (endpoint.counters.cut, endpoint.counters.in_flight, second.status) == (1, 1, None)


@virtual
async def test_a_slow_body_comes_in_pieces_and_is_whole():
    endpoint = faulty("slow", slow_s=10)
    client, plain = Client(endpoint).ask("a"), Client(open_endpoint()).ask("a")
    await asyncio.sleep(5)
    assert 0 < len(client.wire.written) < len(plain.wire.written)
    assert endpoint.counters.summary()["paid"] == 0
    await asyncio.sleep(6)
    assert client.wire.written == plain.wire.written
    assert endpoint.counters.summary()["paid"] == 1


async def test_a_reset_comes_behind_half_of_the_body():
    loop = asyncio.get_running_loop()
    endpoint = faulty("reset")
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        body = b'{"messages":[{"content":"a"}]}'
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        with pytest.raises(ConnectionResetError):
            while await reader.read(1):
                pass
        writer.close()
    assert endpoint.counters.summary()["statuses"] == {"reset": 1}


def test_faults_come_at_their_shares_and_not_again_for_the_same_prompt():
    config = Config(faults={"500": 0.1, "hang": 0.05})
    drawn = [fault_of(config, key_of(f"prompt {n}"), 0) for n in range(4000)]
    assert drawn.count("500") == pytest.approx(400, rel=0.15)
    assert drawn.count("hang") == pytest.approx(200, rel=0.2)
    again = [fault_of(config, key_of(f"prompt {n}"), 1) for n in range(4000)]
    both = sum(first == second == "500" for first, second in zip(drawn, again, strict=True))
    assert both < 80  # forty, if they are independent


def test_shares_above_one_are_refused():
    with pytest.raises(ValueError, match=r"add up to 1\.2; at most 1 is possible"):
        Config(faults={"500": 0.6, "503": 0.6})


@virtual
async def test_a_closed_connection_ends_its_request_or_not():
    for aborts, paid in ((True, 0), (False, 1)):
        endpoint = open_endpoint(latency_ms=100, slots=1, aborts=aborts)
        client, other = Client(endpoint).ask("a"), Client(endpoint).ask("b")
        client.leave()
        await asyncio.sleep(0.1001)
        assert (other.status == 200) is aborts  # its slot was free at once, or only after the first request's time
        assert endpoint.counters.paid["a"] == paid
        assert (endpoint.counters.cut, endpoint.counters.in_flight) == (1, 0 if aborts else 1)


@virtual
async def test_a_repeated_key_is_answered_from_memory_also_while_it_runs():
    endpoint = open_endpoint(latency_ms=100, aborts=False, idempotent=True)
    first = Client(endpoint).ask("a", Idempotency_Key="k")
    first.leave()
    second = Client(endpoint).ask("a", Idempotency_Key="k")
    await asyncio.sleep(0.11)
    third = Client(endpoint).ask("a", Idempotency_Key="k")
    other = Client(endpoint).ask("a", Idempotency_Key="K")
    assert (second.status, third.status, other.status) == (200, 200, None)
    assert second.body == third.body
    assert (endpoint.counters.paid["a"], endpoint.counters.remembered) == (1, 2)


@virtual
async def test_an_error_is_not_remembered_under_its_key():
    endpoint = open_endpoint(faults={"500": 1.0}, idempotent=True)
    for _ in range(2):
        assert Client(endpoint).ask("a", Idempotency_Key="k").status == 500
    assert (endpoint.counters.remembered, endpoint.counters.asked["a"]) == (0, 2)


@virtual
async def test_tokens_in_the_busiest_minute_are_counted_by_when_they_were_let_in():
    endpoint = open_endpoint(words=1)
    for _ in range(3):
        Client(endpoint).ask("abcd")
        await asyncio.sleep(30)
    one = json.loads(Client(open_endpoint(words=1)).ask("abcd").body)["usage"]["total_tokens"]
    summary = endpoint.counters.summary()
    assert (summary["tokens"], summary["tokens_max_60s"]) == (3 * one, 2 * one)


def test_a_window_is_open_at_its_beginning():
    assert window_sums([0.0, 1.0, 59.9, 60.0], [1, 2, 4, 8], 60.0) == [1, 3, 7, 14]
