"""Forms of secrets: private keys, JSON web tokens, keys of known services, values that are named a password."""

from __future__ import annotations

import re

from streamgen.privacy.form import Form, contains


def _is_secret(match: re.Match[str]) -> bool:
    """A named value counts where it has letters and digits: `password: required` is none."""
    value = match["value"] or "a1"  # the forms of services are certain
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


# RFC 7468; a key that was cut off before its end is a secret too.
PEM = Form(
    lambda text: "PRIVATE KEY" in text,
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]|-(?!----)){0,16384}(?:-----END [A-Z0-9 ]{0,60}-----)?"
    ),
)
# RFC 7519: the first two parts are JSON objects, which start with `{"`, in base64url.
JWT = Form(
    lambda text: "eyJ" in text,
    re.compile(r"(?<![\w-])eyJ[\w-]{8,4096}\.eyJ[\w-]{4,8192}\.[\w-]{0,1024}", re.ASCII),
)
_HINTS: tuple[str, ...] = (
    "akia",
    "asia",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat",
    "glpat",
    "xox",
    "aiza",
    "k_live",
    "k_test",
    "sk-",
    "hf_",
    "npm_",
    "pypi-",
)
_HINTS += ("key", "secret", "token", "passw", "pwd")
SECRET = Form(
    contains(*_HINTS),
    re.compile(
        r"(?<![\w-])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}"
        r"|xox[abprs]-[\w-]{10,250}|AIza[\w-]{35}|(?:sk|pk|rk)_(?:live|test)_\w{16,250}|sk-[\w-]{20,250}"
        r"|hf_[0-9A-Za-z]{30,64}|npm_[0-9A-Za-z]{36}|pypi-[\w-]{32,250})(?![\w-])"
        r"|(?i:api[ _-]?key|secret|token|password|passwd|pwd)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
        r"(?P<value>[^\s\"',;\[\]]{8,250})",
        re.ASCII,
    ),
    _is_secret,
)
