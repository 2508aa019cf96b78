"""The mock endpoint from the runner's side: start it on a core, read its counters, measure its ceiling."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.endpoint.config import Config

ROOT = Path(__file__).parents[1]
_PROMPT = "Write a short text about a lighthouse for sailors. Use plain words, name one colour and one sound. " * 2
_BODY = json.dumps({"model": "mock", "messages": [{"role": "user", "content": _PROMPT}]}).encode()
_CONNECTIONS = 64


class Mock:
    """A running mock endpoint."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def counters(self) -> dict[str, Any]:
        """What it has counted."""
        counters: dict[str, Any] = self._ask("GET", "/counters")
        return counters

    def progress(self) -> dict[str, int]:
        """Its requests, paid calls and requests in flight: cheap, so that it can be asked all the time."""
        progress: dict[str, int] = self._ask("GET", "/progress")
        return progress

    def history(self) -> dict[str, list[float]]:
        """Its arrivals and answers."""
        history: dict[str, list[float]] = self._ask("GET", "/history")
        return history

    def reset(self) -> None:
        """Begin to count anew."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def endpoint(config: Config, core: int) -> Iterator[Mock]:
    """A mock endpoint in a process of its own, on this core."""
    told = msgspec.json.encode(config).decode()
    command = [sys.executable, "-m", "benchmarks.endpoint", "--config", told, "--core", str(core)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield Mock(json.loads(process.stdout.readline())["port"])
        finally:
            process.kill()


class Ceiling(NamedTuple):
    """Requests a second that the endpoint answers, and what asked."""

    per_s: float
    driver: str


def ceiling(endpoint_core: int, client_core: int, seconds: float = 2.0) -> Ceiling:
    """What an endpoint without latency answers: asked by `wrk` where it is installed, else by raw sockets."""
    with endpoint(Config(), endpoint_core) as mock:
        if shutil.which("wrk") is None:
            return Ceiling(_raw_sockets(mock.port, seconds), "raw sockets in Python")
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(f"wrk.method = 'POST'\nwrk.body = [[{_BODY.decode()}]]\n")
            script.flush()
            options = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds:.0f}s", "-s", script.name]
            url = f"{mock.base_url}/chat/completions"
            command = ["taskset", "-c", str(client_core), "wrk", *options, url]
            subprocess.run(command, check=True, capture_output=True)
        counters = mock.counters()
        return Ceiling(counters["requests"] / (counters["last_answer"] - counters["first_request"]), "wrk")


def _raw_sockets(port: int, seconds: float) -> float:
    """One request at a time on each of many connections, from one thread."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    request, asked = head.encode() + _BODY, 0
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(_CONNECTIONS)]
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for one in sockets:
            one.sendall(request)
        for one in sockets:
            one.recv(1 << 16)
        asked += len(sockets)
    elapsed_s = time.perf_counter() - start
    for one in sockets:
        one.close()
    return asked / elapsed_s
