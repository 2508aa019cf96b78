"""The tuning benchmark: its worlds are what they say, its games are the same twice, its figures add up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest

from benchmarks.tuning import games
from benchmarks.tuning.command import versions
from benchmarks.tuning.contenders import contender
from benchmarks.tuning.families import FAMILIES
from benchmarks.tuning.games import Match, matches, played
from benchmarks.tuning.mixture import CLASSES, mixture
from benchmarks.tuning.peaks import drift, peak4
from benchmarks.tuning.play import Game, play
from benchmarks.tuning.results import Results, read, rows, write
from benchmarks.tuning.summary import difference, geometric, level, wins
from benchmarks.tuning.table import document
from benchmarks.tuning.world import World
from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.space import Space
from streamgen.errors import UnknownName
from streamgen.record import Value

CHEAP = sorted(set(FAMILIES) - {"textloop"})


@pytest.mark.parametrize("family", CHEAP)
def test_no_settings_are_better_than_the_best(family: str) -> None:
    for seed in range(3):
        world, rng = FAMILIES[family](seed), Random(seed)
        for _ in range(20):
            settings = world.space.sample(rng)
            assert world.mean(settings) <= world.best() + 1e-9
            world.play(settings)


@pytest.mark.parametrize("family", CHEAP)
def test_a_seed_is_one_world_and_another_seed_another(family: str) -> None:
    settings = FAMILIES[family](0).space.sample(Random(1))
    same, other = (FAMILIES[family](seed) for seed in (0, 1))
    played = [FAMILIES[family](0).play(settings) for _ in range(2)]
    assert played[0] == played[1] == same.play(settings)
    assert other.mean(settings) != FAMILIES[family](0).mean(settings)


@pytest.mark.parametrize(("family", "noise"), [("peak4", 0.05), ("mixed8", 0.05), ("noisy30", 0.3), ("cliff", 0.05)])
def test_a_batch_is_worth_the_true_mean_and_noise(family: str, noise: float) -> None:
    world = FAMILIES[family](3)
    settings = world.space.sample(Random(5))
    values = [reward.value for reward in (world.play(settings) for _ in range(400)) if reward.value is not None]
    assert fmean(values) == pytest.approx(world.mean(settings), abs=noise / 5)
    assert stdev(values) == pytest.approx(noise, rel=0.15)
    assert (len(values) == 400) == (family != "cliff")


def test_the_real_classifier_learns_and_its_best_is_found_by_search() -> None:
    world = FAMILIES["textloop"](0)
    plain = {"a.temperature": 1.0, "a.tilt1": 0.0, "a.tilt2": 0.0, "a.keep": 0.8}
    hot = {**plain, "a.temperature": 2.0, "a.keep": 1.0}
    assert world.mean(hot) < world.mean(plain) <= world.best()


def test_the_best_method_of_a_drifting_world_changes_once() -> None:
    world = drift(4)
    best = [int(max(range(3), key=world._height)) for _ in range(100) if world.play(_anywhere(world))]
    assert len(set(best)) == 2
    assert sum(a != b for a, b in pairwise(best)) == 1


def test_a_mixture_is_best_filled_by_weights_that_no_neighbour_beats() -> None:
    world = mixture(2)
    filled = world._filled()
    assert filled.sum() == pytest.approx(1.0)
    for name in CLASSES:
        nearby = {f"a.{other}": float(w) + 0.05 * (other == name) for other, w in zip(CLASSES, filled, strict=True)}
        assert world.mean(nearby) <= world.best()


class Fixed:
    """Asks for what it is given, and writes down what it is told."""

    def __init__(self, settings: Mapping[str, Value]) -> None:
        self.settings = settings
        self.events: list[tuple[str, int]] = []
        self.most_out = 0

    def ask(self, observation: Observation) -> Proposal:
        self.events.append(("ask", observation.step))
        self.most_out = max(self.most_out, len(observation.pending))
        return Proposal(settings=self.settings, note={"step": observation.step})

    def tell(self, trial: Trial, reward: Reward) -> None:
        assert trial.note == {"step": trial.id}
        self.events.append(("tell", trial.id))

    def recommend(self) -> Mapping[str, Value] | None:
        return self.settings

    def forget(self, trial: Trial) -> None: ...

    def warm_start(self, told: object) -> None: ...

    def state_dict(self) -> Mapping[str, Value]:
        return {}

    def load_state_dict(self, state: Mapping[str, Value]) -> None: ...


def test_one_at_a_time_each_reward_is_told_before_the_next_question() -> None:
    world = peak4(0)
    fixed = Fixed(_anywhere(world))
    game = play(lambda world, seed: fixed, world, 0, batches=4)
    assert fixed.events == [(what, step) for step in range(4) for what in ("ask", "tell")]
    assert game.online == (1.0 - world.mean(fixed.settings),) * 4
    assert game.simple == {4: game.online[0]}


def test_four_in_flight_leaves_three_without_a_reward_at_each_question() -> None:
    world = peak4(0)
    fixed = Fixed(_anywhere(world))
    play(lambda world, seed: fixed, world, 0, batches=8, in_flight=4)
    assert fixed.most_out == 3
    assert [what for what, _ in fixed.events] == ["ask"] * 4 + ["tell", "ask"] * 4 + ["tell"] * 4
    assert sorted(step for what, step in fixed.events if what == "tell") == list(range(8))


def test_games_are_played_for_every_seed_and_a_peers_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = matches(["random_search"], ["peak4"], range(2), [1])
    assert wanted == [Match("random_search", "peak4", 0, 1), Match("random_search", "peak4", 1, 1)]
    first = dict(played(wanted, processes=1, cache=tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert {match: game.online for match, game in first.items()} == {
        match: play(contender("random_search").make, peak4(match.seed), match.seed).online for match in wanted
    }
    kept = tmp_path / f"optuna-tpe-peak4-0-1-{games._code('peak4')}.json"
    kept.write_text('{"online": [0.5], "simple": {"30": 0.25}, "cpu_ms": 1.0}')
    [(_, game)] = played([Match("optuna-tpe", "peak4", 0, 1)], processes=1, cache=tmp_path)
    assert game == Game((0.5,), {30: 0.25}, 1.0)


def test_optuna_plays_a_world_of_every_kind_of_parameter_and_takes_failures() -> None:
    pytest.importorskip("optuna")
    for family in ("mixed8", "cliff"):
        game = play(contender("optuna-tpe-2").make, FAMILIES[family](1), 1, batches=5)
        assert len(game.online) == 5


def test_an_unknown_contender_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"optuna-tpe.*random_search"):
        contender("optuna-tpee")


def test_options_reach_the_agent_and_are_refused_where_it_takes_none() -> None:
    games = [play(contender(f"surrogate{options}").make, peak4(1), 1, batches=6) for options in ("", ':{"first":4}')]
    assert games[0].online != games[1].online
    with pytest.raises(UnknownName, match="horizon"):
        contender('random_search:{"horizon":1}').make(peak4(1), 1)


def test_means_intervals_and_shares_are_the_textbooks() -> None:
    assert level([1.0, 3.0]) == level([3.0, 1.0])
    assert (level([1.0, 3.0]).mean, level([1.0, 3.0]).half) == (2.0, pytest.approx(1.96))
    assert difference([1.0, 2.0], [2.0, 4.0]).mean == -1.5
    assert wins([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == 0.5
    assert geometric({"a": 1.0, "b": 4.0}) == pytest.approx(2.0)


def test_results_come_back_from_their_file_and_make_a_table(tmp_path: Path) -> None:
    game = Game((0.4,) * 30, {10: 0.3, 30: 0.2}, 1.5)
    better = Game((0.3,) * 30, {10: 0.3, 30: 0.2}, 1.5)
    known = [(Match("ours", "peak4", seed, 1), game) for seed in (0, 1)]
    known += [(Match("theirs", "peak4", 0, 1), game), (Match("theirs", "peak4", 1, 1), better)]
    results = Results("today", {"cores": 2}, versions(), rows(known))
    write(tmp_path / "results.json", results)
    assert read(tmp_path / "results.json") == results
    text = document(results)
    assert "| ours | 0.400 ± 0.000 | 0.400 | - |" in text
    assert "| theirs | 0.200 ± 0.000 | 0.200 | 50% of games |" in text
    assert "| theirs | 0.350 ± 0.098 | 0.350 | 25% of games |" in text
    assert "| theirs | 0.050 ± 0.098 |" in text
    assert "| ours | 1.5 |" in text


def _anywhere(world: World) -> Mapping[str, Value]:
    assert isinstance(world.space, Space)
    return world.space.sample(Random(0))
