from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.diversity import Diversity, DiversitySettings
from streamgen.control.hashing import vectors
from streamgen.control.vendi import SecondMoment, moment_of, vendi_of
from streamgen.errors import RewardError
from streamgen.record import Record

WORDS = ["red", "blue", "green", "black", "white", "heavy", "light", "quick", "slow", "bright", "table", "river"]


def unit_rows(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_definition(rows: np.ndarray) -> float:
    """Friedman and Dieng 2023, definition 3.1, with the n x n kernel."""
    eigenvalues = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    return float(np.exp(-sum(value * np.log(value) for value in eigenvalues if value > 0)))


def test_identical_vectors_amount_to_one() -> None:
    assert moment_of(np.repeat(unit_rows(1, 8), 50, axis=0)).vendi() == pytest.approx(1.0)
    assert vendi_of(np.repeat(unit_rows(1, 8), 50, axis=0)) == pytest.approx(1.0)


def test_orthogonal_vectors_amount_to_their_number() -> None:
    assert moment_of(np.eye(12)[:7]).vendi() == pytest.approx(7.0)
    assert vendi_of(np.eye(12)[:7]) == pytest.approx(7.0)


def test_two_groups_of_unequal_size_amount_to_the_exponential_of_their_entropy() -> None:
    rows = np.eye(4)[[0] * 3 + [1]]
    assert moment_of(rows).vendi() == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 1000))
def test_the_streamed_score_is_the_definitions(count: int, dimensions: int, seed: int) -> None:
    rows = unit_rows(count, dimensions, seed)
    streamed = SecondMoment(dimensions)
    for row in rows:
        streamed.update(row[None])
    assert streamed.vendi() == pytest.approx(by_definition(rows), rel=1e-9)
    assert vendi_of(rows) == pytest.approx(by_definition(rows), rel=1e-9)
    assert 1 - 1e-9 <= streamed.vendi() <= min(count, dimensions) + 1e-9


@given(st.integers(0, 20), st.integers(1, 20))
def test_merged_parts_are_the_whole_and_a_part_can_be_taken_out_again(first: int, second: int) -> None:
    rows = unit_rows(first + second, 6, first)
    merged = moment_of(rows[:first])
    merged.merge(moment_of(rows[first:]))
    assert merged.count == first + second
    assert merged.vendi() == pytest.approx(moment_of(rows).vendi())
    assert merged.mean_similarity() == pytest.approx(moment_of(rows).mean_similarity())
    assert merged.without(rows[:first]).vendi() == pytest.approx(moment_of(rows[first:]).vendi())


def test_the_mean_similarity_is_that_of_all_pairs() -> None:
    rows = unit_rows(9, 5)
    pairs = [float(rows[i] @ rows[j]) for i in range(9) for j in range(9) if i != j]
    assert moment_of(rows).mean_similarity() == pytest.approx(np.mean(pairs))


def test_nothing_and_empty_texts_amount_to_nothing() -> None:
    assert moment_of(vectors(["", "  "], 32)).vendi() == 0.0
    assert vendi_of(vectors(["", "x y z"], 32, "words")) == pytest.approx(1.0)


@given(st.text(max_size=50), st.sampled_from(["characters", "words"]))
def test_any_text_has_a_vector_of_length_one_or_none(text: str, features: str) -> None:
    (row,) = vectors([text], 64, features)  # type: ignore[arg-type]
    assert np.linalg.norm(row) == pytest.approx(1.0) or not row.any()


def test_a_vector_depends_on_the_text_alone_but_not_on_case_or_spaces() -> None:
    one, same, other = vectors(["Play some jazz", "play  some JAZZ ", "rate this book"], 256)
    assert (one == same).all()
    assert one @ other < 0.5
    assert (vectors(["rate this book"], 256)[0] == other).all()


def texts(count: int, different: int) -> list[Record]:
    rng = np.random.default_rng(0)
    distinct = [" ".join(rng.choice(WORDS, 6)) for _ in range(different)]
    return [Record(str(index), {"text": distinct[index % different]}) for index in range(count)]


def diversity(**settings: object) -> Diversity:
    return Diversity(DiversitySettings(**settings))  # type: ignore[arg-type]


async def test_repeats_do_not_count() -> None:
    varied, repeated = texts(32, 32), texts(32, 4)
    best, worse = await diversity().score(varied, []), await diversity().score(repeated, [])
    once = await diversity().score(repeated[:4], [])
    assert worse["vendi"] == pytest.approx(once["vendi"])
    assert best["vendi"] > 2 * worse["vendi"]
    assert best["vendi_share"] == pytest.approx(best["vendi"] / 32)
    assert 0 < best["vendi_se"] < best["vendi"]
    assert "vendi_se" not in once  # too few to leave any out


async def test_the_pool_counts_only_when_asked_for() -> None:
    records, pool = texts(20, 20), texts(300, 30)
    assert await diversity().score(records, pool) == await diversity().score(records, [])
    both = await diversity(of="pool", worker="thread").score(records, pool)
    assert both["vendi"] > (await diversity().score(records, []))["vendi"]  # more rows than dimensions: the other way


async def test_the_two_ways_to_calculate_agree() -> None:
    records = texts(40, 40)
    few = await diversity(dimensions=64).score(records[:64], [])
    rows = vectors([record["text"] for record in records], 64)
    assert few["vendi"] == pytest.approx(moment_of(rows).vendi())


async def test_columns_are_joined_and_records_without_any_are_left_out() -> None:
    records = [Record("0", {"a": "one two", "b": None}), Record("1", {"a": "", "b": "three four"}), Record("2", {})]
    assert (await diversity(columns=("a", "b")).score(records, []))["vendi_share"] > 0.9
    with pytest.raises(RewardError, match="none of the trial's 3 records has a text in 'c'"):
        await diversity(columns=("c",)).score(records, [])


def test_the_share_can_be_the_reward() -> None:
    assert diversity().metric == "vendi"
    assert diversity(metric="vendi_share").metric == "vendi_share"
