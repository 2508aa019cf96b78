"""The endpoint: every decision is made synchronously when a request arrives, is served, or is given up."""

from __future__ import annotations

import asyncio
import time

import msgspec

from benchmarks.endpoint.answers import Answers
from benchmarks.endpoint.config import Config
from benchmarks.endpoint.connection import Connection, header, message
from benchmarks.endpoint.counters import Clock, Counters
from benchmarks.endpoint.draws import key_of
from benchmarks.endpoint.faults import fault_of
from benchmarks.endpoint.latency import service_s
from benchmarks.endpoint.limits import Buckets, Slots

_RESET_S = 0.005  # the half body travels before the reset, which would overtake it
_PIECES = 5  # of a slow body


class _Part(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Request(msgspec.Struct):
    messages: list[_Message]


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.encode


class Job:
    """One admitted request. `waiting` are the connections that get its answer: several only under one key."""

    __slots__ = ("arrived", "idempotency_key", "key", "n", "prompt", "prompt_tokens", "timer", "waiting")

    def __init__(self, connection: Connection, prompt: str, arrived: float) -> None:
        self.prompt, self.key, self.arrived = prompt, key_of(prompt), arrived
        self.prompt_tokens = (len(prompt) + 3) // 4
        self.waiting: list[tuple[Connection, float]] = [(connection, arrived)]
        self.n = 0
        self.idempotency_key: bytes | None = None
        self.timer: asyncio.TimerHandle | None = None


class Endpoint:
    """A server's state and rules; connections call `request` and `gone`."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, clock: Clock = time.perf_counter) -> None:
        self.config, self._loop, self._clock = config, loop, clock
        self._answers = Answers(config)
        self._can_fail, self._has_latency = bool(config.faults), config.latency_ms > 0
        self._clear()

    def _clear(self) -> None:
        self.counters = Counters(self._clock)
        self._buckets = Buckets(self.config)
        self._slots: Slots[Job] = Slots(self.config.slots)
        self._jobs: dict[Connection, Job] = {}
        self._running: dict[bytes, Job] = {}
        self._memory: dict[bytes, bytes] = {}

    def request(self, connection: Connection, path: bytes, head: bytes, body: bytes) -> None:
        """Answer now or later."""
        if path.endswith(b"/chat/completions"):
            self._chat(connection, head, body)
        elif path == b"GET /counters":
            connection.send(message(200, _encode(self.counters.summary())))
        elif path == b"GET /progress":
            connection.send(message(200, _encode(self.counters.progress())))
        elif path == b"GET /history":
            connection.send(message(200, _encode(self.counters.history())))
        elif path == b"POST /reset":
            self._clear()
            connection.send(message(200, b"{}"))
        elif path.endswith(b"/models"):
            connection.send(message(200, b'{"object":"list","data":[{"id":"mock","object":"model"}]}'))
        else:
            connection.send(message(404, b'{"error":{"message":"not here"}}'))

    def gone(self, connection: Connection) -> None:
        """Nobody waits on this connection any more."""
        job = self._jobs.pop(connection, None)
        if job is None:
            return
        job.waiting = [(other, at) for other, at in job.waiting if other is not connection]
        self.counters.in_flight -= 1
        self.counters.cut += 1
        if self.config.aborts and not job.waiting:
            self._give_up(job)

    def _give_up(self, job: Job) -> None:
        if self._slots.give_up(job):
            return
        if job.timer:
            job.timer.cancel()
        self._free(job)

    # A request's way

    def _chat(self, connection: Connection, head: bytes, body: bytes) -> None:
        now = self._clock()
        self.counters.arrived(now)
        try:
            prompt = _prompt(body)
        except msgspec.DecodeError as error:
            self._reply(connection, "400", now, message(400, _encode({"error": {"message": str(error)}})))
            return
        job = Job(connection, prompt, now)
        if self.config.idempotent:
            job.idempotency_key = header(head, b"idempotency-key")
            if self._is_known(connection, job):
                return
        self._admit(connection, job, now)

    def _is_known(self, connection: Connection, job: Job) -> bool:
        """Whether the key's answer is there or on its way."""
        key = job.idempotency_key
        if key is None:
            return False
        if answer := self._memory.get(key):
            self.counters.remembered += 1
            self._reply(connection, "200", job.arrived, answer)
            return True
        if running := self._running.get(key):
            self.counters.remembered += 1
            running.waiting.append((connection, job.arrived))
            self._jobs[connection] = running
            return True
        return False

    def _admit(self, connection: Connection, job: Job, now: float) -> None:
        tokens = job.prompt_tokens + self._answers.tokens(job.key)
        if not self._buckets.is_open and (wait_s := self._buckets.retry_after_s(tokens, now)):
            headers = f"Retry-After: {wait_s}\r\n{self._buckets.headers()}"
            self._reply(connection, "429", now, message(429, _LIMITED, headers))
            return
        if self._slots.is_full and self.config.when_full == "refuse":
            self._reply(connection, "429", now, message(429, _FULL))
            return
        job.n = self.counters.admit(job.prompt, tokens, now)
        if job.idempotency_key is not None:
            self._running[job.idempotency_key] = job
        self._jobs[connection] = job
        if self._slots.enter(job):
            self._serve(job)

    def _serve(self, job: Job) -> None:
        if self._has_latency:
            job.timer = self._loop.call_later(service_s(self.config, job.key, job.n), self._finish, job)
        else:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        fault = fault_of(self.config, job.key, job.n) if self._can_fail else None
        if fault is None:
            self.counters.pay(job.prompt)
            self._done(
                job, "200", message(200, self._answers.body(job.key, job.prompt_tokens), self._buckets.headers())
            )
            return
        self.counters.faults[fault] += 1
        match fault:
            case "500" | "503":
                self._done(job, fault, message(int(fault), _BROKEN))
            case "malformed":
                self._done(job, "200", message(200, self._answers.malformed(job.key, job.prompt_tokens)))
            case "empty":
                self._done(job, "200", message(200, self._answers.empty(job.key, job.prompt_tokens)))
            case "truncated":
                self._done(job, "200", message(200, self._answers.truncated(job.key, job.prompt_tokens)))
            case "reset":
                self._begin(job)
                job.timer = self._loop.call_later(_RESET_S, self._reset, job)
            case "slow":
                self._begin(job)
                job.timer = self._loop.call_later(self.config.slow_s / _PIECES, self._drip, job, 1)
            case "hang":
                pass  # its slot is held until the client goes

    def _begin(self, job: Job) -> None:
        """Send the head and the first piece of the body."""
        whole = self._whole(job)
        self._send(job, whole[: len(whole) - len(whole) * (_PIECES - 1) // _PIECES])

    def _drip(self, job: Job, piece: int) -> None:
        whole = self._whole(job)
        start = [len(whole) - len(whole) * (_PIECES - n) // _PIECES for n in (piece, piece + 1)]
        if piece + 1 < _PIECES:
            self._send(job, whole[start[0] : start[1]])
            job.timer = self._loop.call_later(self.config.slow_s / _PIECES, self._drip, job, piece + 1)
            return
        self.counters.pay(job.prompt)
        self._done(job, "200", whole[start[0] :])

    def _whole(self, job: Job) -> bytes:
        return message(200, self._answers.body(job.key, job.prompt_tokens))

    def _send(self, job: Job, data: bytes) -> None:
        for connection, _ in job.waiting:
            connection.send(data)

    def _reset(self, job: Job) -> None:
        connections = [connection for connection, _ in job.waiting]
        self._done(job, "reset", b"")
        for connection in connections:
            connection.reset()

    # Its end

    def _done(self, job: Job, status: str, data: bytes) -> None:
        """The answer goes to all who wait; the key's answer is kept where one was made."""
        if job.idempotency_key is not None and status == "200":
            self._memory[job.idempotency_key] = data
        now = self._clock()
        for connection, arrived in job.waiting:
            self._jobs.pop(connection, None)
            self.counters.answered(status, arrived, now)
            if data:
                connection.send(data)
        self._free(job)

    def _free(self, job: Job) -> None:
        if job.idempotency_key is not None:
            self._running.pop(job.idempotency_key, None)
        if (following := self._slots.leave()) is not None:
            self._serve(following)

    def _reply(self, connection: Connection, status: str, arrived: float, data: bytes) -> None:
        """An answer without a job."""
        self.counters.answered(status, arrived, self._clock())
        connection.send(data)


_LIMITED = b'{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}'
_FULL = b'{"error":{"message":"Too many requests in flight","type":"requests","code":"rate_limit_exceeded"}}'
_BROKEN = b'{"error":{"message":"The server had an error","type":"server_error"}}'


def _prompt(body: bytes) -> str:
    """The last message's text."""
    messages = _decode(body).messages
    content = messages[-1].content if messages else None
    return content if isinstance(content, str) else "".join(part.text for part in content or ())
