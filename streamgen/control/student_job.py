"""Trains a small network on the stream and measures it; runs wherever the reward's worker is. Imports JAX."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from streamgen.control.classifier_job import Truth, class_error_rates, metrics_of, spread, truth_of, with_baseline
from streamgen.control.examples import Example
from streamgen.control.hashing import vectors
from streamgen.control.student import Lesson

MINIBATCH = 16

Parameters: TypeAlias = dict[str, Any]


class Shape(NamedTuple):
    """What a compiled function depends on."""

    hidden: int
    dimensions: int
    classes: int
    passes: int
    learning_rate: float


class Rows(NamedTuple):
    """Inputs, classes, and how much each row counts: rows that only fill up count 0."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]


class Learning(NamedTuple):
    """The compiled functions: first parameters, those after some rows, those after each of several weights of them."""

    begin: Any
    learn: Any
    learn_each: Any
    apply: Any


def learned(job: Lesson) -> dict[str, float]:
    """The metrics after learning `made` behind `known`, and where there is a baseline, its own; the same each time."""
    truth = truth_of(job.held_out, [*job.known, *job.made, *job.baseline])
    learning = learning_of(Shape(job.hidden, job.dimensions, len(truth.classes), job.passes, job.learning_rate))
    before = learning.begin(job.seed)
    if job.known:
        before = learning.learn(before, rows_of(job.known, truth, job.dimensions), job.seed)
    metrics = _learned(job, job.made, before, learning, truth)
    return with_baseline(metrics, _learned(job, job.baseline, before, learning, truth)) if job.baseline else metrics


def _learned(
    job: Lesson, made: Sequence[Example], before: Parameters, learning: Learning, truth: Truth
) -> dict[str, float]:
    rows = rows_of(made, truth, job.dimensions)
    held_out = vectors([text for text, _ in job.held_out], job.dimensions, "words").astype(np.float32)
    whole = np.asarray(learning.apply(learning.learn(before, rows, job.seed), held_out), dtype=np.float64)
    metrics = {**metrics_of(whole, truth), **class_error_rates(whole, truth)}
    metrics["trained_on"] = float(len(job.known) + len(made))
    if job.known:
        metrics["prequential"] = _share_right(learning.apply(before, rows.inputs), rows)
    if job.resamples:
        weights = _resamples(job, len(made), len(rows.weights))
        each = learning.learn_each(before, rows, weights, job.seed)
        found = [np.asarray(learning.apply(_at(each, index), held_out), np.float64) for index in range(job.resamples)]
        metrics |= spread([metrics_of(probabilities, truth) for probabilities in found])
    return metrics


@cache
def learning_of(shape: Shape) -> Learning:
    """The functions for this shape; each is compiled once for each number of rows."""
    network = nn.Sequential([nn.Dense(shape.hidden), nn.relu, nn.Dense(shape.classes)])
    optimizer = optax.adam(shape.learning_rate)

    def loss(parameters: Parameters, rows: Rows) -> jax.Array:
        errors = optax.softmax_cross_entropy_with_integer_labels(network.apply(parameters, rows.inputs), rows.labels)
        return jnp.sum(errors * rows.weights) / jnp.maximum(jnp.sum(rows.weights), 1.0)

    def step(carry: Any, rows: Rows) -> tuple[Any, None]:
        parameters, moments = carry
        changes, moments = optimizer.update(jax.grad(loss)(parameters, rows), moments)
        return (optax.apply_updates(parameters, changes), moments), None

    def learn(parameters: Parameters, rows: Rows, seed: int) -> Any:
        def go_through(carry: Any, key: jax.Array) -> tuple[Any, None]:
            order = jax.random.permutation(key, len(rows.labels)).reshape(-1, MINIBATCH)
            return jax.lax.scan(step, carry, Rows(*(column[order] for column in rows)))[0], None

        keys = jax.random.split(jax.random.key(seed), shape.passes)
        return jax.lax.scan(go_through, (parameters, optimizer.init(parameters)), keys)[0][0]

    def learn_each(parameters: Parameters, rows: Rows, weights: jax.Array, seed: int) -> Any:
        return jax.vmap(lambda own: learn(parameters, rows._replace(weights=own), seed))(weights)

    def begin(seed: int) -> Any:
        return network.init(jax.random.key(seed), jnp.zeros((1, shape.dimensions)))

    def apply(parameters: Parameters, inputs: jax.Array) -> jax.Array:
        return nn.softmax(jnp.asarray(network.apply(parameters, inputs)))

    return Learning(jax.jit(begin), jax.jit(learn), jax.jit(learn_each), jax.jit(apply))


def rows_of(examples: Sequence[Example], truth: Truth, dimensions: int) -> Rows:
    """The examples as rows, filled up to a power of two, so that few numbers of rows are ever compiled for."""
    size = max(MINIBATCH, 1 << (len(examples) - 1).bit_length())
    places = {label: index for index, label in enumerate(truth.classes)}
    inputs = np.zeros((size, dimensions), np.float32)
    inputs[: len(examples)] = vectors([text for text, _ in examples], dimensions, "words")
    labels = np.zeros(size, np.int32)
    labels[: len(examples)] = [places[label] for _, label in examples]
    return Rows(inputs, labels, (np.arange(size) < len(examples)).astype(np.float32))


def _share_right(probabilities: jax.Array, rows: Rows) -> float:
    right = np.asarray(probabilities).argmax(axis=1) == rows.labels
    return float((right * rows.weights).sum() / rows.weights.sum())


def _resamples(job: Lesson, made: int, size: int) -> NDArray[np.float32]:
    """How often each row is drawn, for each resample: as many draws as rows, with replacement."""
    rng = np.random.default_rng(job.seed)
    weights = np.zeros((job.resamples, size), np.float32)
    weights[:, :made] = rng.multinomial(made, np.full(made, 1 / made), size=job.resamples)
    return weights


def _at(tree: Parameters, index: int) -> Parameters:
    found: Parameters = jax.tree.map(lambda leaf: leaf[index], tree)
    return found
