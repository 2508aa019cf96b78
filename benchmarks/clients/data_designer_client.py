"""Data Designer 0.9.6 on a workload: `python data_designer_client.py WORKLOAD.json OUTDIR`, in its own environment.

The prompts are the seed data set, in their order; each stage is an `LLMTextColumnConfig`, the second one reading the
first. Its engine runs both at the same time, row by row, within groups of rows that are written when all are done.

- `max_parallel_requests` is the workload's concurrency: its documentation's one control of throughput. `timeout` too.
- `buffer_size` (the rows of a group): GROUP below says how it was chosen.
- Early shutdown is off, as its documentation advises for endpoints with passing faults.
- `jinja_rendering_engine="native"`: prompts are trusted here, and the hardened renderer costs CPU for each row.
- Resume: `ResumeMode.ALWAYS` on the artifacts in OUTDIR: whole groups are kept, begun ones are made again.
- Off: telemetry, metrics port, health check (a call), log below errors. The profile of the data set at the end stays:
  it cannot be switched off.

It cannot be told a rate: it finds one by itself (additive increase, multiplicative decrease), and pauses after a 429.
It cannot hedge. A row whose call fails for good is dropped, and is null here.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])  # not this folder: no script here may shadow a package

from benchmarks.clients.contract import Report, Work, read_work  # noqa: E402
from benchmarks.clients.peer import AT_ONCE, go_offline, read_rows, write_records  # noqa: E402

GROUP, SMALL_GROUP = 1000, 100
"""Rows of a group. 1000 is its default, and was faster with two stages (28 against 38 s at W2, on a shared machine):
a group waits for its slowest row. Where a run may be killed, 100 loses less, as only whole groups are kept."""


def columns(work: Work, prompts: Path) -> Any:
    """What is to be made: its config builder."""
    import data_designer.config as dd

    parameters = dd.ChatCompletionInferenceParams(
        max_parallel_requests=work["concurrency"] or AT_ONCE, timeout=math.ceil(work["timeout_s"])
    )
    model = dd.ModelConfig(
        alias="model", model=work["model"], provider="endpoint", inference_parameters=parameters, skip_health_check=True
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(prompts)), sampling_strategy=dd.SamplingStrategy.ORDERED)
    builder.add_column(dd.LLMTextColumnConfig(name="text", prompt="{{ prompt }}", model_alias="model"))
    if (second := work["second_prompt"]) is not None:
        builder.add_column(dd.LLMTextColumnConfig(name="final", prompt=template(second), model_alias="model"))
    return builder


def template(prompt: str) -> str:
    """The second prompt as a Jinja2 template.

    >>> template("Shorten: {text}")
    'Shorten: {{ text }}'
    """
    return prompt.replace("{text}", "{{ text }}")


def designer(work: Work, directory: Path) -> Any:
    """Data Designer with its settings."""
    import data_designer.config as dd
    from data_designer.interface import DataDesigner

    provider = dd.ModelProvider(name="endpoint", endpoint=work["base_url"], api_key="OPENAI_API_KEY")
    made = DataDesigner(artifact_path=directory / "artifacts", model_providers=[provider], auto_configure_logging=False)
    made.set_run_config(
        dd.RunConfig(
            buffer_size=SMALL_GROUP if work["resume"] else GROUP, disable_early_shutdown=True, otel_metrics_port=None,
            jinja_rendering_engine=dd.JinjaRenderingEngine.NATIVE,
        )
    )  # fmt: skip
    return made


def answers(work: Work, directory: Path, report: Report) -> Iterator[tuple[str, str]]:
    """Id and text of each record, after its last stage; the first counts when its group is written."""
    from data_designer.config.run_config import ResumeMode

    began = (directory / "artifacts" / "records").exists()  # ALWAYS refuses a first start
    builder = columns(work, prompts_with_suffix(work, directory))
    made = designer(work, directory).create(
        builder,
        num_records=work["records"],
        dataset_name="records",
        resume=ResumeMode.ALWAYS if began and work["resume"] else ResumeMode.NEVER,
        on_batch_complete=lambda path: report.first(),
    )
    last = "text" if work["second_prompt"] is None else "final"
    for row in made.load_dataset()[["id", last]].itertuples(index=False):
        yield row[0], row[1]


def prompts_with_suffix(work: Work, directory: Path) -> Path:
    """The prompts in a file of OUTDIR: their path belongs to what must be equal for a resume."""
    path = directory / "prompts.jsonl"
    path.write_bytes(Path(work["prompts"]).read_bytes())
    return path


def main() -> None:
    """Make the records."""
    work, directory = read_work()
    directory = directory.resolve()
    go_offline(directory, NEMO_TELEMETRY_ENABLED="false", DATA_DESIGNER_HOME=str(directory / "home"))
    logging.disable(logging.ERROR)
    import_module("data_designer.interface")  # before the clock starts
    report = Report(directory, "data-designer", "httpx", "pandas")
    lost = write_records(directory, read_rows(work), answers(work, directory, report), report)
    report.write(lost=lost)


if __name__ == "__main__":
    main()
