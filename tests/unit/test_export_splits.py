"""Splits: sizes to the record, strata alike, families whole, and an order that the seed alone decides."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from exports import directory_with, exported, run_with, wish, written
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import RecipeError
from streamgen.export.convert import convert
from streamgen.export.families import Families
from streamgen.export.splits import assigned, largest_remainder, shares_of
from streamgen.files import lines_of
from streamgen.record import Meta, Record

NINE_TO_ONE = shares_of("train=0.9,test=0.1")
parts = st.lists(st.integers(1, 20), min_size=1, max_size=5)
SHARES = parts.map(lambda weights: [Fraction(weight, sum(weights)) for weight in weights])


def split_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        path.name.partition(".")[0]: [json.loads(line) for _, line in lines_of(path)]
        for path in sorted(folder.glob("*.jsonl"))
    }


@given(SHARES, st.integers(0, 500))
def test_largest_remainders_add_up_and_none_is_a_whole_record_off(shares: list[Fraction], count: int) -> None:
    counts = largest_remainder(count, shares)
    assert sum(counts) == count
    assert all(abs(got - count * share) < 1 for got, share in zip(counts, shares, strict=True))


@given(SHARES, st.lists(st.integers(0, 4), max_size=200), st.integers(0, 3))
def test_single_records_fill_the_splits_exactly_and_divide_each_stratum_alike(
    shares: list[Fraction], strata: list[int], seed: int
) -> None:
    split = assigned(range(len(strata)), strata, shares, seed)
    counts = Counter(split)
    assert [counts[n] for n in range(len(shares))] == largest_remainder(len(strata), shares)
    cells, sizes = Counter(zip(strata, split, strict=True)), Counter(strata)
    for stratum, size in sizes.items():
        for n, share in enumerate(shares):
            assert abs(cells[stratum, n] - size * share) < len(shares)
    assert split == assigned(range(len(strata)), strata, shares, seed)


@given(SHARES, st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(0, 3))
def test_a_family_is_never_split_and_sizes_are_off_by_less_than_the_largest(
    shares: list[Fraction], families: list[int], seed: int
) -> None:
    split = assigned(families, [0] * len(families), shares, seed)
    assert len(set(zip(families, split, strict=True))) == len(set(families))
    largest = max(Counter(families).values())
    counts, wanted = Counter(split), largest_remainder(len(families), shares)
    assert all(counts[n] - wanted[n] < largest for n in range(len(shares)))


def test_small_strata_reach_the_small_split_too() -> None:
    strata = [n // 3 for n in range(300)]
    split = assigned(range(300), strata, list(NINE_TO_ONE.values()), seed=0)
    in_test = Counter(stratum for stratum, n in zip(strata, split, strict=True) if n == 1)
    assert sum(in_test.values()) == 30 and max(in_test.values()) == 1


def test_families_are_tickets_parents_and_groups() -> None:
    records = [
        Record("0.0", {"g": "a"}),
        Record("0.1", {"g": "b"}),
        Record("1", {"g": "c"}, Meta(parents=("2.5",))),
        Record("2.0", {"g": "d"}),
        Record("3", {"g": "d"}),
        Record("", {"g": "e"}),
        Record("", {"g": "e"}),
    ]

    def groups(group_by: str) -> set[tuple[int, ...]]:
        families = Families(group_by)
        for record in records:
            families.see(record)
        numbers = families.numbers()
        return {tuple(n for n, other in enumerate(numbers) if other == number) for number in numbers}

    assert groups("family") == {(0, 1), (2, 3), (4,), (5,), (6,)}
    assert groups("g") == {(0, 1), (2, 3, 4), (5, 6)}
    assert groups("none") == {(n,) for n in range(7)}
    with pytest.raises(RecipeError, match=r"--group-by h: record 0\.0 has no such column; its columns: g"):
        groups("h")


def test_a_run_is_split_into_files_of_its_records_whole_and_stratified(tmp_path: Path) -> None:
    records = [Record(f"{n // 2}.{n % 2}", {"n": n, "label": n % 4 // 2}, Meta(ticket=n // 2)) for n in range(200)]
    directory = run_with(tmp_path / "run", records)
    told = written(
        directory, tmp_path / "data", shares=shares_of("train=0.8,validation=0.1,test=0.1"), stratify="label"
    )
    splits = split_rows(tmp_path / "data")
    assert told.files == {"train.jsonl": 160, "validation.jsonl": 20, "test.jsonl": 20}
    assert sorted(row["n"] for rows in splits.values() for row in rows) == list(range(200))
    for rows in splits.values():
        ns = [row["n"] for row in rows]
        assert ns == sorted(ns) and {n ^ 1 for n in ns} == set(ns)
    assert Counter(row["label"] for row in splits["test"]) == {0: 10, 1: 10}


def test_the_seed_alone_decides_splits_and_order(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"n": n} for n in range(300)])

    def made(name: str, seed: int) -> dict[str, list[dict[str, Any]]]:
        written(directory, tmp_path / name, shares=NINE_TO_ONE, shuffle=True, seed=seed)
        return split_rows(tmp_path / name)

    first = made("a", 1)
    assert first == made("b", 1) != made("c", 2)
    assert sorted(row["n"] for rows in first.values() for row in rows) == list(range(300))
    assert [row["n"] for row in first["train"]] != sorted(row["n"] for row in first["train"])


def test_shuffling_is_the_same_whether_it_fits_into_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"n": n, "text": "word " * 20, "big": 10**30} for n in range(3000)]
    directory = directory_with(tmp_path / "run", rows)
    in_memory = exported(directory, "jsonl", "a.jsonl", shuffle=True, seed=3)
    monkeypatch.setattr("streamgen.export.shuffle._IN_MEMORY", 10)
    assert exported(directory, "jsonl", "b.jsonl", shuffle=True, seed=3) == in_memory
    assert sorted(in_memory, key=lambda row: row["n"]) == rows != in_memory
    assert {path.name for path in directory.iterdir() if path.name.startswith(".")} == set()


def test_memory_hardly_grows_with_records_that_are_split_and_shuffled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamgen.export.shuffle._IN_MEMORY", 4096)
    monkeypatch.setattr("streamgen.export.write._PAGE_ROWS", 512)

    def peak(count: int) -> int:
        source = tmp_path / f"{count}.jsonl"
        line = json.dumps({"text": "word " * 100, "_meta": {"id": "%d.0"}}) + "\n"
        source.write_text("".join(line % n for n in range(count)))
        tracemalloc.start()
        convert(source, tmp_path / f"data-{count}", wish("text", shares=NINE_TO_ONE, shuffle=True))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(5_000), peak(25_000)
    assert large - small < 20_000 * 250  # bytes; a record has 500, and about 180 are kept of each


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("train=0.9", "the shares add up to 0.9, they have to add up to 1"),
        ("train=0.9,train=0.1", "'train' is no new name"),
        ("../x=1", "'../x' is no new name"),
        ("train=much", "'much' is no share; write train=0.9,test=0.1"),
        ("train=1/0", "'1/0' is no share"),
        ("train=1.5,test=-0.5", "1.5 is no share; it has to be above 0 and at most 1"),
        ("train", "'' is no share"),
    ],
)
def test_shares_that_are_none_are_refused(text: str, error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        shares_of(text)


def test_shares_may_be_fractions_and_are_exact() -> None:
    assert shares_of("a=1/3, b=1/3, c=1/3") == dict.fromkeys("abc", Fraction(1, 3))
    assert sum(shares_of(",".join(f"s{n}=0.1" for n in range(10))).values()) == 1


def test_a_split_without_records_is_an_error_and_nothing_is_left(tmp_path: Path) -> None:
    records = [Record(f"0.{n}", {"n": n}) for n in range(8)]
    with pytest.raises(RecipeError, match=r"test \(0\.1 of 8 records\) would be empty; the largest family has 8 rec"):
        written(run_with(tmp_path / "run", records), tmp_path / "data", shares=NINE_TO_ONE)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert written(tmp_path / "run", tmp_path / "data", shares=NINE_TO_ONE, group_by="none").records == 8


def test_stratifying_by_a_column_that_is_not_there_names_the_record(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"label": "a"}, {"text": "b"}])
    with pytest.raises(RecipeError, match="--stratify label: record 1 has no such column; its columns: text"):
        written(directory, tmp_path / "data", shares=NINE_TO_ONE, stratify="label")
