"""What is measured, as data: a workload is an endpoint, records, and what the client is told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

from benchmarks.endpoint.answers import Answers
from benchmarks.endpoint.config import Config, Rate
from benchmarks.endpoint.draws import key_of
from benchmarks.endpoint.latency import service_s


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `concurrency` None leaves it to the client; `clients` are those that it is for.

    `adaptive` clients are not told the concurrency either: finding it is their default.

    `kill_at` is the share of the records after which the client is killed, and then started again to go on.
    `journal` off runs streamgen without a directory; `loop` is the floor's event loop.
    """

    name: str
    about: str
    endpoint: Config = Config()
    records: int
    concurrency: int | None = 64
    timeout_s: float = 60.0
    second_prompt: str | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    hedge: bool = False
    journal: bool = True
    kill_at: float | None = None
    loop: str = "uvloop"
    clients: tuple[str, ...] = ()
    adaptive: tuple[str, ...] = ()

    def concurrency_of(self, client: str) -> int | None:
        """What this client is told."""
        return None if client in self.adaptive else self.concurrency


_SECOND = "Say in one sentence what this text is about, and for whom it was written: {text}"
_TAIL = Config(latency_ms=200, latency_sigma=1.0, slots=64)
_LIMITED = Config(latency_ms=20, requests=Rate(amount=100, per_s=1, burst=10))
_FAULTS = Config(latency_ms=20, faults={"500": 0.01, "reset": 0.005, "malformed": 0.005, "empty": 0.005, "hang": 0.002})
_KILLED = Config(latency_ms=20, aborts=False)
_TOKENS = Config(latency_ms=100, words=120, words_sigma=0.6)
_OURS = ("floor", "streamgen")

_TABLE = (
    Workload(name="W1", about="overhead: one call a record, no latency", records=5_000),
    Workload(
        name="W2", about="two calls a record, log-normal latency (median 200 ms, sigma 1.0), 64 at once",
        endpoint=_TAIL, records=2_000, second_prompt=_SECOND,
    ),
    Workload(
        name="W2hedged", about="W2 with a second request for the slowest per cent",
        endpoint=_TAIL, records=2_000, second_prompt=_SECOND, hedge=True, clients=_OURS,
    ),
    Workload(
        name="W3", about="100 requests/s that the client is not told of; 64 at once, streamgen finds its concurrency",
        endpoint=_LIMITED, records=3_000, adaptive=("streamgen",),
    ),
    Workload(
        name="W3told", about="100 requests/s that the client is told of",
        endpoint=_LIMITED, records=3_000, requests_per_minute=6_000,
    ),
    Workload(
        name="W4", about="faults: 1 % 500, 0.5 % reset, 0.5 % malformed, 0.5 % empty, 0.2 % hang",
        endpoint=_FAULTS, records=2_000, timeout_s=10.0,
    ),
    Workload(name="W5", about="kill -9 at half, and go on", endpoint=_KILLED, records=2_000, kill_at=0.5),
    Workload(
        name="W5key", about="W5 with an endpoint that honours Idempotency-Key",
        endpoint=msgspec.structs.replace(_KILLED, idempotent=True), records=2_000, kill_at=0.5, clients=("streamgen",),
    ),
    Workload(name="W6", about="memory of 2,000 records", records=2_000, clients=_OURS),
    Workload(name="W6large", about="memory of 100,000 records", records=100_000, clients=_OURS),
    Workload(
        name="W6journal", about="W1 with a journal that writes nothing",
        records=5_000, journal=False, clients=("streamgen",),
    ),
    Workload(
        name="W7", about="a server that only queues: 16 slots of 100 ms",
        endpoint=Config(latency_ms=100, slots=16), records=3_000, concurrency=None,
        clients=("floor", "streamgen", "openai"),
    ),
    Workload(
        name="W8", about="300,000 tokens a minute that the client is told of, answers of varied length",
        endpoint=_TOKENS, records=3_000, tokens_per_minute=300_000, clients=("streamgen", "curator"),
    ),
)  # fmt: skip
WORKLOADS = {workload.name: workload for workload in _TABLE}

_TOPICS = ("a lighthouse", "the first snow", "a lost letter", "a market at dawn", "an old engine", "a winter garden",
           "the last ferry", "a borrowed coat", "a hidden room", "a long queue", "a broken clock")  # fmt: skip
_READERS = ("children", "sailors", "engineers", "farmers", "students", "a friend", "nobody in particular")


def prompts(workload: Workload) -> Iterator[tuple[str, str]]:
    """Id and prompt of every record."""
    for n in range(workload.records):
        topic, reader = _TOPICS[n % len(_TOPICS)], _READERS[n % len(_READERS)]
        yield (
            f"r{n}",
            f"Write a short text about {topic} for {reader}. Use plain words, name one colour and one sound, and end "
            f"with a question that the reader can answer. This is number {n} of a series; do not repeat the others.",
        )


def calls(workload: Workload) -> Iterator[tuple[str, ...]]:
    """The prompts of all calls of each record, in order."""
    answers = Answers(workload.endpoint)
    for _, prompt in prompts(workload):
        if workload.second_prompt is None:
            yield (prompt,)
        else:
            text = answers.text(key_of(prompt))
            yield prompt, workload.second_prompt.replace("{text}", text)


@cache
def ideal_s(name: str) -> float | None:
    """The ideal of the workload with this name."""
    return ideal_of(WORKLOADS[name])


def ideal_of(workload: Workload) -> float | None:
    """The least wall time that the endpoint allows; None where it sets no bound (no latency, no limits)."""
    config = workload.endpoint
    answers = Answers(config)
    chains = [[key_of(prompt) for prompt in chain] for chain in calls(workload)]
    services = [[service_s(config, key, 0) for key in chain] for chain in chains]
    at_once = min(config.slots or workload.records, workload.concurrency or workload.records)
    bounds = [sum(map(sum, services)) / at_once, max(map(sum, services))]
    if config.requests:
        spare = sum(map(len, chains)) - config.requests.burst
        bounds.append(spare * config.requests.per_s / config.requests.amount)
    if workload.tokens_per_minute:
        lengths = [len(prompt) for chain in calls(workload) for prompt in chain]
        spent = sum(answers.tokens(key) for chain in chains for key in chain) + sum((n + 3) // 4 for n in lengths)
        bounds.append(60 * spent / workload.tokens_per_minute)
    return max(bounds) or None
