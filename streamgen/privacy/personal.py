"""Forms that need their words: dates of birth and street addresses."""

from __future__ import annotations

import re

from streamgen.privacy.form import Form, contains

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_ENDINGS = "St Ave Road Rd Boulevard Blvd Lane Ln Drive Dr Court Ct Sq Terrace Highway Hwy Box"
_GERMAN = "straße strasse str. gasse weg platz allee Postfach"
_STREETS = (*(f" {word}" for word in _ENDINGS.split()), *_GERMAN.split())
"""One of these stands in every address that is found."""

BIRTH_DATE = Form(
    contains("born", "birth", "dob", "d.o.b", "geboren", "né"),
    re.compile(
        r"\b(?:born(?: on)?|date of birth|d\.?o\.?b\.?|birth ?date|birthday(?: is)?|geboren(?: am)?|née? le)\W{1,4}"
        rf"(?P<value>\d{{1,4}}(?P<by>[-./ ])\d{{1,2}}(?P=by)\d{{1,4}}"
        rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
        rf"|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH},? \d{{4}})\b",
        re.IGNORECASE,
    ),
)
ADDRESS = Form(
    lambda text: any(word in text for word in _STREETS),
    # The first character is a plain set, which is searched for faster than alternatives are.
    re.compile(
        r"[0-9A-ZÄÖÜ](?<![\w.,-].)(?:"
        r"(?<=[0-9])\d{0,4}[A-Za-z]? (?:(?:[A-Z]|\d{1,3}(?:st|nd|rd|th))[\w'’.-]{0,30} ){1,4}"
        r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Highway|Hwy)\b\.?"
        r"|(?<=[A-ZÄÖÜ])[\w-]{1,30}(?:straße|strasse|str\.|gasse|weg|platz|allee) \d{1,4}[a-z]?\b"
        r"|(?<=P)(?:\.? ?O\.? Box|ostfach) \d{1,8}\b)"
    ),
)
