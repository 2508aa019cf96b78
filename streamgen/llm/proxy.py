"""Which proxy the calls to an address go through."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from streamgen.errors import RecipeError
from streamgen.llm.spec import resolve_key


def proxy_for(base_url: str, proxy: str | None) -> str | None:
    """The proxy's address, None for a direct way.

    `proxy` is "env" (HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide), "env:NAME" for a variable that holds an address, or
    an address. Raises RecipeError for one that is none; asked once, when a model is opened, since looking the
    environment up costs as much as a call.
    """
    if proxy == "env":
        found = _of_environment(base_url)
        return _checked(found) if found else None
    if proxy is None:
        return None
    return _checked((resolve_key(proxy, "proxy") or "") if proxy.startswith("env:") else proxy)


def _of_environment(base_url: str) -> str | None:
    address = urlsplit(base_url)
    known = getproxies_environment()
    if proxy_bypass(address.netloc.rpartition("@")[2]):
        return None
    return known.get(address.scheme) or known.get("all")


def _checked(proxy: str) -> str:
    """The message repeats nothing of what stands there, which may be a password."""
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        is_one = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise RecipeError('`proxy` must be "env", "env:NAME" or an address as http://host:port', "proxy")
    return address.geturl()
