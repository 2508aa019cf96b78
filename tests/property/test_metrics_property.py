"""Every metric against its plain definition, and against any split, order, merging and snapshots of its input."""

from __future__ import annotations

import bz2
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import exp, isclose, log
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.control.hashing import vectors
from streamgen.control.vendi import SecondMoment
from streamgen.metrics import Accumulator, Snapshotting
from streamgen.metrics.bleu import self_bleu, tokens
from streamgen.metrics.compression import Compression, CompressionSettings
from streamgen.metrics.constraints import Constraints, ConstraintsSettings
from streamgen.metrics.diversity import Diversity, DiversitySettings
from streamgen.metrics.duplicates import Duplicates, DuplicatesSettings
from streamgen.metrics.fluency import Fluency, FluencySettings
from streamgen.metrics.kneser_ney import NGramModel
from streamgen.metrics.lengths import Lengths, LengthsSettings
from streamgen.metrics.pii import Pii, PiiSettings
from streamgen.metrics.readability import Readability, ReadabilitySettings
from streamgen.metrics.sample import Sample
from streamgen.metrics.scores import Scores, ScoresSettings
from streamgen.metrics.self_bleu import SelfBleu, SelfBleuSettings
from streamgen.metrics.self_repetition import SelfRepetition, SelfRepetitionSettings
from streamgen.metrics.similarity import Similarity, SimilaritySettings
from streamgen.metrics.spread import Spread
from streamgen.metrics.texts import keys_of
from streamgen.metrics.tstr import Tstr, TstrSettings
from streamgen.quality.ngrams import word_hash
from streamgen.record import Meta, Record, Value
from streamgen.text import words

WORDS = ["a", "b", "the", "cat", "sat.", "Café", "天", "-", "mail@example.org", "+44 7700 900123", "Why?", "\ud800"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
VALUES = st.one_of(TEXTS, TEXTS, st.sampled_from([None, 7, ["a", "b"], ""]))
ROWS = st.lists(
    st.builds(
        lambda n, text, label, scores, verdicts: Record(
            str(n),
            {"text": text, "label": label} if n % 9 else {"label": label},
            Meta(ticket=n, scores=scores, verdicts=verdicts),
        ),
        st.integers(0, 300),
        VALUES,
        st.sampled_from(["x", "y", None]),
        st.dictionaries(st.sampled_from("abcd"), st.floats(allow_nan=True), max_size=3),
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["pass", "fail", "deepen"]), max_size=3),
    ),
    max_size=12,
)
REFERENCE = [{"text": "the cat sat. a b", "label": "x"}, {"text": "b the cat 天", "label": "y"}, {"text": "a a b sat."}]
REFERENCE[2]["label"] = "x"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], Accumulator]]:
    path = tmp_path_factory.mktemp("real") / "real.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, REFERENCE)))
    real = str(path)
    return {
        "lengths": lambda: Lengths(LengthsSettings(column="text")),
        "duplicates": lambda: Duplicates(DuplicatesSettings(column="text", kept=16)),
        "compression": lambda: Compression(CompressionSettings(column="text", characters=1000)),
        "compression of a few": lambda: Compression(msgspec.convert({"column": "text"}, CompressionSettings)),
        "zstd": lambda: Compression(CompressionSettings(column="text", codec="zstd", characters=1000)),
        "self_repetition": lambda: SelfRepetition(SelfRepetitionSettings(column="text", n=(2, 3), kept=16)),
        "self_bleu": lambda: SelfBleu(SelfBleuSettings(column="text", texts=5)),
        "diversity": lambda: Diversity(DiversitySettings(column="text", dimensions=80)),
        "readability": lambda: Readability(ReadabilitySettings(column="text")),
        "fluency": lambda: Fluency(FluencySettings(column="text", reference=real, score="a")),
        "similarity": lambda: Similarity(SimilaritySettings(column="text", reference=real, shingle=1, kept=16)),
        "pii": lambda: Pii(PiiSettings(column="text")),
        "constraints": lambda: Constraints(ConstraintsSettings(most_names=2, most_values=2)),
        "scores": lambda: Scores(ScoresSettings(most_names=2)),
        "named scores": lambda: Scores(ScoresSettings(scores=("d", "e"))),
    }


