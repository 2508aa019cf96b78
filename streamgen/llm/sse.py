"""An answer that comes as a stream of events, put together again."""

from __future__ import annotations

from streamgen.llm.logprobs import LogProbs
from streamgen.llm.wire import Answer, Choice, Counts, Message, Unreadable, decode
from streamgen.record import Value

_BOM = b"\xef\xbb\xbf"
_BEFORE_JSON = _BOM + b" \t\r\n"
_DONE = b"[DONE]"


class Cut(Exception):
    """A stream that ended before the answer did."""


class Events:
    """Cuts bytes into the data of server-sent events, wherever the bytes are split (WHATWG HTML, section 9.2.6).

    >>> events = Events()
    >>> events.feed(b": hello\\r\\ndata: 1\\r"), events.feed(b"\\ndata:2\\n\\nda"), events.feed(b"ta: 3\\n")
    ([], [b'1\\n2'], [])
    >>> events.end()
    [b'3']
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._data: list[bytes] = []  # lines of an event whose end has not come
        self._is_first = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that this piece ends."""
        events = []
        for line in self._lines(piece):
            if line:
                self._take(line)
            elif self._data:
                events.append(self._event())
        return events

    def end(self) -> list[bytes]:
        """The last event, where the blank line after it is missing."""
        if self._line:
            self._take(b"".join(self._line).rstrip(b"\r\n"))
            self._line.clear()
        return [self._event()] if self._data else []

    def _lines(self, piece: bytes) -> list[bytes]:
        if b"\n" not in piece and b"\r" not in piece:
            self._line.append(piece)
            return []
        lines = b"".join((*self._line, piece)).splitlines(keepends=True)
        # What ends with "\r" may be half of "\r\n".
        self._line = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        return [line.rstrip(b"\r\n") for line in lines]

    def _take(self, line: bytes) -> None:
        if self._is_first:
            self._is_first, line = False, line.removeprefix(_BOM)
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))

    def _event(self) -> bytes:
        data, self._data = self._data, []
        return b"\n".join(data)


class Stream:
    """Collects an answer piece by piece. Of several choices the first is kept.

    A server that ignores `stream` and sends plain JSON is understood, and so is one that forgets `[DONE]`.
    """

    def __init__(self) -> None:
        self._events: Events | None = None  # once the first byte that is no white space shows that there are some
        self._is_plain = False
        self._unread: list[bytes] = []  # the pieces, for as long as they are no events
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[float] = []
        self._finish_reason: str | None = None
        self._usage: Counts | None = None
        self._model: str | None = None
        self._error: Value = None
        self._head = self._last = b""
        self._is_done = False

    def feed(self, piece: bytes) -> bool:
        """Take the next bytes; whether the answer is whole. Raises Unreadable."""
        events = self._events
        if events is None:
            events, piece = self._look(piece)
            if events is None:
                return False
        for event in events.feed(piece):
            self._take(event)
        return self._is_done

    def answer(self) -> Answer:
        """The answer as if it had come whole. Raises Cut, and Unreadable for what is neither events nor JSON."""
        if self._events is None:
            return decode(b"".join(self._unread))
        for event in self._events.end():
            self._take(event)
        if self._error is not None:
            return Answer(None, self._usage, self._model, self._error)
        if not self._last and not self._is_done:
            raise Unreadable("a stream without events")
        if not self._is_done and self._finish_reason is None:
            raise Cut("the stream ended without `finish_reason` or [DONE]")
        message = Message("".join(self._text), "".join(self._reasoning) or None)
        logprobs = LogProbs(token_logprobs=[*self._logprobs]) if self._logprobs else None
        return Answer([Choice(message, self._finish_reason, logprobs=logprobs)], self._usage, self._model)

    @property
    def sent(self) -> bytes:
        """What came last, to be quoted."""
        return b"".join(self._unread) or self._last or self._head

    def _look(self, piece: bytes) -> tuple[Events | None, bytes]:
        """Decide by the first character; with events comes all that was not read as such yet."""
        self._unread.append(piece)
        if self._is_plain:
            return None, b""
        head = b"".join(self._unread)
        first = head.lstrip(_BEFORE_JSON)[:1]
        self._is_plain = first == b"{"
        if first and not self._is_plain:
            self._unread.clear()
            self._head = head
            self._events = Events()
        return self._events, head

    def _take(self, event: bytes) -> None:
        if self._is_done or not event.strip():
            return
        self._last = event
        if event.strip() == _DONE:
            self._is_done = True
            return
        for answer in _decoded(event):
            self._add(answer)

    def _add(self, answer: Answer) -> None:
        self._usage = answer.usage or self._usage
        self._model = answer.model or self._model
        if answer.error is not None:
            self._error, self._is_done = answer.error, True
        for choice in answer.choices or ():
            if not choice.index:
                self._say(choice)

    def _say(self, choice: Choice) -> None:
        said = choice.delta or (None if self._text else choice.message)
        if text := said.content if said else choice.text:
            self._text.append(text)
        if said and (reasoning := said.reasoning_content or said.reasoning):
            self._reasoning.append(reasoning)
        if choice.logprobs:
            self._logprobs += choice.logprobs.values()
        self._finish_reason = choice.finish_reason or self._finish_reason


def _decoded(event: bytes) -> list[Answer]:
    """The event's chunk; or its chunks, from servers that put no blank line between them."""
    try:
        return [decode(event)]
    except Unreadable:
        if b"\n" not in event:
            raise
        return [decode(line) for line in event.split(b"\n") if line.strip() not in (b"", _DONE)]
