"""The Gaussian process is the textbook's, particle by particle."""

from __future__ import annotations

import numpy as np
import pytest

from streamgen.control.acquisition import worth
from streamgen.control.encoding import Floats
from streamgen.control.gaussian_process import (
    JITTER,
    MEAN_VARIANCE,
    Hyper,
    Inputs,
    Posterior,
    covariance,
    joined,
    log_likelihood,
)
from streamgen.control.hyperparameters import PARTICLES, Population
from streamgen.control.warping import unwarped, warped

RNG = np.random.default_rng(5)
ROWS = Inputs(RNG.random((6, 2)), RNG.integers(0, 3, (6, 1)), np.arange(6.0))
Y: Floats = RNG.standard_normal(6)
LOGARITHMS = np.log([[0.5, 0.8, 1.0, 0.5, 1.2, 0.1, 0.01], [0.2, 0.3, 0.5, 0.7, 1.0, 0.3, 0.001]])
HYPER = Hyper.of(np.hstack([LOGARITHMS, [[1.0], [0.4]]]), choices=1)
WARPED = [Y, np.where(Y < 0, -(((1 + abs(Y)) ** 1.6) - 1) / 1.6, ((1 + abs(Y)) ** 0.4 - 1) / 0.4)]  # Yeo, Johnson 2000
EQUAL = np.ones(6)


def by_hand(particle: int, i: int, j: int) -> float:
    """The covariance of two rows, from the formulas."""
    a, b = ROWS.x[i], ROWS.x[j]
    r = float(np.sqrt((((a - b) / np.exp(HYPER.length[particle])) ** 2).sum()))
    matern = (1 + 5**0.5 * r + 5 * r * r / 3) * np.exp(-(5**0.5) * r)
    odds = float(np.exp(HYPER.overlap[particle, 0]))
    overlap = 1.0 if ROWS.c[i, 0] == ROWS.c[j, 0] else odds / (1 + odds)
    forgotten = np.exp(-np.exp(HYPER.forgetting[particle]) * abs(ROWS.t[i] - ROWS.t[j]))
    level = np.exp(2 * HYPER.level[particle, 0]) * (ROWS.c[i, 0] == ROWS.c[j, 0])
    return float(np.exp(2 * HYPER.signal[particle]) * (matern * overlap * forgotten + level) + MEAN_VARIANCE)


def noisy(particle: int) -> Floats:
    k = np.array([[by_hand(particle, i, j) for j in range(6)] for i in range(6)])
    return k + np.eye(6) * (np.exp(2 * HYPER.noise[particle]) + JITTER)


def test_the_covariance_is_matern_times_overlap_times_forgetting_and_a_level_a_choice() -> None:
    k = covariance(HYPER, ROWS, ROWS)
    assert k.shape == (2, 6, 6)
    for particle in range(2):
        expected = [[by_hand(particle, i, j) for j in range(6)] for i in range(6)]
        assert np.allclose(k[particle], expected, atol=1e-6)


def test_the_likelihood_is_the_normal_density_of_the_warped_rewards_as_one_of_the_rewards() -> None:
    levels = log_likelihood(HYPER, ROWS, Y, EQUAL)
    for particle, z in enumerate(WARPED):
        k = noisy(particle)
        expected = -0.5 * z @ np.linalg.solve(k, z) - 0.5 * np.linalg.slogdet(k)[1]
        step = 1e-6
        moved = [float(warped(y + step, HYPER.power[particle]) - warped(y - step, HYPER.power[particle])) for y in Y]
        expected += np.log(np.array(moved) / (2 * step)).sum()
        assert levels[particle] == pytest.approx(expected, abs=1e-6)


def test_means_variances_and_covariances_are_those_of_the_conditional_normal() -> None:
    posterior = Posterior(HYPER, ROWS, Y, EQUAL)
    at = Inputs(np.array([[0.3, 0.4], [0.9, 0.1], [0.5, 0.5]]), np.array([[0], [1], [2]]), np.full(3, 6.0))
    seen = posterior.predict(at)
    known, prior = covariance(HYPER, at, ROWS), covariance(HYPER, at, at)
    for particle in range(2):
        gain = known[particle] @ np.linalg.inv(noisy(particle))
        conditional = prior[particle] - gain @ known[particle].T
        middle, power = gain @ WARPED[particle], HYPER.power[particle]
        upwards = unwarped(middle + np.sqrt(np.diag(conditional)), power) - unwarped(middle, power)
        assert np.allclose(seen.means[particle], unwarped(middle, power), atol=1e-5)
        assert np.allclose(seen.variances[particle], upwards**2, atol=1e-5)
        slope = upwards / np.sqrt(np.diag(conditional))
        between = (slope[:, None] * slope * conditional)[:, [2, 0]]
        assert np.allclose(posterior.between(seen, np.array([2, 0]))[particle], between, atol=1e-5)
    assert np.allclose(posterior.mean(at), seen.means)


