"""Which way the calls go: direct, or through a proxy that the recipe or the environment names."""

import pytest

from streamgen.errors import RecipeError
from streamgen.llm.proxy import proxy_for

API = "https://api.example.com/v1"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_without_one_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert proxy_for(API, None) is None


def test_the_environment_decides_where_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(API, "env") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://me:word@proxy:3128")
    monkeypatch.setenv("HTTP_PROXY", "other:80")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.local")
    assert proxy_for(API, "env") == "http://me:word@proxy:3128"
    assert proxy_for("http://api.example.com/v1", "env") == "http://other:80"
    assert proxy_for("http://127.0.0.1:8000/v1", "env") is None
    assert proxy_for("https://gpu.local/v1", "env") is None


def test_an_address_or_a_variable_that_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PROXY", "http://me:word@proxy:3128")
    assert proxy_for(API, "http://proxy:3128") == "http://proxy:3128"
    assert proxy_for(API, "env:MY_PROXY") == "http://me:word@proxy:3128"


@pytest.mark.parametrize(
    "proxy", ["", "socks5://me:word@proxy:1080", "http://", "http://proxy:word", "env:NOT_SET_AT_ALL"]
)
def test_what_is_none_is_refused_without_being_repeated(proxy: str) -> None:
    with pytest.raises(RecipeError) as caught:
        proxy_for(API, proxy)
    assert "word" not in str(caught.value)
