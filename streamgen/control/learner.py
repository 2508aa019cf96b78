"""Keeps a policy's parameters, and has them updated in a thread."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Generic, TypeVar

import numpy as np

from streamgen.control.policy import Parameters
from streamgen.record import Value

B = TypeVar("B")
"""What a policy is updated from."""


class Learner(Generic[B]):
    """The policy after all updates that were wanted, however late they come to be made.

    One thread loads JAX, compiles and updates, one after the other. It ends with the last reference to the learner.
    `compiled` is called in it and gives the update.
    """

    def __init__(self, compiled: Callable[[], Callable[[Parameters, B], Parameters]], parameters: Parameters) -> None:
        self._compile = compiled
        self._parameters = parameters
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")
        self._compiled: Future[Callable[[Parameters, B], Parameters]] | None = None
        self._latest: Future[Parameters] | None = None

    @property
    def parameters(self) -> Parameters:
        """The policy now; waits for updates that are still being made, and raises what one of them raised."""
        if self._latest is not None:
            self._parameters, self._latest = self._latest.result(), None
        return self._parameters

    def prepare(self) -> None:
        """Begin to load and compile, beside whatever goes on."""
        if self._compiled is None:
            self._compiled = self._thread.submit(self._compile_once)

    def learn(self, batch: B) -> None:
        """Update the policy from a batch, after those before it."""
        self.prepare()
        self._latest = self._thread.submit(self._updated, self._latest, batch)

    def load(self, parameters: Parameters) -> None:
        """Go on with this policy."""
        self._parameters, self._latest = parameters, None

    def _compile_once(self) -> Callable[[Parameters, B], Parameters]:
        with _uncollected():
            return self._compile()

    def _updated(self, before: Future[Parameters] | None, batch: B) -> Parameters:
        assert self._compiled is not None
        return self._compiled.result()(before.result() if before else self._parameters, batch)


def load_library() -> None:
    """Load JAX's shared library: 50 to 130 ms in which no other thread runs, so it is done before a stream begins."""
    with suppress(ImportError):
        import_module("jaxlib.xla_client")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep what is loaded here out of the garbage collector's sight, now and later.

    JAX, Flax and optax are hundreds of thousands of objects that stay: each full collection would look at all of them
    and hold up all threads for 50 to 130 ms.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def as_lists(parameters: Parameters) -> Value:
    """The arrays as JSON values; `as_arrays` gives exactly them back."""
    return {name: as_lists(value) if isinstance(value, dict) else value.tolist() for name, value in parameters.items()}


def as_arrays(lists: Value, like: Parameters) -> Parameters:
    """The arrays of `as_lists`. Raises ValueError where they do not have the shapes of `like`."""
    if not isinstance(lists, Mapping) or lists.keys() != like.keys():
        raise ValueError(f"a policy has the layers {', '.join(like)}")
    return {name: _array(lists[name], layer) for name, layer in like.items()}


def _array(value: Value, like: Value) -> Value:
    if isinstance(like, dict):
        return as_arrays(value, like)
    array = np.asarray(value, dtype=np.float32)
    if array.shape != like.shape:
        raise ValueError(f"expected an array of the shape {like.shape}, not {array.shape}: the space is another one")
    return array
