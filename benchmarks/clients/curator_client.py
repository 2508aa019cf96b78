"""curator 0.1.31 on a workload: `python curator_client.py WORKLOAD.json OUTDIR`, in curator's own environment.

One `curator.LLM` call a stage over the whole data set, as its documentation chains them: a call hands its records out
at its end, and the next one begins then. Blocks would bring the first record earlier and cost throughput, as each
block waits for its slowest answer.

- `backend="openai"`: its own aiohttp client; the other backend (litellm) costs more CPU.
- `max_concurrent_requests` is the workload's. Where no limits are told, `max_requests_per_minute` and
  `max_tokens_per_minute` are far above what it can send; by default it would keep to 200 requests a minute.
- `max_retries=10`, its default; `require_all_responses=False`, or one lost record would lose them all.
- Resume: its cache in OUTDIR. It knows the data set and the functions by their hashes and asks only for rows that have
  no answer in its file.
- Off: telemetry, viewer, rich display, and its log below errors (a file at DEBUG, several lines a call).

It cannot stream records out, overlap stages, hedge, or tell a 429 from another failure: each is a failed try, and
`Retry-After` is not read. At the start of each stage it sends an empty request, to read limits from its headers.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])  # not this folder: no script here may shadow a package

from benchmarks.clients.contract import Report, Work, read_work  # noqa: E402
from benchmarks.clients.peer import AT_ONCE, UNLIMITED, Row, go_offline, read_rows, write_records  # noqa: E402


def vocabularies() -> Path:
    """Where litellm ships the vocabulary that curator counts tokens with; tiktoken would fetch it."""
    litellm = find_spec("litellm")
    assert litellm is not None and litellm.origin is not None
    return Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"


def parameters(work: Work) -> dict[str, Any]:
    """The backend's parameters."""
    return {
        "base_url": work["base_url"],
        "max_concurrent_requests": work["concurrency"] or AT_ONCE,
        "max_requests_per_minute": math.ceil(work["requests_per_minute"] or UNLIMITED),
        "max_tokens_per_minute": math.ceil(work["tokens_per_minute"] or UNLIMITED * 10_000),
        "request_timeout": math.ceil(work["timeout_s"]),
        "max_retries": 10,
        "require_all_responses": False,
    }


def answers(work: Work, directory: Path, rows: list[Row]) -> Iterator[tuple[str, str]]:
    """Id and text of each record, after its last stage."""
    from bespokelabs import curator
    from datasets import Dataset

    logging.getLogger("curator").setLevel(logging.ERROR)  # its import sets it to DEBUG

    class Answer(curator.LLM):  # type: ignore[misc]
        """One prompt, one text."""

        def prompt(self, row: dict[str, str]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"id": row["id"], "text": response}

    def stage(rows: list[Row]) -> list[tuple[str, str]]:
        llm = Answer(work["model"], backend="openai", backend_params=parameters(work))
        made = llm(Dataset.from_list(rows), working_dir=str(directory / "curator")).dataset
        return [(row["id"], row["text"]) for row in made if row["text"]]

    made = stage(rows)
    if (second := work["second_prompt"]) is not None:
        made = stage([Row(id=name, prompt=second.replace("{text}", text)) for name, text in made])
    yield from made


def main() -> None:
    """Make the records."""
    work, directory = read_work()
    directory = directory.resolve()
    go_offline(
        directory,
        TELEMETRY_ENABLED="false",
        CURATOR_VIEWER="false",
        CURATOR_DISABLE_RICH_DISPLAY="1",
        CURATOR_DISABLE_CACHE="false" if work["resume"] else "true",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        TIKTOKEN_CACHE_DIR=str(vocabularies()),
    )
    import_module("bespokelabs.curator")  # before the clock starts
    rows = read_rows(work)
    report = Report(directory, "bespokelabs-curator", "aiohttp", "litellm", "datasets")
    lost = write_records(directory, rows, answers(work, directory, rows), report)
    report.write(lost=lost)


if __name__ == "__main__":
    main()
