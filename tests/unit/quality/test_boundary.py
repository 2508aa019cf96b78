from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Memory, Result
from streamgen.quality.boundary import Boundary, BoundarySettings
from streamgen.record import Record

SEEDS = [
    ("play some jazz music", "music"),
    ("put on a slow song", "music"),
    ("play the new album", "music"),
    ("will it rain tomorrow", "weather"),
    ("how cold is it outside", "weather"),
    ("show the weather forecast", "weather"),
]


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    path = tmp_path / "seeds.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in SEEDS))
    return str(path)


def judged(stage: Boundary, settings: BoundarySettings, *rows: tuple[str, str]) -> list[str | float]:
    records = [Record(str(number), {"text": text, "label": label}) for number, (text, label) in enumerate(rows)]
    return [outcome(result) for result in stage(records, StageContext("hard", settings))]


def outcome(result: Result) -> str | float:
    if isinstance(result, Drop):
        return result.reason
    assert isinstance(result, Record)
    return result.meta.scores["hard"]


def test_only_texts_between_the_classes_pass_with_their_margin(seeds: str) -> None:
    settings = BoundarySettings(seeds=seeds)
    settings.check()
    easy, off, hard, unknown, empty = judged(
        Boundary(settings),
        settings,
        ("play some slow jazz", "music"),
        ("will it rain outside", "music"),
        ("play a song about the rain tomorrow", "music"),
        ("book a table", "food"),
        ("", "music"),
    )
    assert (easy, off, unknown) == ("too_easy", "off_label", "unknown_class")
    assert isinstance(hard, float)
    assert -0.1 <= hard <= 0.1
    assert empty == 0.0


def test_the_classifier_learns_what_has_passed_and_knows_it_after_a_resume(seeds: str) -> None:
    settings = BoundarySettings(seeds=seeds, most=1.0, least=-1.0)
    stage, kept = Boundary(settings), list[bytes]()
    stage.keep = lambda record, body: kept.append(body)
    text = ("umbrella polka", "music")
    (before,) = judged(stage, settings, text)
    judged(stage, settings, *[("umbrella polka waltz", "music")] * 4)
    (after,) = judged(stage, settings, text)
    assert before == 0.0
    assert isinstance(after, float)
    assert after > 0.3
    again = Boundary(settings)
    again.recall([Memory(body) for body in kept[:-1]])
    assert judged(again, settings, text) == [after]


def test_a_ticket_that_comes_again_passes_again(seeds: str) -> None:
    settings = BoundarySettings(seeds=seeds)
    stage, kept = Boundary(settings), list[bytes]()
    stage.keep = lambda record, body: kept.append(body)
    hard = ("play a song about the rain tomorrow", "music")
    judged(stage, settings, hard)
    again = Boundary(settings)
    again.recall([Memory(kept[0], "0")])
    assert isinstance(judged(again, settings, hard)[0], float)
    assert repr(again) == "<Boundary of 2 classes, 1 texts passed>"


def test_bounds_and_seeds_that_make_no_sense_are_refused(seeds: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^least: 0.5 is above most = 0.1"):
        BoundarySettings(seeds=seeds, least=0.5).check()
    one = tmp_path / "one.jsonl"
    one.write_text('{"text": "a", "label": "b"}')
    with pytest.raises(ValueError, match="a boundary needs two"):
        BoundarySettings(seeds=str(one)).check()


def test_huge_and_foreign_texts_are_judged(seeds: str) -> None:
    settings = BoundarySettings(seeds=seeds)
    results = judged(Boundary(settings), settings, ("x " * 5_000_000, "music"), ("天気はどうですか", "weather"))
    assert results == [0.0, 0.0]
