"""The floor: the least that a client in Python can do. N workers, one aiohttp session, a line a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import msgspec

from benchmarks.clients.contract import Report, Work, read_work

TRIES = 11  # ten retries
BACKOFF_S = 0.1
AT_ONCE = 64  # where nothing is told


class Row(msgspec.Struct):
    """A line of the prompts' file."""

    id: str
    prompt: str


class Message(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    message: Message


class Answer(msgspec.Struct):
    choices: list[Choice]


class Useless(Exception):
    """An answer without text, or none."""


encode, decode_answer = msgspec.json.Encoder().encode, msgspec.json.Decoder(Answer).decode
_FAILED = (aiohttp.ClientError, OSError, msgspec.DecodeError, Useless)  # TimeoutError is an OSError


async def ask(session: aiohttp.ClientSession, url: str, model: str, prompt: str) -> str:
    """One call, tried eleven times; a 429 waits as long as the server says. Raises what the last try raised."""
    body = encode({"model": model, "messages": [{"role": "user", "content": prompt}]})
    for left in reversed(range(TRIES)):
        wait_s = BACKOFF_S
        try:
            async with session.post(url, data=body) as response:
                data = await response.read()
                if response.status == 200 and (text := decode_answer(data).choices[0].message.content):
                    return text
                wait_s = float(response.headers.get("Retry-After", wait_s))
                raise Useless(f"{response.status}")
        except _FAILED:
            if not left:
                raise
        await asyncio.sleep(wait_s)
    raise AssertionError


async def worker(rows: Iterator[Row], work: Work, session: aiohttp.ClientSession, out: BinaryIO, report: Report) -> int:
    """Take rows until there are none; the number that was lost."""
    url, lost = f"{work['base_url']}/chat/completions", 0
    for row in rows:
        try:
            text = await ask(session, url, work["model"], row.prompt)
            if work["second_prompt"] is not None:
                text = await ask(session, url, work["model"], work["second_prompt"].replace("{text}", text))
        except _FAILED:
            lost += 1
            continue
        out.write(encode({"id": row.id, "text": text}) + b"\n")
        report.first()
    return lost


def done_before(path: Path) -> set[str]:
    """The ids of whole lines of an earlier try; half a line at the end is cut off."""
    if not path.exists():
        return set()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    path.write_bytes(whole)
    return {msgspec.json.decode(line)["id"] for line in whole.splitlines()}


def rows_left(work: Work, path: Path) -> Iterator[Row]:
    """The rows that no earlier try has done."""
    done = done_before(path) if work["resume"] else set()
    with Path(work["prompts"]).open("rb") as lines:
        for line in lines:
            row = msgspec.json.decode(line, type=Row)
            if row.id not in done:
                yield row


async def main(work: Work, rows: Iterator[Row], out: BinaryIO, report: Report) -> None:
    """All rows, with as many workers as calls are allowed at once."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=work["timeout_s"]),
        headers={"Content-Type": "application/json"}, cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:  # fmt: skip
        count = work["concurrency"] or AT_ONCE
        lost = await asyncio.gather(*(worker(rows, work, session, out, report) for _ in range(count)))
    report.write(lost=sum(lost))


def run_on(loop: str) -> Callable[[Coroutine[Any, Any, None]], None]:
    """`asyncio.run` on this kind of loop."""
    if loop == "asyncio":
        return asyncio.run
    if loop != "uvloop":
        raise SystemExit(f"there is no loop {loop!r}: asyncio or uvloop")
    import uvloop

    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run
    return run


if __name__ == "__main__":
    work, directory = read_work()
    run, report, path = run_on(work["loop"]), Report(directory, "aiohttp", "msgspec"), directory / "records.jsonl"
    with path.open("ab", buffering=0) as out:
        run(main(work, rows_left(work, path), out, report))
