"""Streams of events, cut anywhere, in every variety that servers send; the answer is the same as if it came whole."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.sse import Cut, Stream
from streamgen.llm.wire import Answer, Choice, Counts, Message, Unreadable

DONE = b"data: [DONE]\n\n"


def event(**fields: object) -> bytes:
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def delta(index: int = 0, finish_reason: str | None = None, **said: object) -> bytes:
    return event(model="m", choices=[{"index": index, "delta": said, "finish_reason": finish_reason}], usage=None)


def read(*pieces: bytes) -> Answer:
    stream = Stream()
    for piece in pieces:
        if stream.feed(piece):
            break
    return stream.answer()


USAGE = event(model="m", choices=[], usage={"prompt_tokens": 9, "completion_tokens": 4})
WHOLE = b"".join(
    (
        b": ping\n\n",
        delta(role="assistant", content=""),
        delta(reasoning_content="höm"),
        delta(content="Grüße "),
        delta(index=1, content="another choice"),
        delta(content="\U0001f600"),
        delta(finish_reason="stop"),
        USAGE,
        DONE,
    )
)
ANSWER = Answer([Choice(Message("Grüße \U0001f600", "höm"), "stop")], Counts(9, 4), "m")


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_wherever_the_bytes_are_cut_the_answer_is_the_same(cuts: list[int], line_end: bytes, has_mark: bool) -> None:
    data = (b"\xef\xbb\xbf" if has_mark else b"") + WHOLE.replace(b"\n", line_end)
    ends = sorted({*cuts, len(data)})
    assert read(*(data[begin:end] for begin, end in zip([0, *ends], ends, strict=False))) == ANSWER


def test_byte_by_byte_the_answer_is_the_same() -> None:
    assert read(*(WHOLE[i : i + 1] for i in range(len(WHOLE)))) == ANSWER


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.removesuffix(DONE),
        WHOLE.removesuffix(DONE).rstrip(b"\n"),
        WHOLE.replace(b"data: ", b"data:"),
        WHOLE.replace(b"data: ", b"event: message\nid: 1\nretry: 5\ndata: "),
        WHOLE.replace(b"\n\n", b"\n"),  # no blank lines: every line an event
        WHOLE.replace(b'"choices"', b'\ndata: "choices"'),  # data of two lines
        b"\n\n\n" + WHOLE,
        WHOLE + b"data: what comes after the end\n\n",
        WHOLE.replace(b'"index":0,', b""),
        WHOLE.replace(b'"index":0,', b'"index":null,'),
    ],
)
def test_what_servers_leave_out_or_add_changes_nothing(data: bytes) -> None:
    assert read(data) == ANSWER


def test_a_server_that_ignores_stream_is_understood() -> None:
    data = msgspec.json.encode({"choices": [{"message": {"content": "c"}, "finish_reason": "stop"}], "model": "m"})
    answer = Answer([Choice(Message("c"), "stop")], None, "m")
    assert read(data) == answer
    assert read(b"\xef\xbb", b"\xbf \n", data[:7], data[7:]) == answer


def test_raw_continuations_stream_too() -> None:
    pieces = [event(choices=[{"text": "a"}]), event(choices=[{"text": "b", "finish_reason": "length"}]), DONE]
    assert read(*pieces) == Answer([Choice(Message("ab"), "length")])


def test_the_usage_that_came_last_counts() -> None:
    counts = [{"prompt_tokens": 9, "completion_tokens": n} for n in (1, 2)]
    pieces = [event(choices=[{"delta": {"content": "a"}}], usage=count) for count in counts]
    assert read(*pieces, DONE).usage == Counts(9, 2)


def test_a_whole_message_after_its_pieces_is_not_taken_twice() -> None:
    final = event(choices=[{"message": {"content": "ab"}, "finish_reason": "stop"}])
    assert read(delta(content="a"), delta(content="b"), final).choices == [Choice(Message("ab"), "stop")]
    assert read(final).choices == [Choice(Message("ab"), "stop")]


def test_an_error_in_the_stream_ends_it() -> None:
    stream = Stream()
    assert not stream.feed(delta(content="a"))
    assert stream.feed(event(error={"code": 502, "message": "upstream died"}))
    assert stream.answer() == Answer(None, None, "m", {"code": 502, "message": "upstream died"})


def test_a_stream_that_breaks_off_is_cut() -> None:
    with pytest.raises(Cut, match="without `finish_reason`"):
        read(delta(content="half of"))


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"<html>no API</html>", b": ping\n\n", b"data: {half\n\n", b"data: \xff\n\n"]
)
def test_what_is_no_stream_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data)
