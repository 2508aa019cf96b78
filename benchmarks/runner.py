"""One client at one workload: what it took, seen from outside and from the endpoint."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.clients.contract import Work
from benchmarks.interpreters import python_of
from benchmarks.kill import Kill, kill
from benchmarks.mock import ROOT, Mock, endpoint
from benchmarks.processes import Process, Usage, cores
from benchmarks.workloads import Workload, prompts

PATIENCE_S = 900.0


class Measured(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run. `wall_s` is from the first request to the last record; None is what could not be measured.

    `cpu_ms` is a record's share of the CPU time that the whole tree used after the first request had arrived.
    """

    workload: str
    client: str
    round: int = 0
    records: int = 0
    missing: int = 0
    null: int = 0
    duplicated: int = 0
    wall_s: float | None = None
    records_per_s: float | None = None
    cpu_s: float = 0.0
    cpu_ms: float | None = None
    peak_mb: float = 0.0
    start_s: float | None = None
    first_record_s: float | None = None
    process_s: float = 0.0
    error: str | None = None
    counters: dict[str, Any] = {}
    versions: dict[str, str] = {}
    kill: Kill | None = None


def measure(workload: Workload, client: str, keep: Path | None = None) -> Measured:
    """Run the client in a fresh process and directory, at a fresh endpoint."""
    endpoint_core, client_core = cores()
    with (
        tempfile.TemporaryDirectory(prefix="streamgen-bench-") as scratch,
        endpoint(workload.endpoint, endpoint_core) as mock,
    ):
        folder = keep or Path(scratch)
        session = Session(workload, client, mock, folder, client_core)
        if workload.kill_at is None:
            usage, started = session.run()
            return session.result(usage, started)
        return session.killed_and_resumed(workload.kill_at)


class Session:
    """The client's directory, and its tries."""

    def __init__(self, workload: Workload, client: str, mock: Mock, folder: Path, core: int) -> None:
        self.concurrency = workload.concurrency or 0
        self._workload, self._client, self._mock, self._core = workload, client, mock, core
        self._out, self._log = folder / "out", folder / "log.txt"
        self._prompts, self._file = folder / "prompts.jsonl", folder / "workload.json"
        encode = msgspec.json.encode
        rows = (encode({"id": id, "prompt": prompt}) for id, prompt in prompts(workload))
        self._prompts.write_bytes(b"\n".join(rows) + b"\n")

    def work(self) -> Work:
        """What the client is told."""
        workload = self._workload
        return {
            "name": workload.name,
            "base_url": self._mock.base_url,
            "model": "mock",
            "records": workload.records,
            "prompts": str(self._prompts),
            "second_prompt": workload.second_prompt,
            "concurrency": workload.concurrency_of(self._client),
            "timeout_s": workload.timeout_s,
            "requests_per_minute": workload.requests_per_minute,
            "tokens_per_minute": workload.tokens_per_minute,
            "hedge": workload.hedge,
            "resume": workload.kill_at is not None,
            "journal": workload.journal,
            "loop": workload.loop,
        }

    def start(self) -> Process:
        """The client's process."""
        self._file.write_text(json.dumps(self.work()))
        script = ROOT / "benchmarks" / "clients" / f"{_SCRIPTS.get(self._client, self._client)}.py"
        command = [python_of(self._client), str(script), str(self._file), str(self._out)]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-none"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has byte code: what is read from here needs it too
        return Process(command, self._core, env=env, output=self._log)

    def run(self) -> tuple[Usage, float]:
        """The client's usage to its end, and when it was started."""
        with self.start() as process:
            return process.wait(PATIENCE_S), process.started

    def killed_and_resumed(self, share: float) -> Measured:
        """Kill the client when this share of the records is paid; the result of the second try."""
        with self.start() as process:
            while process.is_alive and self._mock.progress()["paid"] < share * self._workload.records:
                time.sleep(0.01)
            killed = kill(process, self._mock, self.concurrency)
        usage, started = self.run()
        result = self.result(usage, started)
        first = next((at for at in self._mock.history()["arrivals"] if at > started), None)
        result.kill = killed
        result.start_s = first - started if first else None
        return result

    def result(self, usage: Usage, started: float) -> Measured:
        """What the client made, and what it took."""
        counters = self._mock.counters()
        report = self._report()
        made = self._made()
        ended = report.get("ended") or self._last_write()
        first = counters["first_request"]
        wall_s = ended - first if ended and first else None
        good = sum(1 for count, has_text in made.values() if has_text)
        if not self._workload.journal:
            good = counters["paid_prompts"]
        return Measured(
            workload=self._workload.name,
            client=self._client,
            records=good,
            missing=self._workload.records - (len(made) if self._workload.journal else good),
            null=sum(1 for _, has_text in made.values() if not has_text),
            duplicated=sum(count - 1 for count, _ in made.values()),
            wall_s=wall_s,
            records_per_s=good / wall_s if wall_s else None,
            cpu_s=usage.cpu_s,
            cpu_ms=1000 * (usage.cpu_s - usage.cpu_before(first)) / good if good and first else None,
            peak_mb=usage.peak_mb,
            start_s=first - started if first else None,
            first_record_s=report.get("first_record_s"),
            process_s=usage.wall_s,
            error=None if usage.exit_code == 0 else f"exit code {usage.exit_code}: {self._last_words()}",
            counters=counters,
            versions=report.get("versions", {}),
        )

    def _report(self) -> dict[str, Any]:
        path = self._out / "report.json"
        report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return report

    def _made(self) -> dict[str, tuple[int, bool]]:
        """Id -> how often it was written, and whether with a text; half a line is none."""
        path = self._out / "records.jsonl"
        if not path.exists():
            return {}
        counts: Counter[str] = Counter()
        texts: dict[str, bool] = {}
        for line in path.read_bytes().splitlines():
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue
            counts[str(row["id"])] += 1
            texts[str(row["id"])] = bool(row.get("text"))
        return {id: (count, texts[id]) for id, count in counts.items()}

    def _last_write(self) -> float | None:
        path = self._out / "records.jsonl"
        return path.stat().st_mtime if path.exists() else None

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return lines[-1][:300] if lines else ""


_SCRIPTS = {
    "streamgen": "streamgen_client",
    "openai": "openai_sdk",
    "curator": "curator_client",
    "distilabel": "distilabel_client",
    "data_designer": "data_designer_client",
}
"""Scripts whose name is not the client's: none may have the name of the package that it imports."""
