"""Forms of addresses in networks: e-mail, URL, IP, MAC."""

from __future__ import annotations

import re
from ipaddress import ip_address

from streamgen.privacy.form import Form, matches


def _is_ip(match: re.Match[str]) -> bool:
    try:
        ip_address(match[0])
    except ValueError:
        return False
    return True


EMAIL = Form(
    lambda text: "@" in text,
    re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])"),
    lambda match: ".." not in match[0],
)
# Punctuation at the end belongs to the sentence; brackets never belong to an address here.
URL = Form(
    lambda text: "://" in text or "www." in text.lower(),
    re.compile(
        r"(?<![\w@])(?:(?:https?|ftp)://|www\.)[^\W_][^\s<>\"'`(){}\[\]\\^|]{2,2000}(?<![.,;:!?*…。、])", re.IGNORECASE
    ),
)
IP = Form(
    matches(r"[0-9]\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:"),
    re.compile(
        r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)|(?:[0-9A-Fa-f]{0,4}:){2,7}"
        r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4})(?![\w:]))",
        re.ASCII,
    ),
    _is_ip,
)
MAC = Form(
    matches(r"[:-][0-9A-Fa-f]{2}[:-]"),
    re.compile(r"(?<![\w:-])[0-9A-F]{2}([:-])(?:[0-9A-F]{2}\1){4}[0-9A-F]{2}(?![\w:-])", re.ASCII | re.IGNORECASE),
)
