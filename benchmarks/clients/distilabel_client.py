"""distilabel 1.5.3 on a workload: `python distilabel_client.py WORKLOAD.json OUTDIR`, in distilabel's own environment.

A `Pipeline` of one or two `TextGeneration` tasks with `OpenAILLM`; each task is a process of its own.

- `input_batch_size` is the workload's concurrency: a task sends a batch at once and waits for its slowest answer before
  it takes the next; there is no other bound on requests in flight. The data set comes in batches of that size.
- `max_retries=10`, as for the SDK alone (6 by default); `timeout` is the workload's.
- Off: metadata of the data set, its log below errors. Raw inputs and outputs stay in each row, as by default: without
  them a failed batch lacks a column that others have, and the run ends with an error about the schema.
- No resume: with its cache a second try after `kill -9` waited for ever (two of two times),
  so it begins anew and pays for all again.

It cannot be told a rate, cannot stream or hedge. A call that fails for good (after the SDK's tries, or with a body that
is no JSON) turns its whole batch into nulls, which the second stage is asked about all the same.
The first record counts when the first file of the last step is written, which users can read.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])  # not this folder: no script here may shadow a package

from benchmarks.clients.contract import Report, Work, read_work  # noqa: E402
from benchmarks.clients.peer import AT_ONCE, go_offline, read_rows, write_records  # noqa: E402

RETRIES = 10


def build(work: Work, directory: Path) -> Any:
    """The pipeline."""
    from distilabel.models.llms import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps.tasks import TextGeneration

    def task(name: str, **more: Any) -> Any:
        llm = OpenAILLM(
            model=work["model"], base_url=work["base_url"], max_retries=RETRIES, timeout=math.ceil(work["timeout_s"]),
            generation_kwargs={"max_new_tokens": 1024},
        )  # fmt: skip
        batch = work["concurrency"] or AT_ONCE
        return TextGeneration(name=name, llm=llm, input_batch_size=batch, **more)

    with Pipeline(name="benchmark", cache_dir=directory / "distilabel", enable_metadata=False) as pipeline:
        first = task("first", output_mappings={"generation": "text"})
        if (second := work["second_prompt"]) is not None:
            first >> task(
                "second", template=template(second), columns=["text"], output_mappings={"generation": "final"}
            )
    return pipeline


def template(prompt: str) -> str:
    """The second prompt as a Jinja2 template.

    >>> template("Shorten: {text}")
    '{% raw %}Shorten: {% endraw %}{{ text }}{% raw %}{% endraw %}'
    """
    return "{% raw %}" + prompt.replace("{text}", "{% endraw %}{{ text }}{% raw %}") + "{% endraw %}"


def answers(pipeline: Any, work: Work) -> Iterator[tuple[str, str | None]]:
    """Id and text of each record, after its last stage."""
    rows = [{"id": row["id"], "instruction": row["prompt"]} for row in read_rows(work)]
    made = pipeline.run(dataset=rows, dataset_batch_size=work["concurrency"] or AT_ONCE, use_cache=False)
    for row in made["default"]["train"].select_columns(["id", "text"] + ["final"] * bool(work["second_prompt"])):
        yield row["id"], row["text"] and row.get("final", row["text"])


def first_file(directory: Path, step: str) -> float | None:
    """When the first file of the step's records was written, by the wall clock."""
    files = (directory / "distilabel").glob(f"**/data/steps_outputs/{step}/*.parquet")
    return min((file.stat().st_mtime for file in files), default=None)


def main() -> None:
    """Make the records."""
    work, directory = read_work()
    directory = directory.resolve()
    go_offline(directory, DISTILABEL_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")  # pydantic's, about distilabel's own fields
    pipeline = build(work, directory)
    report, started = Report(directory, "distilabel", "openai", "datasets"), time.time()
    lost = write_records(directory, read_rows(work), answers(pipeline, work), report)
    first = first_file(directory, "first" if work["second_prompt"] is None else "second")
    report.write(lost=lost, **({} if first is None else {"first_record_s": max(0.0, first - started)}))


if __name__ == "__main__":
    main()
