"""The openai SDK on its aiohttp transport, as its users run it: workers, its own retries, no resume."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAIError

from benchmarks.clients.contract import Report, Work, read_work
from benchmarks.clients.floor import AT_ONCE, Row, rows_left, run_on

RETRIES = 10
_encode = msgspec.json.Encoder().encode
_FAILED = (OpenAIError, ValueError)  # a body that is no JSON is a ValueError of the standard library


async def ask(client: AsyncOpenAI, model: str, prompt: str) -> str | None:
    """One call; None for an answer without text, as the SDK hands it on."""
    answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or None


async def worker(rows: Iterator[Row], work: Work, client: AsyncOpenAI, out: BinaryIO, report: Report) -> int:
    """Take rows until there are none; the number that was lost."""
    lost = 0
    for row in rows:
        try:
            text = await ask(client, work["model"], row.prompt)
            if work["second_prompt"] is not None:
                text = await ask(client, work["model"], work["second_prompt"].replace("{text}", text or ""))
        except _FAILED:
            lost += 1
            continue
        out.write(_encode({"id": row.id, "text": text}) + b"\n")
        report.first()
    return lost


async def main(work: Work, rows: Iterator[Row], out: BinaryIO, report: Report) -> None:
    """All rows, with as many workers as calls are allowed at once."""
    async with AsyncOpenAI(
        api_key="none", base_url=work["base_url"], timeout=work["timeout_s"], max_retries=RETRIES,
        http_client=DefaultAioHttpClient(),
    ) as client:  # fmt: skip
        count = work["concurrency"] or AT_ONCE
        lost = await asyncio.gather(*(worker(rows, work, client, out, report) for _ in range(count)))
    report.write(lost=sum(lost))


if __name__ == "__main__":
    work, directory = read_work()
    run, report = run_on(work["loop"]), Report(directory, "openai", "aiohttp")
    path = directory / "records.jsonl"
    path.unlink(missing_ok=True)
    with path.open("ab", buffering=0) as out:
        run(main(work, rows_left({**work, "resume": False}, path), out, report))
