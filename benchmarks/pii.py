"""How well personal data that has a form is found in labelled sentences, and how many records a second that takes."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streamgen.privacy.detect import KINDS, Kind, Span, detect_all

LABELS: dict[str, Kind] = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
    "DOMAIN_NAME": "url",
    "URL": "url",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
}
WANTED = tuple(kind for kind in KINDS if kind != "national_id")
WORDS = 100  # of a record whose speed is measured


def half(rows: Iterable[dict[str, Any]], which: str) -> list[dict[str, Any]]:
    """The rows of a half, chosen by a hash of the text: "develop", "unseen", or "all" of them."""
    parity = {"develop": 0, "unseen": 1}
    if which == "all":
        return list(rows)
    return [row for row in rows if hashlib.sha256(row["full_text"].encode()).digest()[0] % 2 == parity[which]]


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, Counter[Kind]]:
    """Labelled, found and right spans by kind; right is a span with the label's exact start and end."""
    spans = detect_all([row["full_text"] for row in rows], WANTED)
    tally: dict[str, Counter[Kind]] = {"labelled": Counter(), "found": Counter(), "right": Counter()}
    for row, found in zip(rows, spans, strict=True):
        labelled = {
            Span(span["start_position"], span["end_position"], LABELS[span["entity_type"]])
            for span in row["spans"]
            if span["entity_type"] in LABELS
        }
        tally["labelled"].update(kind for *_, kind in labelled)
        tally["found"].update(span.kind for span in found)
        tally["right"].update(span.kind for span in found if span in labelled)
    return tally


def texts_of_words(rows: Sequence[dict[str, Any]], records: int) -> list[str]:
    """So many texts of 100 words each, made of the sentences one behind the other."""
    words = " ".join(row["full_text"] for row in rows).split(" ")
    starts = (WORDS * index % max(1, len(words) - WORDS) for index in range(records))
    return [" ".join(words[start : start + WORDS]) for start in starts]


def command(arguments: Sequence[str]) -> None:
    """Print recall and precision of each kind, and records a second with all kinds on one core."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pii")
    parser.add_argument("data", type=Path, help="labelled sentences, as presidio-research's synth_dataset_v2.json")
    parser.add_argument("--half", choices=["develop", "unseen", "all"], default="develop")
    parser.add_argument("--records", type=int, default=10_000)
    options = parser.parse_args(arguments)
    rows = half(json.loads(options.data.read_text(encoding="utf-8")), options.half)
    tally = counts(rows)
    print(f"{len(rows)} sentences ({options.half}), exact spans\n{'kind':<10} labelled found right recall precision")
    for kind in dict.fromkeys(LABELS.values()):
        labelled, found, right = (tally[name][kind] for name in ("labelled", "found", "right"))
        recall, precision = right / labelled if labelled else 1.0, right / found if found else 1.0
        print(f"{kind:<10} {labelled:>8} {found:>5} {right:>5} {recall:>6.3f} {precision:>9.3f}")
    texts = texts_of_words(rows, options.records)
    start, start_cpu = time.perf_counter(), time.process_time()
    detect_all(texts, WANTED)
    wall, cpu = (len(texts) / took for took in (time.perf_counter() - start, time.process_time() - start_cpu))
    print(f"{wall:,.0f} records of {WORDS} words a second ({cpu:,.0f} a second of CPU time), {len(WANTED)} kinds")
