"""The reward `http`: metrics that a service of the user's own calculates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import anyio
import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, StreamReader, TCPConnector  # 0.3 s: not amid a run

from streamgen.control.reward import TrialFacts
from streamgen.errors import RewardError
from streamgen.llm.spec import check_secrets, resolve_headers, resolve_key
from streamgen.masking import mask
from streamgen.record import Columns, Record
from streamgen.settings import Settings

MAX_ANSWER_BYTES = 1 << 20

_PATH = "$.controller.reward"
_LONGEST_PAUSE_S = 60.0
_SHOWN = 200  # bytes of an answer that a message shows

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]


class HttpSettings(Settings, frozen=True, kw_only=True):
    """Where to post the records, and which of the answer's numbers is the reward.

    The body is `{"records": [{"id", "columns"}], "facts": {...}}`, the answer an object of numbers. `columns` are those
    that are sent, all unless set. `api_key = "env:NAME"` goes along as a bearer token. `timeout_s` holds for each
    attempt; after a refused connection, a broken answer, 408, 429 or 5xx there are up to `retries` more, the first
    after `pause_s`, each next one after twice as long, or after what `Retry-After` says.
    """

    url: str
    metric: str
    api_key: str | None = None
    headers: Mapping[str, str] = {}
    columns: tuple[str, ...] | None = None
    timeout_s: Seconds = 60.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 3
    pause_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0

    def check(self) -> None:
        """Raise ValueError for an address that cannot be posted to, or a key in plain sight."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: expected an address as http://host:port/path")
        if parts.username or parts.password:
            raise ValueError('url: no passwords here; name a variable, as api_key = "env:NAME"')
        check_secrets(self.api_key, self.headers)


class Sent(msgspec.Struct, frozen=True):
    """A record as it is posted: without its provenance."""

    id: str
    columns: Columns


class Question(msgspec.Struct, frozen=True):
    """The body of a request."""

    records: Sequence[Sent]
    facts: TrialFacts | None


class Answered(msgspec.Struct, frozen=True):
    """What one attempt came to."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class _Again(Exception):
    """An attempt that failed in a way that another may not."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class HttpReward:
    """The numbers of the service's answer. Raises RecipeError where the key's variable is not set."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        key = resolve_key(settings.api_key, f"{_PATH}.api_key")
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        self._headers = {"Content-Type": "application/json", **bearer, **resolve_headers(settings.headers)}

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> Mapping[str, float]:
        """The answer. Raises RewardError where the service gives none that is an object of numbers."""
        question = Question([Sent(record.id, self._columns(record)) for record in records], facts)
        body = msgspec.json.encode(question)
        timeout = ClientTimeout(total=self._settings.timeout_s)
        connector = TCPConnector(force_close=True)  # one that the server has closed meanwhile would cost an attempt
        async with ClientSession(headers=self._headers, timeout=timeout, connector=connector) as session:
            return await self._asked(session, body)

    def _columns(self, record: Record) -> Columns:
        wanted = self._settings.columns
        return record.columns if wanted is None else {name: record.get(name) for name in wanted}

    async def _asked(self, session: ClientSession, body: bytes) -> Mapping[str, float]:
        pause_s = self._settings.pause_s
        for left in reversed(range(self._settings.retries + 1)):
            try:
                return _metrics(await self._post(session, body))
            except _Again as error:
                if not left:
                    raise RewardError(self._shown(f"{error}, also after {self._settings.retries} retries")) from None
                await anyio.sleep(min(_LONGEST_PAUSE_S, pause_s if error.after_s is None else error.after_s))
                pause_s *= 2
            except RewardError as error:
                raise RewardError(self._shown(str(error))) from None
        raise AssertionError("the last attempt answers or raises")

    async def _post(self, session: ClientSession, question: bytes) -> Answered:
        try:
            # A redirect would take the records, and perhaps the key, to where nobody said that they may go.
            async with session.post(self._settings.url, data=question, allow_redirects=False) as response:
                body = await _bounded(response.content)
                return Answered(response.status, body, _seconds(response.headers.get("Retry-After")))
        except TimeoutError:
            raise _Again(f"it gave no answer within timeout_s = {self._settings.timeout_s:g}") from None
        except (ClientError, OSError) as error:
            raise _Again(f"it cannot be reached: {type(error).__name__}: {error}") from None

    def _shown(self, message: str) -> str:
        return mask(f"{self._settings.url}: {message}")


async def _bounded(content: StreamReader) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise RewardError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes; metrics are an object of numbers")
    return bytes(body)


def _metrics(answer: Answered) -> Mapping[str, float]:
    """The answer's object. Raises _Again for what may pass, RewardError for what will not."""
    said = answer.body[:_SHOWN].decode(errors="replace").strip()
    if answer.status in (408, 429) or answer.status >= 500:
        raise _Again(f"it answered {answer.status}: {said}", answer.retry_after_s)
    if answer.status != 200:
        raise RewardError(f"it answered {answer.status}: {said}")
    try:
        metrics = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Again(f"its answer is no JSON ({error}): {said}") from None
    if not isinstance(metrics, dict):
        raise RewardError(f"its answer is no object of numbers: {said}")
    return metrics


def _seconds(retry_after: str | None) -> float | None:
    """The seconds that a header tells; a date, or nonsense, tells none."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
