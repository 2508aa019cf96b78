"""Calculations for a reward's worker: what answers, what raises, what dies and what never ends."""

from __future__ import annotations

import os
import signal
import time

import msgspec


class Job(msgspec.Struct, frozen=True):
    number: float = 0.0


def double(job: Job) -> dict[str, float]:
    print("what a library prints is no answer", flush=True)
    return {"double": 2 * job.number, "process": float(os.getpid())}


def refuse(job: Job) -> dict[str, float]:
    raise ValueError(f"not {job.number}")


def die(job: Job) -> dict[str, float]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def leave(job: Job) -> dict[str, float]:
    os._exit(3)


def hang(job: Job) -> dict[str, float]:
    while True:
        time.sleep(3600)