NAMES = [
    "lengths", "duplicates", "compression", "compression of a few", "zstd", "self_repetition", "self_bleu", "diversity",
    "readability", "fluency", "similarity", "pii", "constraints", "scores", "named scores",
]  # fmt: skip


def assert_alike(one: Value, other: Value) -> None:
    """Equal, but for the last bits of sums that were added up in another order."""
    assert type(one) is type(other)
    if isinstance(one, Mapping):
        assert list(one) == list(other)
        for name in one:
            assert_alike(one[name], other[name])
    elif isinstance(one, float):
        assert isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    else:
        assert one == other


@pytest.mark.parametrize("name", NAMES)
@given(rows=ROWS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_split_order_merging_and_snapshot_gives_the_same_measure(
    metrics: dict[str, Callable[[], Accumulator]], name: str, rows: list[Record], data: st.DataObject
) -> None:
    whole = metrics[name]()
    whole.update(rows)
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    parts = [metrics[name]()]
    for start, end in pairwise([0, *cuts, len(rows)]):
        match data.draw(st.sampled_from(["same", "new", "resumed"])):
            case "new":
                parts.append(metrics[name]())
            case "resumed":
                parts.append(_resumed(parts.pop(), metrics[name]()))
        parts[-1].update(shuffled[start:end])
        parts[-1].result()  # looking changes nothing
    while len(parts) > 1:
        taken = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts[data.draw(st.integers(0, len(parts) - 1))].merge(taken)
    assert_alike(parts[0].result(), whole.result())
    assert b"null" in msgspec.json.encode({**whole.result(), "": None})  # nothing that JSON does not know
    assert "nan" not in repr(whole.result()) and "inf" not in repr(whole.result())


def _resumed(metric: Accumulator, fresh: Accumulator) -> Accumulator:
    assert isinstance(metric, Snapshotting) and isinstance(fresh, Snapshotting)
    fresh.restore(metric.snapshot())
    return fresh


@given(rows=ROWS, data=st.data())
@settings(max_examples=10, deadline=None)
def test_training_on_the_records_is_the_same_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Record], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "test.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, REFERENCE)))
    chosen = TstrSettings(test=str(path), most=8)
    one, other, third = Tstr(chosen), Tstr(chosen), Tstr(chosen)
    one.update(rows)
    shuffled = data.draw(st.permutations(rows))
    other.update(shuffled[:7])
    third.update(shuffled[7:])
    other.merge(_resumed(third, Tstr(chosen)))  # type: ignore[arg-type]
    assert_alike(other.result(), one.result())


def texts_of(rows: Sequence[Record]) -> list[str]:
    return [record.text("text") for record in rows]


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_measures_are_those_of_their_definitions(
    metrics: dict[str, Callable[[], Accumulator]], rows: list[Record]
) -> None:
    texts = texts_of(rows)

    def of(name: str) -> Mapping[str, Any]:
        metric = metrics[name]()
        metric.update(rows)
        return metric.result()

    filled = sampled(rows)
    own = self_bleu(filled) if len(filled) > 1 else []
    if len(filled) <= 5:
        assert of("self_bleu") == {"self_bleu": pytest.approx(np.mean(own)) if own else None, "texts": len(filled)}
    assert_alike(of("self_repetition"), _repetition(texts)) if _few_ngrams(texts) else None
    scored = [record.meta.scores["d"] for record in rows if "d" in record.meta.scores]
    scored = [score for score in scored if abs(score) < 1e300]
    told = of("named scores")["d"]
    assert told["unscored"] == len(rows) - len(scored) and sum(told["histogram"].values()) == len(scored)
    assert of("named scores")["e"]["mean"] is None
    raw = "\n".join(sampled(rows)).encode("utf-8", "surrogatepass")
    expected = {
        "ratio": len(raw) / len(bz2.compress(raw)) if raw else None,
        "characters": len("\n".join(sampled(rows))),
    }
    assert of("compression of a few") == expected


