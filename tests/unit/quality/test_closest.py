from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop
from streamgen.errors import RecipeError
from streamgen.quality.closest import Closest, ClosestSettings
from streamgen.quality.profiles import Profiles
from streamgen.record import Meta, Record

CLASSES = {"PlayMusic": ("Play some jazz", "play an old song"), "GetWeather": ("Will it rain", "is it cold in Graz")}


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    rows = [{"text": text, "label": label} for label, texts in CLASSES.items() for text in texts]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path / "seeds.jsonl")


def record(text: str, label: str = "PlayMusic", trial: int | None = None) -> Record:
    return Record(text, {"text": text, "label": label}, Meta(trial=trial))


def judged(stage: Closest, records: list[Record], settings: ClosestSettings) -> list[str]:
    """The texts that pass."""
    results = stage(records, StageContext("close", settings))
    assert all(isinstance(result, Record) or result == Drop("not_close") for result in results)
    return [result.id for result in results if isinstance(result, Record)]


def test_closeness_is_greater_for_texts_like_the_own_class_and_unlike_the_others() -> None:
    profiles = Profiles(CLASSES)

    def close(text: str) -> float:
        found = profiles.closeness(text, "PlayMusic")
        assert found is not None
        return found

    assert close("Play some jazz") > close("playing songs") > 0 == close("Nothing of these") > close("will it be cold")
    assert profiles.closeness("Play some jazz", "RateBook") is None
    assert Profiles({"one": ["a b"]}).closeness("b a", "one") == pytest.approx(1.0)


def test_of_each_class_the_closest_pass_with_their_score(seeds: str) -> None:
    stage, settings = Closest(ClosestSettings(seeds=seeds)), ClosestSettings(seeds=seeds, share=0.5)
    texts = ["play it", "What is it", "Play an old song", "Why", "Put on music"]
    both = [record(text, label) for text in texts for label in ("PlayMusic", "RateBook")]
    results = stage(both, StageContext("close", settings))
    passed = [result for result in results if isinstance(result, Record)]
    scores = {each.id: each.meta.scores["close"] for each in passed if each.columns["label"] == "PlayMusic"}
    assert list(scores) == ["Play an old song", "Put on music"]
    assert 0 == scores["Put on music"] < scores["Play an old song"]
    assert sum(each.columns["label"] == "RateBook" for each in passed) == 5  # without seeds nothing can be said


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 1.0])
def test_about_the_share_passes_however_few_there_were(seeds: str, share: float) -> None:
    settings, rng = ClosestSettings(seeds=seeds, share=share), Random(0)
    words = ["play", "jazz", "rain", "cold", "x", "y"]
    records = [record(" ".join(rng.choices(words, k=6)), trial=trial) for trial in range(100) for _ in range(9)]
    assert len(judged(Closest(settings), records, settings)) / 900 == pytest.approx(share, abs=0.03)


def test_the_share_holds_among_equals(seeds: str) -> None:
    settings = ClosestSettings(seeds=seeds, share=0.25)
    assert len(judged(Closest(settings), [record("play")] * 100, settings)) == pytest.approx(25, abs=2)


def test_trials_are_judged_apart_and_by_their_own_settings(seeds: str) -> None:
    settings, everything = ClosestSettings(seeds=seeds, share=0.5), ClosestSettings(seeds=seeds, share=1.0)
    stage, best = Closest(settings), record("Play some jazz", trial=1)
    assert judged(stage, [best] * 4, everything) == [best.id] * 4
    assert judged(stage, [record("play it", trial=1)] * 2, settings) == []
    assert judged(stage, [record("play it", trial=2)], settings) == ["play it"]
    assert judged(stage, [record("play it", trial=1)], everything) == ["play it"]


def test_only_the_newest_scores_count(seeds: str) -> None:
    settings = ClosestSettings(seeds=seeds, share=0.5, window=2)
    stage = Closest(settings)
    high, low = record("Play some jazz"), record("play it")
    judged(stage, [high] * 8, settings)
    assert judged(stage, [low], settings) == []  # one of two
    assert len(judged(stage, [low] * 100, settings)) == pytest.approx(50, abs=1)


def test_seeds_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}')
    with pytest.raises(RecipeError, match="line 1 lacks 'label'"):
        ClosestSettings(seeds=str(tmp_path / "bad.jsonl")).check()
