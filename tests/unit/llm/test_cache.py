from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgen.errors import RecipeError
from streamgen.llm.cache import CacheStatistics, ResponseCache, key_of
from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Response
from streamgen.record import Usage

ASKED = ChatRequest(messages=(Message("user", "hi"),), temperature=0.5, seed=7)
ANSWER = Response("hello", usage=Usage(3, 2, 1, 0.25), model="m", reasoning="a greeting")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ResponseCache]:
    opened = ResponseCache(tmp_path / "cache.db")
    yield opened
    opened.close()


def replaced(**fields: object) -> ChatRequest:
    return ChatRequest(**{"messages": ASKED.messages, "temperature": 0.5, "seed": 7, **fields})  # type: ignore[arg-type]


def test_the_key_tells_apart_all_that_makes_the_answer_and_nothing_else() -> None:
    keys = [
        key_of("https://a main", ASKED),
        key_of("https://b main", ASKED),
        key_of("https://a main", replaced(seed=8)),
        key_of("https://a main", replaced(temperature=None)),
        key_of("https://a main", replaced(messages=(Message("system", "hi"),))),
        key_of("https://a main", replaced(schema={"type": "object"})),
        key_of("https://a main", replaced(extra={"thinking": False})),
        key_of("https://a main", CompletionRequest(prompt="hi", temperature=0.5, seed=7)),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of("https://a main", replaced(idempotency_key="of this run")) == keys[0]


def test_an_answer_is_found_at_once_and_in_the_next_session(cache: ResponseCache) -> None:
    key = key_of("main", ASKED)
    assert cache.get(key) is None
    cache.put(key, ANSWER)
    assert cache.get(key) == ANSWER
    cache.close()
    assert cache.statistics() == CacheStatistics(hits=1, misses=1, stored=1, failed=0)
    again = ResponseCache(cache.path)
    assert again.get(key) == ANSWER
    again.close()
    again.close()


def test_of_two_answers_the_first_stays(cache: ResponseCache) -> None:
    cache.put(b"key", ANSWER)
    cache.close()
    again = ResponseCache(cache.path)
    again.put(b"key", Response("another"))
    again.close()
    third = ResponseCache(cache.path)
    assert third.get(b"key") == ANSWER
    third.close()


def test_many_answers_are_written_in_the_background(cache: ResponseCache) -> None:
    for n in range(3000):
        cache.put(b"%d" % n, Response(str(n)))
    assert all(cache.get(b"%d" % n) == Response(str(n)) for n in range(0, 3000, 7))
    cache.close()
    assert cache.statistics().stored == 3000


_WRITES = """
import sys
from pathlib import Path
from streamgen.llm.cache import ResponseCache
from streamgen.llm.model import Response
cache = ResponseCache(Path(sys.argv[1]))
for n in range(int(sys.argv[2]), 2000, 4):
    cache.put(b"%d" % n, Response(str(n)))
    cache.put(b"common %d" % n, Response(str(n)))
cache.close()
print(cache.statistics().failed)
"""


def test_several_processes_use_one_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    command = [sys.executable, "-c", _WRITES, str(path)]
    started = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    assert [process.communicate()[0].strip() for process in started] == ["0"] * 4
    cache = ResponseCache(path)
    assert all(cache.get(b"%d" % n) == Response(str(n)) for n in range(2000))
    cache.close()


def test_what_cannot_be_written_is_counted_and_hurts_nobody(cache: ResponseCache) -> None:
    with sqlite3.connect(cache.path) as other:
        other.execute("DROP TABLE answers")
    other.close()
    cache.put(b"key", ANSWER)
    assert cache.get(b"other") is None
    cache.close()
    assert cache.statistics() == CacheStatistics(hits=0, misses=1, stored=0, failed=1)


def test_a_damaged_answer_is_asked_for_again(cache: ResponseCache) -> None:
    cache.put(b"key", ANSWER)
    cache.close()
    with sqlite3.connect(cache.path) as other:
        other.execute("UPDATE answers SET body = x'7b'")
    other.close()
    again = ResponseCache(cache.path)
    assert again.get(b"key") is None
    again.close()


@pytest.mark.parametrize("content", [b"this is a text, and a long one. " * 99, None])
def test_a_file_that_is_no_cache_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cache.db"
    if content is None:
        with sqlite3.connect(path) as foreign:
            foreign.execute("CREATE TABLE mine (x)")
        foreign.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(RecipeError, match="name another file"):
        ResponseCache(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be used"):
        ResponseCache(tmp_path / "none" / "cache.db")
