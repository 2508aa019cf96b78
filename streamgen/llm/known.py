"""Answers that other runs paid for, by what this run's models really are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from streamgen.errors import RecipeError
from streamgen.llm.cache import ResponseCache, key_of
from streamgen.llm.model import Request
from streamgen.llm.spec import ModelSpec


class KnownAnswers:
    """A cache of answers as one run sees it.

    A request is found again where the model is the same (provider, address and name, of all its servers) and so is
    everything that was asked, the seed too. The seeds that a run chooses follow from its own seed and from ticket,
    stage, record and number of the call: another run finds what was asked in the same place of the same recipe with
    the same seed, and from any place where the stage sets its own `seed`. A prompt that was drawn from what other
    calls answered (`self_instruct`) is the same only where these came in the same order.
    """

    def __init__(self, cache: ResponseCache, models: Mapping[str, ModelSpec]) -> None:
        self._cache = cache
        self._models = {name: identity for name, spec in models.items() if (identity := _identity(spec))}
        self.get, self.put = cache.get, cache.put

    def __repr__(self) -> str:
        return f"<KnownAnswers {sorted(self._models)} of {self._cache!r}>"

    def name(self, model: str, request: Request) -> bytes | None:
        """What the answer is found by; None for a model of which nobody can say whether it is the same again."""
        identity = self._models.get(model)
        return None if identity is None else key_of(identity, request)

    @property
    def warning(self) -> str | None:
        """What went wrong with the file in this session, if something did."""
        failed = self._cache.statistics().failed
        return f"{failed} answers could not be written to the cache {self._cache.path}" if failed else None

    def close(self) -> None:
        """Write what waits, and let go of the file; closing twice is fine."""
        self._cache.close()


def open_known(path: Path, models: Mapping[str, ModelSpec]) -> KnownAnswers:
    """The answers in a file, which is made where there is none. Raises RecipeError for one that is no cache."""
    try:
        return KnownAnswers(ResponseCache(path), models)
    except RecipeError as error:
        raise RecipeError(error.message, "$.run.cache") from error.__cause__


def _identity(spec: object) -> str | None:
    """A model from Python has none: nobody knows what it would answer another time."""
    if not isinstance(spec, ModelSpec):
        return None
    lanes = {(lane.provider, lane.base_url, lane.model, lane.path) for lane in spec.lanes}
    return msgspec.json.encode(sorted(lanes, key=repr)).decode()
