"""Every error that streamgen raises on purpose, and the exit code that each one means."""

from __future__ import annotations

from collections.abc import Iterable


class StreamgenError(Exception):
    """Something that the user can act on; the message says what failed, where, and what to do."""

    exit_code = 1


class RecipeError(StreamgenError):
    """A recipe, an option or an input file is not usable; nothing was run."""

    exit_code = 2

    def __init__(self, message: str, path: str = "") -> None:
        self.message, self.path = message, path
        super().__init__(f"{message} - at `{path}`" if path else message)


class UnknownName(RecipeError):
    """A name that nothing is registered under; the message lists the known ones and suggests the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str], path: str = "") -> None:
        super().__init__(f"unknown {kind} {name!r}{suggestion(name, known)}", path)


class MissingExtra(RecipeError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'streamgen-llm[{extra}]'")


class PluginError(StreamgenError):
    """A registered extension cannot be loaded."""

    exit_code = 2


class GraphError(RecipeError):
    """The stages do not form a graph that can run: a cycle, an unknown input, an unreachable stage."""


class JournalError(StreamgenError):
    """The run's database cannot be used: locked by another process, foreign, newer, or the disk is full."""


class LockedError(JournalError):
    """Another process runs in this directory."""

    exit_code = 2


class FatalError(StreamgenError):
    """Stops the run, rather than failing one record."""


class TooManyFailures(FatalError):
    """More records fail than the recipe allows."""


class NoProgress(FatalError):
    """Nothing moves any more, or nothing is ever accepted; the message says which stage waits for what."""


class ModelError(StreamgenError):
    """A model did not give a usable answer; the record fails."""


class RewardError(StreamgenError):
    """A trial's reward cannot be computed; the trial is marked as failed and the run goes on."""


class EndpointError(ModelError, FatalError):
    """The endpoint itself cannot be used (unreachable, wrong key, unknown model); the run stops."""


class MissingColumn(StreamgenError):
    """A record lacks a column that a stage reads; the record fails."""

    def __init__(self, stage: str, column: str, columns: Iterable[str]) -> None:
        lacks = f"stage {stage!r} reads the column {column!r}, which the record lacks"
        super().__init__(f"{lacks}{suggestion(column, columns)}")


class StopRun(StreamgenError):
    """Raised in a handler: stops the source and leaves this record's ticket to the next session."""


class BudgetExhausted(StopRun):
    """The run's budget does not allow one more call; the run drains and can be resumed with more."""

    exit_code = 3


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'? known: ...`, to be put behind an unknown name.

    >>> suggestion("lenght", ["length", "chat"])
    "; did you mean 'length'? known: chat, length"
    """
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(names)}" if names else "; none are known"
