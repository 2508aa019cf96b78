"""The benchmark's two chains carry all items; its commands are found by name."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.__main__ import COMMANDS, load, main
from benchmarks.hop import engine_chain, queue_chain


@pytest.mark.parametrize("size", [1, 16])
def test_both_chains_carry_every_item(size: int) -> None:
    assert asyncio.run(queue_chain(500, size)) > 0
    assert asyncio.run(engine_chain(500, size)) > 0


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    assert callable(load(name))


def test_an_unknown_benchmark_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hopp"]) == 2
    assert "unknown benchmark 'hopp'; did you mean 'hop'?" in capsys.readouterr().err
