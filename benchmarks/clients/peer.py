"""What the peers' clients share: no calls home, the prompts, and the records in the form of the contract."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TypedDict

from benchmarks.clients.contract import Report, Work

AT_ONCE = 64
"""Where no concurrency is told, as for the floor."""
UNLIMITED = 10_000_000
"""A rate for peers that must be told one: more than any of them can send in a minute."""


class Row(TypedDict):
    """A prompt, or an answer that the next prompt is made of."""

    id: str
    prompt: str


def go_offline(directory: Path, **more: str) -> None:
    """Keep a peer's libraries from calling home and from fetching anything. Call it before they are imported."""
    os.environ.update({
        "OPENAI_API_KEY": "not-a-key",
        "DO_NOT_TRACK": "1",
        "HF_HOME": str(directory / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
    })  # fmt: skip
    os.environ.update(more)


def read_rows(work: Work) -> list[Row]:
    """The workload's prompts."""
    with Path(work["prompts"]).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, work["records"])]


def write_records(directory: Path, rows: Iterable[Row], texts: Iterable[tuple[str, str | None]], report: Report) -> int:
    """Write the texts as they come, then null for each row that got none; how many those are."""
    lost = {row["id"]: None for row in rows}
    with (directory / "records.jsonl").open("w", encoding="utf-8") as file:
        for name, text in texts:
            if text:
                report.first()
                lost.pop(name, None)
                file.write(json.dumps({"id": name, "text": text}) + "\n")
        file.writelines(json.dumps({"id": name, "text": None}) + "\n" for name in lost)
    return len(lost)
