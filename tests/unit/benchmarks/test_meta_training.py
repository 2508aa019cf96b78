from __future__ import annotations

import math
from functools import partial

import msgspec
import numpy as np
import pytest

pytest.importorskip("optax")

import jax
import jax.numpy as jnp

from benchmarks.meta_training.episodes import Steps, chances_of, luck
from benchmarks.meta_training.problems import (
    CHOICES,
    COORDINATES,
    NORMALS,
    STATES,
    UNIFORMS,
    Point,
    Problem,
    draw,
    worth,
)
from benchmarks.meta_training.process import ACTING, Bank, Trials, added, banks, begun, believed, expected, predicted
from benchmarks.meta_training.training import Plan, Score, gain, regrets, saved, scaled, scored
from streamgen.control.encoding import Points
from streamgen.control.gaussian_process import Hyper, Inputs, Posterior, log_likelihood
from streamgen.control.success import chances

TRIALS, TOLD, BEGUN, FAILED = 8, 5, 7, 2


def hypers(count: int) -> Hyper:
    rng = np.random.default_rng(2)
    return Hyper(
        rng.normal(-0.3, 0.3, (count, COORDINATES + STATES)), rng.normal(0, 1, (count, CHOICES)),
        rng.normal(-0.7, 0.3, (count, CHOICES)), rng.normal(0.2, 0.2, count), rng.normal(-0.8, 0.2, count),
        rng.normal(-6, 1, count), rng.normal(1, 0.4, count),
    )  # fmt: skip


def tried(bank: Bank) -> Trials:
    """BEGUN trials, of which TOLD are told and one of these has failed."""
    rng = np.random.default_rng(3)
    trials = begun(len(bank.signal), TRIALS)
    add = jax.jit(added)
    for row in range(BEGUN):
        x, c = rng.random(COORDINATES + STATES), rng.integers(0, 2, CHOICES)
        trials = add(bank, trials, row, jnp.array(x), jnp.array(c), rng.normal(), float(row == FAILED))
    return trials


def test_a_growing_factor_gives_the_surrogates_own_posterior_with_pending_and_failed_trials() -> None:
    hyper = hypers(1)
    bank = Bank(*(jnp.asarray(column) for column in hyper))
    trials = tried(bank)
    belief = believed(bank, trials, jnp.array(TOLD), jnp.array(BEGUN), jnp.array(0.5))
    rng = np.random.default_rng(4)
    x, c = rng.random((6, COORDINATES + STATES)), rng.integers(0, 2, (6, CHOICES))
    means, variances = predicted(belief, trials, jnp.array(x), jnp.array(c), jnp.array(BEGUN))

    rows = [row for row in range(TOLD) if row != FAILED]
    values = np.asarray(trials.reward)[rows]
    y = (values - values.mean()) / values.std()
    known = Posterior(hyper, inputs(trials, rows), y, np.ones(len(rows)))
    posterior = known.believing(inputs(trials, list(range(TOLD, BEGUN))))
    seen = posterior.predict(Inputs(x, c, np.full(6, float(BEGUN))))
    assert np.asarray(means)[0] == pytest.approx(seen.means[0], abs=0.01)
    assert np.asarray(variances)[0] == pytest.approx(seen.variances[0], abs=0.01)
    only = expected(belief, trials, jnp.array(x), jnp.array(c), jnp.array(BEGUN))
    assert np.asarray(only) == pytest.approx(np.asarray(means), abs=1e-4)
    assert float(belief.worst) == pytest.approx(y.min(), abs=1e-5)


def test_particles_are_drawn_by_how_likely_they_make_the_rewards() -> None:
    hyper = hypers(50)
    bank = Bank(*(jnp.asarray(column) for column in hyper))
    trials = tried(bank)
    rows = [row for row in range(TOLD) if row != FAILED]
    values = np.asarray(trials.reward)[rows]
    y = (values - values.mean()) / values.std()
    levels = log_likelihood(hyper, inputs(trials, rows), y, np.ones(len(rows)))
    places = (np.arange(ACTING) + 0.5) / ACTING
    chosen = np.searchsorted(np.cumsum(np.exp(levels - levels.max())) / np.exp(levels - levels.max()).sum(), places)
    belief = believed(bank, trials, jnp.array(TOLD), jnp.array(BEGUN), jnp.array(0.5))
    assert np.asarray(belief.bank.signal) == pytest.approx(hyper.signal[chosen], abs=1e-5)


def inputs(trials: Trials, rows: list[int]) -> Inputs:
    return Inputs(np.asarray(trials.x)[rows], np.asarray(trials.c)[rows], np.array(rows, dtype=float))


