"""streamgen as its users run it: a recipe, a run directory, a JSONL sink, metrics; nothing is switched off."""

from __future__ import annotations

from pathlib import Path

import streamgen
from benchmarks.clients.contract import Report, Work, read_work
from streamgen.journal import journal
from streamgen.journal.store import Store
from streamgen.opening import run_async


def recipe_of(work: Work) -> dict[str, object]:
    """The recipe that does the work."""
    limits = {
        "concurrency": work["concurrency"] or "auto",
        "requests_per_minute": work["requests_per_minute"],
        "tokens_per_minute": work["tokens_per_minute"],
    }
    model: dict[str, object] = {
        "base_url": work["base_url"],
        "model": work["model"],
        "timeout_s": work["timeout_s"],
        "limits": limits,
    }
    if work["hedge"]:
        model["hedge"] = {}
    stages = [{"name": "answer", "type": "chat", "model": "main", "prompt": "{{ prompt }}", "output": "text"}]
    if work["second_prompt"] is not None:
        second = work["second_prompt"].replace("{text}", "{{ text }}")
        stages.append({"name": "second", "type": "chat", "model": "main", "prompt": second, "output": "text"})
    return {
        "name": work["name"],
        "models": {"main": model},
        "source": {"type": "jsonl", "path": work["prompts"]},
        "stages": stages,
        "metrics": [{"type": "lengths", "column": "text"}],
        "sinks": [{"type": "jsonl"}],
    }


async def main(work: Work, directory: Path) -> None:
    """Run it to its end."""
    report = Report(directory, "streamgen-llm", "aiohttp", "msgspec")
    folder = directory / "run"
    if not work["journal"]:
        switch_off_the_journal()
    async with streamgen.open(recipe_of(work), directory=folder) as run:
        async for _ in run:
            report.first()
            break
        summary = await run.finish()  # the last record is in the file
        report.write(lost=summary.statistics.failed, end=summary.end.message)
    (directory / "records.jsonl").unlink(missing_ok=True)
    (directory / "records.jsonl").symlink_to(folder / "records.jsonl")


def switch_off_the_journal() -> None:
    """Only to see what it costs: nothing is written to the database; the sink gets its records from memory."""
    Store.commit = lambda self, rows: None  # type: ignore[method-assign]
    journal._RECENT_BYTES = 1 << 40


if __name__ == "__main__":
    work, directory = read_work()
    run_async(lambda: main(work, directory))
