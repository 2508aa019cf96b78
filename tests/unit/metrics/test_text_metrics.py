"""Small cases of the metrics of texts; what holds for any texts stands in tests/property/test_metrics_property.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from streamgen import registry
from streamgen.errors import MissingExtra, RecipeError
from streamgen.metrics import Accumulator, texts
from streamgen.metrics.compression import Compression, CompressionSettings
from streamgen.metrics.diversity import Diversity, DiversitySettings
from streamgen.metrics.duplicates import Duplicates, DuplicatesSettings
from streamgen.metrics.fluency import Fluency, FluencySettings
from streamgen.metrics.self_bleu import SelfBleu, SelfBleuSettings
from streamgen.metrics.self_repetition import SelfRepetition, SelfRepetitionSettings
from streamgen.metrics.similarity import Similarity, SimilaritySettings
from streamgen.metrics.topics import TopicsSettings
from streamgen.metrics.tstr import Tstr, TstrSettings
from streamgen.recipe import Recipe
from streamgen.record import Record, Value


def records(*found: Value) -> list[Record]:
    return [Record(str(n), {"text": text}) for n, text in enumerate(found)]


def told(metric: Accumulator, *found: Value) -> dict[str, Value]:
    metric.update(records(*found))
    return dict(metric.result())


def test_duplicates_do_not_look_at_case_and_spaces() -> None:
    metric = Duplicates(DuplicatesSettings(column="text"))
    assert told(metric, "One two", "one  TWO ", "three", None, "") == {"records": 5, "distinct": 3, "share": 0.6}


def test_the_same_text_again_and_again_is_compressed_further() -> None:
    settings = CompressionSettings(column="text", characters=10_000)
    same = told(Compression(settings), *["the very same words every time"] * 500)
    other = told(Compression(settings), *(f"{n} is {n * n} and {n**3 % 9973}" for n in range(900)))
    assert same["characters"] == other["characters"] == 10_000
    assert same["ratio"] > 5 * other["ratio"]


def test_an_ngram_counts_once_for_each_record() -> None:
    metric = SelfRepetition(SelfRepetitionSettings(column="text", n=(2,)))
    assert told(metric, "a b a b", "a b c", "d e", "f") == {"repeated_2": 2 / 5, "ngrams_2": 5}


def test_alike_texts_have_a_self_bleu_of_100_and_a_vendi_score_of_one() -> None:
    same = ["the cat sat on the mat"] * 3
    assert told(SelfBleu(SelfBleuSettings(column="text")), *same)["self_bleu"] == pytest.approx(100.0)
    diversity = told(Diversity(DiversitySettings(column="text")), *same)
    assert (diversity["vendi"], diversity["rke"], diversity["mean_similarity"]) == (
        pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0),
    )  # fmt: skip


@pytest.mark.parametrize("found", [[], ["", None, "  "], ["one"], ["天"], [7, ["x"], {"a": None}]])
def test_little_or_nothing_is_measured_without_an_error(found: list[Value], tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text('{"text": "real"}\n')
    names = ["duplicates", "compression", "self_repetition", "self_bleu", "diversity", "readability", "pii"]
    for name in (*names, "similarity", "fluency", "topics"):
        factory = registry.find("metrics", name)
        raw = {"column": "text", "reference": str(tmp_path / "real.jsonl")}
        struct = registry.settings_type(factory)
        assert struct is not None
        fields = struct.__struct_fields__
        settings = msgspec.convert({key: value for key, value in raw.items() if key in fields}, struct)
        result = told(factory(settings), *found)
        assert "nan" not in repr(result) and msgspec.json.encode(result)


@pytest.mark.parametrize("name", ["huge", "many"])
def test_a_huge_text_is_not_kept(name: str) -> None:
    metric = SelfBleu(SelfBleuSettings(column="text", texts=2))
    metric.update(records("word " * 2_000_000) if name == "huge" else records(*["word"] * 5000))
    assert len(metric.snapshot()) < 50_000
    assert sum(len(record.text("text")) for record in texts._last.records) < 1 << 22


def test_what_is_made_of_a_batch_is_made_once_and_not_taken_for_another() -> None:
    batch = records("a b", "c")
    assert texts.words_of(batch, "text") is texts.words_of(list(batch), "text")
    batch[0] = Record("0", {"text": "changed"})
    assert texts.words_of(batch, "text") == [["changed"], ["c"]]
    assert texts.words_of(batch, "label") == [[], []]


@pytest.fixture
def real(tmp_path: Path) -> Callable[..., str]:
    def written(*rows: Value) -> str:
        path = tmp_path / "real.jsonl"
        path.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
        return str(path)

    return written


def test_copies_of_the_reference_are_near(real: Callable[..., str]) -> None:
    reference = real({"text": "how warm is it today"}, {"text": "play some jazz"})
    metric = Similarity(SimilaritySettings(column="text", reference=reference, shingle=1))
    result = told(metric, "How warm is it TODAY", "xyzzy quux")
    assert result["near"] == 0.5
    assert result["nearest"]["max"] == pytest.approx(1.0)
    assert result["resemblance"] == 5 / 10


def test_a_reference_without_the_column_names_what_there_is(real: Callable[..., str]) -> None:
    with pytest.raises(RecipeError, match="has no text in the column 'text'; did you mean 'texts'"):
        Similarity(SimilaritySettings(column="text", reference=real({"texts": "x"})))


def test_the_generators_own_log_probability_is_told_without_a_reference() -> None:
    metric = Fluency(FluencySettings(column="text"))
    named = Record("0", {"text": "x"}).scored("logprob", -2.5).scored("a.logprob", -9)
    staged = Record("1", {"text": "x"}).scored("a.logprob", -9).scored("answer.logprob", -0.5)
    metric.update([named, staged, Record("2", {"text": "y"})])
    result = metric.result()
    assert (result["perplexity"], result["log_probability"]["mean"], result["log_probability"]["without"]) == (
        None,
        -1.5,
        1,
    )


def test_what_was_learned_from_the_records_is_measured_on_real_rows(real: Callable[..., str]) -> None:
    test = real({"text": "it rains", "label": "weather"}, {"text": "play a song", "label": "music"})
    metric = Tstr(TstrSettings(test=test))
    assert metric.result()["accuracy"] is None
    rows = [
        ("rain today", "weather"),
        ("it rains here", "weather"),
        ("a song", "music"),
        ("play jazz", "music"),
        ("x", ""),
    ]
    metric.update([Record(str(n), {"text": text, "label": label}) for n, (text, label) in enumerate(rows)])
    result = metric.result()
    assert (result["accuracy"], result["trained_on"], result["error"]) == (1.0, 4, {"music": 0.0, "weather": 0.0})


def test_real_rows_of_one_class_are_refused(real: Callable[..., str]) -> None:
    with pytest.raises(RecipeError, match="only the class 'x'"):
        Tstr(TstrSettings(test=real({"text": "a", "label": "x"})))


def test_a_missing_extra_is_named_when_the_recipe_is_read(
    monkeypatch: pytest.MonkeyPatch, real: Callable[..., str]
) -> None:
    for module in ("topics", "tstr"):
        monkeypatch.setattr(f"streamgen.metrics.{module}.find_spec", lambda name: None)
    for settings in (TopicsSettings(column="text"), TstrSettings(test=real())):
        with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[metrics\]'"):
            settings.check()


def test_files_of_metrics_are_relative_to_the_recipe(real: Callable[..., str], tmp_path: Path) -> None:
    real({"text": "x"})
    raw = {
        "source": {"type": "list", "rows": []},
        "metrics": [{"type": "fluency", "column": "text", "reference": "real.jsonl"}],
    }
    settings = Recipe.parse(raw, tmp_path).metrics[0].settings
    assert isinstance(settings, FluencySettings) and settings.reference == str(tmp_path / "real.jsonl")
    with pytest.raises(RecipeError, match=r"there is no file .* - at `\$.metrics\[0\].reference`"):
        Recipe.parse({**raw, "metrics": [{**raw["metrics"][0], "reference": "no.jsonl"}]}, tmp_path)  # type: ignore[dict-item]
