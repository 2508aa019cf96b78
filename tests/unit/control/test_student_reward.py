"""`snips_*.jsonl` are rows of SNIPS (Coucke et al. 2018, CC0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgen.control.held_out_reward import HeldOutReward
from streamgen.control.reward import class_errors, close_reward
from streamgen.control.student import StudentSettings, student
from streamgen.errors import MissingExtra, RecipeError, RewardError
from streamgen.record import Record

pytest.importorskip("flax")

HERE = Path(__file__).parent
ROWS = [msgspec.json.decode(line) for line in (HERE / "snips_train.jsonl").read_bytes().splitlines()]
RECORDS = [Record(str(index), row) for index, row in enumerate(ROWS)]
LABELS = [row["label"] for row in ROWS]
SHIFTED = [record.with_columns(label=label) for record, label in zip(RECORDS, LABELS[1:] + LABELS[:1], strict=True)]
SMALL = {"worker": "thread", "hidden": 16, "dimensions": 512, "resamples": 2, "passes": 10}


def a_student(**more: Any) -> HeldOutReward[Any]:
    settings = {"validation": "snips_validation.jsonl", "directory": str(HERE), **SMALL, **more}
    return student(StudentSettings(**settings))


async def test_real_utterances_teach_and_shifted_labels_do_not() -> None:
    good, bad = [await a_student(resamples=0).score(made[:64], []) for made in (RECORDS, SHIFTED)]
    assert good["accuracy"] >= 0.6
    assert bad["accuracy"] <= 0.4
    assert sum(class_errors(bad).values()) > sum(class_errors(good).values())
    assert "prequential" not in good  # nothing was known before


async def test_what_the_stream_brought_before_is_known() -> None:
    batch, pool = RECORDS[:14], RECORDS[14:]
    alone, beside = await a_student().score(batch, []), await a_student().score(batch, pool)
    assert beside["accuracy"] > alone["accuracy"]
    assert 0 < beside["accuracy_se"] < 0.2
    assert beside["prequential"] >= 0.5
    assert (await a_student().score(SHIFTED[:14], pool))["prequential"] < beside["prequential"]
    assert await a_student().score(batch, pool) == beside


async def test_a_pair_forks_from_the_same_knowledge() -> None:
    batch, incumbent, pool = RECORDS[:14], SHIFTED[:14], RECORDS[14:]
    paired = await a_student().score_paired(batch, incumbent, pool)
    assert paired["accuracy"] == (await a_student().score(batch, pool))["accuracy"]
    assert paired["accuracy_baseline"] == (await a_student().score(incumbent, pool))["accuracy"]
    assert paired["accuracy_difference"] > 0


async def test_it_learns_in_a_process_of_its_own() -> None:
    reward = a_student(worker="process", resamples=0, metric="macro_f1")
    metrics = await reward.score(RECORDS[:14], [])
    await close_reward(reward)
    assert metrics == pytest.approx(await a_student(resamples=0).score(RECORDS[:14], []))
    assert reward.metric == "macro_f1"


async def test_records_without_labels_fail_the_trial() -> None:
    with pytest.raises(RewardError, match="none of the trial's 1 records has the columns 'text' and 'label'"):
        await a_student().score([Record("0", {"text": "hi"})], RECORDS)


def test_its_files_are_checked_when_it_is_built() -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        a_student(validation="none.jsonl")
    with pytest.raises(RecipeError, match="shares"):
        a_student(test="snips_validation.jsonl")


def test_without_jax_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.control.student.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"streamgen-llm\[rl\]"):
        a_student()