def test_half_as_many_records_say_half_as_much() -> None:
    level = Hyper.of(np.hstack([np.log([[0.5, 1.0, 1.0, 0.01]]), [[1.0]]]), choices=0)
    rows = Inputs(np.array([[0.0], [0.0]]), np.zeros((2, 0), np.int64), np.zeros(2))
    told = Posterior(level, rows, np.array([1.0, -1.0]), np.array([1.0, 2.0]))
    # At the same place the mean weighs by 1 / variance: (1 - 1/2) / (1 + 1/2), drawn a little towards 0.
    [[mean]] = told.mean(Inputs(rows.x[:1], rows.c[:1], np.zeros(1)))
    assert mean == pytest.approx(1 / 3, abs=0.05)
    assert mean < 1 / 3


def test_pending_trials_change_no_mean_and_lessen_the_doubt() -> None:
    posterior = Posterior(HYPER, ROWS, Y, EQUAL)
    pending = Inputs(np.array([[0.5, 0.5]]), np.array([[1]]), np.array([6.0]))
    believed = posterior.believing(pending)
    at = joined(pending, Inputs(np.array([[0.1, 0.9]]), np.array([[0]]), np.array([7.0])))
    assert np.allclose(believed.mean(at), posterior.mean(at), atol=1e-6)
    before, after = posterior.predict(at).variances, believed.predict(at).variances
    assert (after < before).all()
    assert (after[:, 0] < 0.5 * before[:, 0]).all()


def test_what_is_in_doubt_is_worth_more_by_its_deviation_and_by_what_the_particles_disagree() -> None:
    posterior = Posterior(HYPER, ROWS, Y, EQUAL)
    at = Inputs(np.array([[0.3, 0.4], [0.9, 0.1]]), np.array([[0], [1]]), np.full(2, 6.0))
    seen = posterior.predict(at)
    between = (seen.means[0] - seen.means[1]) ** 2 / 4
    for strength in (0.0, 2.0):
        expected = seen.means.mean(0) + strength * np.sqrt(seen.variances.mean(0) + between)
        assert np.allclose(worth(posterior, at, strength), expected)


def test_particles_come_to_the_hyper_parameters_that_made_the_rewards() -> None:
    rng = np.random.default_rng(1)
    rows = Inputs(rng.random((40, 2)), np.zeros((40, 0), np.int64), np.zeros(40))
    values = np.sin(9 * rows.x[:, 0]) + 0.3 * rng.standard_normal(40)  # the second coordinate says nothing
    population = Population(2, 0, 0, rng)
    for _ in range(10):
        population.move(rows, values / values.std(), np.ones(40), rng)
    hyper = population.hyper(np.arange(PARTICLES))
    assert (np.median(hyper.length, axis=0) < np.log([0.4, 99.0])).all()
    assert np.median(hyper.length[:, 1] - hyper.length[:, 0]) > np.log(2)
    assert np.exp(np.median(hyper.noise)) == pytest.approx(0.3 / values.std(), rel=0.35)


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.4, 1.0, 1.7, 2.0, 3.0])
def test_unwarping_undoes_warping_and_keeps_the_order(power: float) -> None:
    values = np.linspace(-4.0, 4.0, 41)
    z = warped(values, np.array(power))
    assert (np.diff(z) > 0).all()
    assert np.allclose(unwarped(z, np.array(power)), values, atol=1e-2)


def test_what_a_choice_is_worth_is_known_wherever_it_is_chosen() -> None:
    rows = Inputs(np.array([[0.1], [0.9], [0.1]]), np.array([[0], [0], [1]]), np.zeros(3))
    theta = np.array([[np.log(0.05), 3.0, 0.0, 0.0, -2.0, -9.0, 1.0]])
    told = Posterior(Hyper.of(theta, choices=1), rows, np.array([0.0, 0.0, 1.0]), np.ones(3))
    without = theta + np.array([0, 0, -9.0, 0, 0, 0, 0])
    plain = Posterior(Hyper.of(without, choices=1), rows, np.array([0.0, 0.0, 1.0]), np.ones(3))
    elsewhere = Inputs(np.array([[0.9]]), np.array([[1]]), np.zeros(1))
    assert told.mean(elsewhere)[0, 0] > plain.mean(elsewhere)[0, 0] + 0.2
