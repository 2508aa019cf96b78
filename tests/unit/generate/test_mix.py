from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingColumn
from streamgen.generate.mix import MixSettings, mix
from streamgen.record import Record

ROWS: list[dict[str, object]] = [
    {"head": "H1", "body": "B1", "label": "a"},
    {"head": "H2", "body": "B2", "label": "a"},
    {"head": "H3", "body": ["B", 3], "label": "b"},
]
RECORD = Record("0", {"head": "H1", "body": "B1", "label": "a", "other": 1})


@pytest.fixture
def rows(tmp_path: Path) -> str:
    return written(tmp_path, ROWS)


def written(folder: Path, rows: list[dict[str, object]]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def settings_of(rows: str, **fields: object) -> MixSettings:
    return msgspec.convert({"rows": rows, "columns": ["head", "body"], "same": ["label"], **fields}, MixSettings)


def mixed(settings: MixSettings, record: Record = RECORD, ticket: int = 0) -> Result:
    context, _ = asking(settings, [], ticket=ticket)
    return mix(record, context)


def test_all_other_mixtures_of_rows_that_are_alike_come_out_and_no_others(rows: str) -> None:
    result = mixed(settings_of(rows, n=10, tries=20))
    assert isinstance(result, list)
    assert sorted((record["head"], record["body"]) for record in result) == [("H1", "B2"), ("H2", "B1"), ("H2", "B2")]
    assert {(record["label"], record["other"]) for record in result} == {("a", 1)}


def test_columns_can_come_from_one_row_together(rows: str) -> None:
    result = mixed(settings_of(rows, n=10, tries=20, together=True, keep_original=True))
    assert isinstance(result, list)
    assert [(record["head"], record["body"]) for record in result] == [("H1", "B1"), ("H2", "B2")]


def test_no_more_are_made_than_are_wanted_and_a_ticket_makes_the_same(rows: str) -> None:
    settings = settings_of(rows, n=2, tries=100)
    result = mixed(settings)
    assert isinstance(result, list) and len(result) == 2
    assert result == mixed(settings)
    assert len({str(mixed(settings_of(rows, tries=100), ticket=ticket)) for ticket in range(20)}) == 3


def test_a_value_of_any_kind_is_taken(rows: str) -> None:
    record = Record("0", {"head": None, "body": 1, "label": "b"})
    assert mixed(settings_of(rows), record) == record.with_columns(head="H3", body=["B", 3])


def test_a_record_that_is_like_no_row_or_finds_only_itself_is_dropped(rows: str) -> None:
    assert mixed(settings_of(rows), RECORD.with_columns(label="c")) == Drop("no_such_row")
    assert mixed(settings_of(rows), RECORD.with_columns(ROWS[2])) == Drop("unchanged")
    with pytest.raises(MissingColumn, match="'stage' reads the column 'label'"):
        mixed(settings_of(rows), Record("0", {"head": "H1"}))


def test_no_more_rows_are_read_than_may_be_kept(rows: str) -> None:
    assert mixed(settings_of(rows, most_rows=1)) == Drop("unchanged")


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (ROWS, {"columns": ["title"]}, r"^rows: .*row 1, lacks 'title'; it has: body, head, label"),
        ([], {}, r"^rows: .*holds no rows"),
        (ROWS, {"same": ["head"]}, r"^columns: 'head' stands in `same` too"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    tmp_path: Path, content: list[dict[str, object]], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(written(tmp_path, content), **fields).check()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^rows: .*nothing\.jsonl"):
        settings_of(str(tmp_path / "nothing.jsonl")).check()
