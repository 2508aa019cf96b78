"""`kill -9` at any instant: nothing is lost, nothing comes twice, and what was paid is paid once."""

from __future__ import annotations

import gzip
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest
from crash_child import IN_FLIGHT, SUFFIXES, TICKETS
from runs import query

from streamgen.files import lines_of
from streamgen.journal.journal import COMMIT_INTERVAL_S

_CHILD = Path(__file__).with_name("crash_child.py")
_LATENCY_S = 0.005
_PER_INTERVAL = int(IN_FLIGHT * COMMIT_INTERVAL_S / _LATENCY_S)  # calls that can end between two commits


class Server(NamedTuple):
    base_url: str

    def paid(self) -> Counter[str]:
        """Full answers by prompt."""
        with urllib.request.urlopen(f"{self.base_url}/counters") as page:
            return Counter(msgspec.json.decode(page.read())["paid"])


@pytest.fixture(params=["plain"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    command = [sys.executable, "-m", "streamgen.testing", "--latency-ms", str(_LATENCY_S * 1000)]
    if request.param == "honours keys":
        command.append("--honour-keys")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Server(process.stdout.readline().strip())
        process.kill()


def started(workload: str, directory: Path, server: Server) -> subprocess.Popen[str]:
    command = [sys.executable, str(_CHILD), workload, str(directory), server.base_url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(delay_s: float, workload: str, directory: Path, server: Server) -> None:
    """Start the run and kill it this long after it began; it must still be running then."""
    with started(workload, directory, server) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(delay_s)
        child.kill()


def finish(workload: str, directory: Path, server: Server) -> None:
    with started(workload, directory, server) as child:
        _, errors = child.communicate()
        assert (child.returncode, errors) == (0, "")


def rows(path: Path) -> list[dict[str, Any]]:
    """Every line of a sink as JSON, which a torn one is not."""
    return [msgspec.json.decode(line) for _, line in lines_of(path)]


def check_journal(directory: Path, tickets: int) -> None:
    """Numbers are contiguous, every ticket has one outcome, every record its own id, and every sink has them all."""
    seqs = [seq for (seq,) in query(directory, "SELECT seq FROM records ORDER BY seq")]
    ids = [id_ for (id_,) in query(directory, "SELECT id FROM records ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(set(ids)) == len(ids)
    assert query(directory, "SELECT ticket FROM outcomes ORDER BY ticket") == [(n,) for n in range(tickets)]
    for suffix in SUFFIXES:
        assert [row["_meta"]["id"] for row in rows(directory / f"out.jsonl{suffix}")] == ids


def test_2000_records_survive_20_kills(server: Server, tmp_path: Path) -> None:
    random = Random(20)
    for _ in range(20):
        kill_after(random.uniform(0.0, 0.1), "chat", tmp_path, server)
    finish("chat", tmp_path, server)
    check_journal(tmp_path, 2000)
    assert sorted(row["n"] for row in rows(tmp_path / "out.jsonl")) == list(range(2000))
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == (tmp_path / "out.jsonl").read_bytes()
    paid = server.paid()
    assert len(paid) == 2000
    paid_twice = paid.total() - 2000
    # A response waits for the commit that is being written and then for its own.
    assert 0 < paid_twice <= 20 * (IN_FLIGHT + 2 * _PER_INTERVAL)


@pytest.mark.parametrize("server", ["honours keys"], indirect=True)
def test_where_the_endpoint_knows_a_call_by_its_key_nothing_is_paid_twice(server: Server, tmp_path: Path) -> None:
    random = Random(21)
    for _ in range(4):
        kill_after(random.uniform(0.0, 0.15), "chat", tmp_path, server)
    finish("chat", tmp_path, server)
    check_journal(tmp_path, 2000)
    paid = server.paid()
    assert (len(paid), paid.total()) == (2000, 2000)


def test_a_ticket_with_three_children_is_settled_once_and_its_children_are_no_duplicates_of_themselves(
    server: Server, tmp_path: Path
) -> None:
    random = Random(3)
    for _ in range(6):
        kill_after(random.uniform(0.05, 0.25), "fork", tmp_path, server)
    finish("fork", tmp_path, server)
    check_journal(tmp_path, TICKETS["fork"])
    texts = [row["text"] for row in rows(tmp_path / "out.jsonl")]
    firsts = {f"an answer to: {which} of {n}." for n in range(300) for which in ("First", "Second")}
    assert sorted(texts) == sorted(firsts | {f"the same for {n}" for n in range(50)})
    drops = query(tmp_path, "SELECT outcome, drops IS NOT NULL, count(*) FROM outcomes GROUP BY 1, 2 ORDER BY 2")
    assert drops == [("accepted", 0, 50), ("accepted", 1, 250)]


DECIDED = "SELECT id, t ->> '$.first_ticket', t -> '$.settings' FROM (SELECT id, CAST(body AS TEXT) AS t FROM trials)"


def test_after_a_kill_tickets_keep_their_trials(server: Server, tmp_path: Path) -> None:
    random = Random(4)
    trials: list[tuple[Any, ...]] = []
    for _ in range(5):
        kill_after(random.uniform(0.05, 0.2), "tuned", tmp_path, server)
        now = query(tmp_path, DECIDED) if (tmp_path / "run.db").exists() else []
        assert now[: len(trials)] == trials
        trials = now
    finish("tuned", tmp_path, server)
    check_journal(tmp_path, TICKETS["tuned"])
    decided = [msgspec.json.decode(body) for _, body in query(tmp_path, "SELECT id, body FROM trials ORDER BY id")]
    assert [trial["first_ticket"] for trial in decided] == list(range(0, 16 * len(decided), 16))
    for row in rows(tmp_path / "out.jsonl"):
        trial = decided[row["_meta"]["ticket"] // 16]
        assert (row["_meta"]["trial"], row["_meta"]["settings"]) == (trial["id"], trial["settings"])
    rewarded = [trial for (trial,) in query(tmp_path, "SELECT trial FROM rewards ORDER BY trial")]
    assert len(set(rewarded)) == len(rewarded) and set(range(6)) <= set(rewarded)
