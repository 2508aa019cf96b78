"""National identity numbers by python-stdnum, where the text names the number."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from streamgen.errors import MissingExtra
from streamgen.privacy.form import Form, has_digit

# A check digit alone fits one number in ten by chance, so each number must be named.
_NAMED = {
    "aadhaar": "in_.aadhaar",
    "bsn": "nl.bsn",
    "burgerservicenummer": "nl.bsn",
    "codice fiscale": "it.codicefiscale",
    "cpf": "br.cpf",
    "curp": "mx.curp",
    "dni": "es.dni",
    "nie": "es.nie",
    "idnr": "de.idnr",
    "steuer-id": "de.idnr",
    "nhs": "gb.nhs",
    "nir": "fr.nir",
    "pesel": "pl.pesel",
    "personnummer": "se.personnummer",
    "sin": "ca.sin",
    "social insurance": "ca.sin",
}


def require_stdnum() -> None:
    """Raise MissingExtra where python-stdnum is not installed."""
    if find_spec("stdnum") is None:
        raise MissingExtra("the type 'national_id'", "pii")


@cache
def _country(name: str) -> Any:
    require_stdnum()
    return import_module(f"stdnum.{name}")


def _is_national(match: re.Match[str]) -> bool:
    name = next(name for name in _NAMED if match[0].lower().startswith(name))
    return bool(_country(_NAMED[name]).is_valid(match["value"]))


NATIONAL_ID = Form(
    has_digit,
    re.compile(
        rf"\b(?:{'|'.join(_NAMED)})(?: (?:number|no\.?|is))?[:# ]{{1,3}}"
        r"(?P<value>[0-9A-Z](?:[-./ ]?[0-9A-Z]){6,19})(?![\w-])",
        re.ASCII | re.IGNORECASE,
    ),
    _is_national,
)
