"""What kind of failure a server's refusal or a broken connection is, and what the server says to it."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from streamgen.llm.connection import Answer, NoHttp, TooLong
from streamgen.llm.dial import Unreachable
from streamgen.llm.retry import Kind
from streamgen.llm.wire import Unreadable
from streamgen.record import Value

_SAID = 200  # characters of a server's message that are quoted

_STATUS = {
    401: Kind.AUTH,
    402: Kind.QUOTA,
    403: Kind.AUTH,
    404: Kind.NOT_FOUND,
    405: Kind.NOT_FOUND,
    407: Kind.AUTH,
    408: Kind.TIMEOUT,
    425: Kind.OVERLOADED,
    429: Kind.RATE_LIMITED,
    501: Kind.BAD_REQUEST,  # no wait changes that
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}
_CODE = {"insufficient_quota": Kind.QUOTA, "model_not_found": Kind.NOT_FOUND, "invalid_api_key": Kind.AUTH}


class Complaint(msgspec.Struct):
    """A server's error object."""

    message: str | None = None
    code: str | int | None = None
    type: str | None = None


class _Refusal(msgspec.Struct):
    error: Value = None
    message: str | None = None
    detail: Value = None


_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def is_page(answer: Answer) -> bool:
    """Whether a web page came, not an answer of an API."""
    return answer.content_type in ("text/html", "application/xhtml+xml")


def kind_of_status(status: int, data: bytes, *, page: bool) -> Kind:
    """The kind of an answer that is not 200; `data` is its body."""
    if status < 400:
        return Kind.NOT_AN_API if page or status >= 300 else Kind.MALFORMED
    if status == HTTPStatus.NOT_IMPLEMENTED and page:
        return Kind.NOT_AN_API
    if status in _STATUS and status != HTTPStatus.TOO_MANY_REQUESTS:
        return _STATUS[status]
    code = complaint(data).code if status < 500 else None
    return _CODE.get(str(code)) or _STATUS.get(status) or (Kind.SERVER if status >= 500 else Kind.BAD_REQUEST)


def kind_of_error(error: Value) -> Kind:
    """The kind of an error object in an answer of status 200: by its code, which gateways set to a status."""
    code = str(_complaint(error).code or "")
    if code in _CODE:
        return _CODE[code]
    if code.isascii() and code.isdigit() and 400 <= int(code[:4]) < 600:
        return kind_of_status(int(code), b"", page=False)
    return Kind.MALFORMED


def kind_of_exception(error: Exception) -> Kind:
    """The kind of what broke on the way."""
    if isinstance(error, Unreachable):
        return Kind.UNREACHABLE
    if isinstance(error, TimeoutError):
        return Kind.TIMEOUT
    return Kind.MALFORMED if isinstance(error, NoHttp | TooLong | Unreadable) else Kind.RESET


def quote_exception(error: Exception) -> str:
    """What broke, in one line."""
    said = quoted(str(error)) if str(error) else type(error).__name__
    return f"an answer that is no HTTP: {said}" if isinstance(error, NoHttp) else said


def complaint(data: bytes) -> Complaint:
    """What a refusal's body says, in one of the usual shapes."""
    try:
        refusal = _decode_refusal(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Complaint()
    return _complaint(refusal.error or refusal.message or refusal.detail)


def quote(data: bytes) -> str:
    """The server's own words, or the beginning of what it sent; a line of at most 200 characters."""
    return quoted(complaint(data).message or data[: 4 * _SAID].decode("utf-8", "replace"))


def quoted(text: str) -> str:
    """The text as one line of at most 200 characters."""
    text = re.sub(r"\s+", " ", text[: 8 * _SAID]).strip()
    return f"{text[:_SAID]}..." if len(text) > _SAID else text or "(nothing)"


def quote_error(error: Value) -> str:
    """The words of an error object."""
    return quoted(_complaint(error).message or str(error))


def _complaint(error: Value) -> Complaint:
    if isinstance(error, dict):
        message, code = error.get("message"), error.get("code")
        return Complaint(message if isinstance(message, str) else None, code if isinstance(code, str | int) else None)
    return Complaint(None if error is None else str(error))