def sampled(rows: Sequence[Record]) -> list[str]:
    pairs = sorted(zip(keys_of(rows, "text"), texts_of(rows), strict=True))
    return [text.replace("\ud800", "?") for _, text in pairs if text.strip()]


def _few_ngrams(texts: Sequence[str]) -> bool:
    return all(len({gram for text in texts for gram in _grams(text, n)}) < 16 for n in (2, 3))


def _grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def _repetition(texts: Sequence[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    counts = {n: Counter(gram for text in texts for gram in _grams(text, n)) for n in (2, 3)}
    for n, own in counts.items():
        repeated = sum(count for count in own.values() if count > 1)
        found[f"repeated_{n}"] = repeated / own.total() if own else None
    return {**found, **{f"ngrams_{n}": own.total() for n, own in counts.items()}}


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_spread_is_that_of_the_numbers(numbers: list[float]) -> None:
    spread = Spread()
    spread.update(numbers)
    told = spread.result()
    assert told["mean"] == pytest.approx(np.mean(numbers), rel=1e-9, abs=1e-12 * max(map(abs, numbers)) + 1e-18)
    assert told["sd"] == pytest.approx(np.std(numbers), rel=1e-7, abs=1e-7 * max(map(abs, numbers)) + 1e-18)
    assert (told["min"], told["max"]) == (min(numbers), max(numbers))
    for name, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95)):
        exact = sorted(numbers)[max(0, int(np.ceil(share * len(numbers) - 1e-12)) - 1)]
        assert told[name] == pytest.approx(exact, rel=1 / 256, abs=2e-12)
    assert sum(spread.histogram().values()) == len(numbers)