def test_the_chance_to_work_is_the_surrogates() -> None:
    trials = tried(Bank(*(jnp.asarray(column) for column in hypers(1))))
    rng = np.random.default_rng(5)
    u, c = rng.random((4, COORDINATES)), rng.integers(0, 2, (4, CHOICES))
    told = Points(np.asarray(trials.x)[:TOLD, :COORDINATES], np.asarray(trials.c)[:TOLD])
    worked = np.array([float(row != FAILED) for row in range(TOLD)])
    found = chances_of(jnp.array(u), jnp.array(c), trials, jnp.array(TOLD))
    assert np.asarray(found) == pytest.approx(chances(Points(u, c), told, worked), abs=1e-5)


def test_problems_are_scaled_and_stay_within_their_size() -> None:
    drawn = luck(np.random.default_rng(6), 40, 3)
    assert drawn.uniforms.shape == (40, UNIFORMS)
    assert drawn.normals.shape == (40, NORMALS)
    problems = jax.jit(jax.vmap(draw))(drawn.uniforms, drawn.normals)
    coordinates = np.asarray(problems.used.sum(1))
    assert coordinates.min() == 1
    assert coordinates.max() == COORDINATES
    assert np.asarray(problems.sizes).min(0).tolist() == [1, 1]
    u = np.random.default_rng(7).random((200, COORDINATES))
    rng = np.random.default_rng(8)

    def at(problem: Problem) -> jax.Array:
        c = jnp.array(rng.integers(0, 9, (200, CHOICES))) % problem.sizes
        points = Point(u * problem.used, c, jnp.zeros((200, STATES)), jnp.zeros(200))
        return jax.vmap(partial(worth, problem))(points)

    values = np.asarray(jax.jit(jax.vmap(at))(problems))
    assert abs(np.median(values.mean(1))) < 0.2
    assert 0.5 < np.median(values.max(1)) < 1.3


def steps_of(value: list[list[float]], recommended: list[list[float]]) -> Steps:
    return Steps(jnp.array(value), jnp.array(recommended))


def test_an_episode_has_a_regret_online_and_one_of_what_it_recommends() -> None:
    steps = steps_of([[0.5, 0.7, 0.9]], [[0.0, 0.8, 0.6]])
    assert np.asarray(regrets(steps, 2))[:, 0] == pytest.approx([0.3, 0.3])


def test_a_value_above_the_best_that_was_known_is_no_regret_for_the_others() -> None:
    found = steps_of([[0.5, 1.5]], [[1.5, 1.4]])
    assert np.asarray(regrets(found, 1))[:, 0] == pytest.approx([0.25, 0.0])


def test_the_score_of_episodes_is_their_mean_regrets_and_goes_into_the_provenance() -> None:
    found = scored(np.array([[0.2, 0.4], [0.1, 0.2]], np.float32))
    both, spread = math.sqrt(0.3 * 0.15), 1 / 3
    assert msgspec.structs.astuple(found) == pytest.approx(
        (0.3, 0.15, both, 1.96 * both * spread / math.sqrt(2)), abs=1e-6
    )
    assert msgspec.json.decode(msgspec.json.encode(found), type=Score) == found


def test_both_regrets_count_as_shares_of_their_means_over_all_problems() -> None:
    up, down = jnp.array([[0.2, 0.4], [0.01, 0.03]]), jnp.array([[0.4, 0.4], [0.03, 0.01]])
    online, simple = 0.2 / 0.35, 0.02 / 0.02
    assert np.asarray(saved(up, down)) == pytest.approx([(online + simple) / 2, -simple / 2], abs=1e-3)


def test_what_one_problem_teaches_is_bounded() -> None:
    differences = np.zeros(100)
    differences[0] = -50.0
    assert np.asarray(scaled(jnp.array(differences)))[:2].tolist() == [-3.0, 0.0]
    assert np.asarray(scaled(jnp.array([1.0, -1.0]))) == pytest.approx([1.0, -1.0], abs=1e-4)


def test_parameters_gain_on_the_side_that_did_better() -> None:
    draws = np.zeros((2, 3, 2))
    draws[0, 0, 0], draws[1, 2, 1] = 1.0, -2.0
    found = np.asarray(gain(jnp.array([1.0, 1.0]), jnp.array(draws), Plan(spread=(0.1, 0.3))))
    expected = np.zeros((3, 2))
    expected[0, 0], expected[2, 1] = 0.05, -0.3
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_bank_is_drawn_from_the_surrogates_prior() -> None:
    bank = banks(40, 0)
    assert bank.length.shape == (COORDINATES, 40, COORDINATES + STATES)
    assert np.asarray(bank.length[0, :, 1:COORDINATES]).tolist() == np.zeros((40, COORDINATES - 1)).tolist()
    assert float(bank.length[7, :, :8].mean()) > float(bank.length[0, :, 0].mean())
