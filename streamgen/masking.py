"""Hides keys in whatever is shown or stored."""

from __future__ import annotations

import re

_SECRET = r"\b(sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_\-]{8,}|(?<=Bearer )\S+"


def mask(text: str) -> str:
    """The text with whatever looks like a key replaced.

    >>> mask("401 for sk-abcdefgh12345678")
    '401 for ***'
    """
    return re.sub(_SECRET, "***", text)
