"""`python -m benchmarks NAME`: one measurement; without a name, what there is to measure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from streamgen.errors import UnknownName

COMMANDS: dict[str, tuple[str, str]] = {
    "hop": ("benchmarks.hop:command", "what a hop of the engine costs, beside a bare chain of asyncio.Queues"),
    "hour": ("benchmarks.hour:command", "what an hour of engine time costs on virtual time"),
    "setup": ("benchmarks.setup:command", "makes the environments that the clients run in"),
    "memory": ("benchmarks.memory:command", "peak memory of 2,000 and of 20,000 records over HTTP"),
    "run": ("benchmarks.suite:command", "clients at workloads, beside a bare aiohttp loop, on a mock endpoint"),
    "crash": ("benchmarks.crash:command", "kill -9 at random moments: what is lost, and what is paid twice"),
    "restart": ("benchmarks.restart:command", "how soon a long run makes its next call after a kill"),
    "duplicates": ("benchmarks.duplicates:command", "planted near-duplicates: recall, precision, speed, resume"),
    "filters": (
        "benchmarks.filters:command",
        "a group of filters: in the given, the learned and the best order",
    ),
    "novelty": ("benchmarks.novelty:command", "new texts a second against a pool of 10,000, by ROUGE-L"),
    "self_instruct": ("benchmarks.self_instruct:command", "a local model writes tasks: how many, how soon, what drops"),
    "block": ("benchmarks.block:command", "how long a learning controller holds up the event loop at a time"),
    "metrics": ("benchmarks.metrics:command", "what the metrics cost a record, and their memory at a million records"),
    "tuning": ("benchmarks.tuning.command:command", "agents beside Optuna and CMA-ES on simulated tuning problems"),
    "closed_loop": ("benchmarks.closed_loop.command:command", "agents tune a local model on a real task, equal tokens"),
    "meta_training": (
        "benchmarks.meta_training:command",
        "teaches the policy of the agent reinforce, from scratch",
    ),
    "pii": ("benchmarks.pii:command", "recall, precision and speed of the detectors of personal data"),
    "table": ("benchmarks.table:command", "the table, the targets and the chart of what `run` has measured"),
}
"""Name -> (module:function, what it measures). The function gets the arguments behind the name."""


def load(name: str) -> Callable[[Sequence[str]], object]:
    """The command's function; its module is imported only now."""
    if name not in COMMANDS:
        raise UnknownName("benchmark", name, COMMANDS)
    module, _, function = COMMANDS[name][0].partition(":")
    command: Callable[[Sequence[str]], object] = getattr(import_module(module), function)
    return command


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark that is named first; the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m benchmarks NAME [--help | options]\n")
        print("\n".join(f"  {name:<12} {about}" for name, (_, about) in COMMANDS.items()))
        return 0
    try:
        command = load(arguments[0])
    except UnknownName as error:
        print(error, file=sys.stderr)
        return error.exit_code
    command(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