@given(st.lists(TEXTS, min_size=2, max_size=12))
@settings(max_examples=100, deadline=None)
def test_self_bleu_is_that_of_sacrebleu(texts: list[str]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    for place, (text, found) in enumerate(zip(texts, self_bleu(texts), strict=True)):
        others = texts[:place] + texts[place + 1 :]
        assert found == pytest.approx(sacrebleu.sentence_bleu(text, others).score, abs=1e-9)


@given(st.text(st.sampled_from("ab19.,-'!?$&;quot<>/ \n\t天é~`{}[]_"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_tokens_are_those_of_sacrebleu(text: str) -> None:
    bleu = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a")
    assert tokens(text) == bleu.Tokenizer13a()(text.rstrip()).split()


@given(st.lists(TEXTS, min_size=1, max_size=12), st.sampled_from([16, 80, 256]))
@settings(max_examples=100, deadline=None)
def test_vendi_and_rke_are_those_of_the_kernel(texts: list[str], dimensions: int) -> None:
    rows = vectors(texts, dimensions)
    moment = SecondMoment(dimensions)
    for start in range(0, len(rows), 5):
        moment.update(rows[start : start + 5])
    rows = rows[np.abs(rows).sum(axis=1) > 0]
    if not len(rows):
        assert (moment.vendi(), moment.rke()) == (0.0, 0.0)
        return
    eigenvalues = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    positive = eigenvalues[eigenvalues > 1e-15]
    assert moment.vendi() == pytest.approx(float(np.exp(-(positive * np.log(positive)).sum())), abs=1e-9)
    assert moment.rke() == pytest.approx(1 / float((positive**2).sum()), abs=1e-9)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=8), st.integers(1, 4), st.data())
@settings(max_examples=100, deadline=None)
def test_kneser_ney_is_that_of_the_recursion_and_sums_to_one(
    texts: list[list[str]], n: int, data: st.DataObject
) -> None:
    model, plain = NGramModel(texts, n), Plain(texts, n)
    text = data.draw(st.lists(st.sampled_from("abcde"), max_size=6))
    scored = model.score([text, text])
    assert scored.log_probability.tolist() == pytest.approx([plain.log_probability(text)] * 2, abs=1e-9)
    assert scored.words.tolist() == [len(text) + 1] * 2
    assert scored.unknown.tolist() == [sum(word not in plain.vocabulary for word in text)] * 2
    context = tuple(data.draw(st.lists(st.sampled_from("<abcd"), min_size=n - 1, max_size=n - 1)))
    assert sum(plain.probability(context, word) for word in plain.vocabulary | {"?"}) == pytest.approx(1.0)


class Plain:
    """The recursion of interpolated Kneser-Ney, with dictionaries."""

    def __init__(self, texts: Sequence[Sequence[str]], n: int) -> None:
        self.n = n
        longest: Counter[tuple[str, ...]] = Counter()
        for text in texts:
            padded = ["<"] * (n - 1) + [*text, ">"]
            longest.update(tuple(padded[i - n + 1 : i + 1]) for i in range(n - 1, len(padded)))
        self.counts = {n: longest}
        for size in range(n - 1, 0, -1):
            self.counts[size] = Counter(gram[1:] for gram in self.counts[size + 1])
        self.vocabulary = {gram[0] for gram in self.counts[1]}

    def probability(self, context: tuple[str, ...], word: str) -> float:
        size = len(context) + 1
        own = {gram: count for gram, count in self.counts[size].items() if gram[:-1] == context}
        shorter = self.probability(context[1:], word) if context else 1 / (len(self.vocabulary) + 1)
        if not own:
            return shorter
        ones, twos = (sum(count == times for count in self.counts[size].values()) for times in (1, 2))
        discount = min(0.9, max(0.1, ones / (ones + 2 * twos) if ones else 0.0))
        total = sum(own.values())
        return max(own.get((*context, word), 0) - discount, 0) / total + discount * len(own) / total * shorter

    def log_probability(self, text: Sequence[str]) -> float:
        known = [word if word in self.vocabulary else "?" for word in text]
        padded = ["<"] * (self.n - 1) + [*known, ">"]
        places = range(self.n - 1, len(padded))
        return sum(log(self.probability(tuple(padded[i - self.n + 1 : i]), padded[i])) for i in places)


def test_resemblance_is_estimated_within_its_error(tmp_path: Path) -> None:
    ours, theirs = range(0, 6000), range(2000, 8000)
    (tmp_path / "real.jsonl").write_bytes(b"\n".join(msgspec.json.encode({"text": f"w{n}"}) for n in theirs))
    errors = []
    for kept in (256, 1024, 4096, 16384):
        chosen = SimilaritySettings(
            column="text", reference=str(tmp_path / "real.jsonl"), most=6000, shingle=1, kept=kept, dimensions=16
        )
        metric = Similarity(chosen)
        metric.update([Record(str(n), {"text": f"w{n}"}) for n in ours])
        errors.append(abs(metric.result()["resemblance"] - 0.5) * kept**0.5 / 0.5)
    assert all(0 < error < 3 for error in errors[:3]) and errors[3] == 0
    assert word_hash("w1") != word_hash("w2")


def test_the_sample_is_of_all_texts_alike() -> None:
    sample = Sample(1000)
    keys = [word_hash(f"k{n}") for n in range(20_000)]
    for start in range(0, 20_000, 100):
        sample.update(keys[start : start + 100], [str(n) for n in range(start, start + 100)])
        assert len(sample._drawn) <= 2 * 1000 + 64 + 100
    drawn = sorted(map(int, sample.texts()))
    assert len(drawn) == 1000
    assert abs(np.mean(drawn) / 10_000 - 1) < 3 * 0.577 / 1000**0.5


def test_perplexity_is_that_of_all_words_together(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text('{"said": "the cat sat"}\n{"said": "a cat"}\n')
    metric = Fluency(
        FluencySettings(column="text", reference=str(tmp_path / "real.jsonl"), reference_column="said", n=2)
    )
    metric.update([Record("0", {"text": "The cat"}), Record("1", {"text": "dog"}), Record("2", {})])
    model = Plain([["the", "cat", "sat"], ["a", "cat"]], 2)
    logs = [model.log_probability(["the", "cat"]), model.log_probability(["dog"])]
    told = metric.result()
    assert told["perplexity"] == pytest.approx(exp(-sum(logs) / 5))
    assert told["unknown"] == 1 / 5
    assert told["perplexity_of_each"]["max"] == pytest.approx(exp(-logs[1] / 2))
    assert told["log_probability"]["without"] == 3
