"""`python -m benchmarks tuning`: agents and tuners on the eight families, with intervals."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.suite import machine
from benchmarks.tuning.contenders import contender
from benchmarks.tuning.families import FAMILIES
from benchmarks.tuning.games import matches, played
from benchmarks.tuning.results import RESULTS, Results, rows, write
from benchmarks.tuning.table import document
from streamgen.errors import UnknownName

CONTENDERS = "surrogate,random_search,optuna-tpe,optuna-tpe-5,optuna-tpe-2,optuna-gp,cma-es"
PACKAGES = ("numpy", "scipy", "scikit-learn", "optuna", "torch", "cmaes")


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def command(arguments: Sequence[str]) -> None:
    """Play, keep the games, and print the tables."""
    given = _parser().parse_args(arguments)
    names, families = given.contenders.split(";" if ";" in given.contenders else ","), given.families.split(",")
    first, last = given.seeds.split("-")
    try:
        for name in names:
            contender(name)
        for family in families:
            if family not in FAMILIES:
                raise UnknownName("family", family, FAMILIES)
    except UnknownName as error:
        sys.exit(str(error))
    out = [int(number) for number in given.in_flight.split(",")]
    wanted = matches(names, families, range(int(first), int(last) + 1), out)
    games = dict(played(wanted, given.processes))
    ordered = rows((match, games[match]) for match in wanted)
    results = Results(time.strftime("%Y-%m-%d %H:%M"), machine(), versions(), ordered)
    write(given.out, results)
    print(document(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tuning", description=__doc__)
    parser.add_argument("--contenders", default=CONTENDERS, help="apart by ',', or ';' where one has options")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--seeds", default="1000-1019", help="first-last; 0-19 were used for development")
    parser.add_argument("--in-flight", default="1", help="trials out at once, e.g. 1,4")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser
