import msgspec
import pytest

from streamgen.errors import RecipeError
from streamgen.llm.openai import open_openai
from streamgen.llm.spec import ModelSpec, resolve_headers, resolve_key

KEY = "sk-verysecret1234567890"


@pytest.mark.parametrize(
    "entry", [{"api_key": KEY}, {"headers": {"X-Api-Key": KEY}}, {"headers": {"Authorization": KEY}}]
)
def test_a_literal_key_is_refused_and_not_repeated(entry: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"environment variable.* at `\$\[") as caught:
        msgspec.convert({"main": entry}, dict[str, ModelSpec])
    assert "secret" not in str(caught.value)


def test_a_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    assert resolve_key("env:SOME_KEY") == KEY
    assert resolve_key(None) is None
    assert resolve_headers({"X-Key": "env:SOME_KEY", "X-Title": "t"}) == {"X-Key": KEY, "X-Title": "t"}


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(RecipeError, match="SOME_KEY is not set"):
        resolve_key("env:SOME_KEY")


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="base_ulr"):
        msgspec.convert({"base_ulr": "http://x"}, ModelSpec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec(model="m"), "`base_url` is missing"),
        (ModelSpec(base_url="http://127.0.0.1/v1"), "`model` is missing"),
        (ModelSpec(base_url="127.0.0.1:8000/v1", model="m"), "no address"),
        (ModelSpec(base_url="ftp://host/v1", model="m"), "no address"),
        (ModelSpec(base_url="http://", model="m"), "no address"),
        (ModelSpec(base_url="http://[::1", model="m"), "no address"),
        (ModelSpec(base_url="http://host/v1", model="m", slots=4), "`slots` is for models that run here"),
    ],
)
def test_what_an_openai_model_needs_is_named(spec: ModelSpec, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        open_openai(spec)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(RecipeError, match="user or password") as caught:
        open_openai(ModelSpec(base_url="http://me:hidden-word@127.0.0.1:1/v1", model="m"))
    assert "hidden" not in str(caught.value)


def test_a_key_is_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "plain-secret")
    spec = ModelSpec(base_url="http://127.0.0.1:1/v1?k=query-secret", model="m", api_key="env:SOME_KEY")
    assert repr(open_openai(spec)) == "<OpenAIModel m at http://127.0.0.1:1/v1>"
