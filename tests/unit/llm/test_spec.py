import msgspec
import pytest

from streamgen.errors import RecipeError
from streamgen.llm.limits import Limits
from streamgen.llm.openai import open_openai
from streamgen.llm.price import Price
from streamgen.llm.spec import LaneSpec, ModelSpec, resolve_headers, resolve_key

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


def test_each_endpoint_of_a_model_overrides_what_it_names() -> None:
    spec = ModelSpec(
        base_url="http://a/v1",
        model="m",
        api_key="env:A",
        headers={"X-Title": "t"},
        timeout_s=5.0,
        price=Price(input=1.0),
        endpoints=(
            LaneSpec(),
            LaneSpec(base_url="http://b/v1", headers={"X-Org": "o"}, limits=Limits(concurrency=3)),
            LaneSpec(api_key="env:B", model="n", price=Price(input=2.0)),
        ),
    )
    lanes = spec.lanes
    assert [lane.base_url for lane in lanes] == ["http://a/v1", "http://b/v1", "http://a/v1"]
    assert [lane.api_key for lane in lanes] == ["env:A", "env:A", "env:B"]
    assert [lane.model for lane in lanes] == ["m", "m", "n"]
    assert [lane.limits.concurrency for lane in lanes] == ["auto", 3, "auto"]
    assert lanes[1].headers == {"X-Title": "t", "X-Org": "o"}
    assert {lane.timeout_s for lane in lanes} == {5.0}
    assert spec.is_priced


def test_a_price_is_known_only_where_every_endpoint_has_one() -> None:
    lanes = (LaneSpec(base_url="http://a/v1", price=Price(input=1.0)), LaneSpec(base_url="http://b/v1"))
    assert not ModelSpec(endpoints=lanes).is_priced
    assert ModelSpec(endpoints=lanes, price=Price()).is_priced
    assert ModelSpec().lanes == (ModelSpec(),)


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        ([{"api_key": KEY}], r"environment variable.* at `\$\[...\].endpoints\[0\]`"),
        ([{"headers": {"X-Api-Key": KEY}}], "environment variable"),
        ([{"weight": 0}], r"endpoints\[0\].weight"),
        ([{"weight": float("inf")}], r"endpoints\[0\].weight"),
        ([{"wait": 1}], "wait"),
        ([{}, {"api_key": "env:B"}, {}], r"`endpoints\[2\]` is the same server and key as `endpoints\[0\]`"),
    ],
)
def test_endpoints_are_checked(endpoints: list[dict[str, object]], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message) as caught:
        msgspec.convert({"main": {"base_url": "http://a/v1", "endpoints": endpoints}}, dict[str, ModelSpec])
    assert KEY not in str(caught.value)


def test_how_to_call_reaches_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"stream": True, "timeout_s": 9, "first_byte_timeout_s": 2, "idle_timeout_s": 1, "proxy": "http://p:3128"}
    spec = msgspec.convert({"base_url": "http://a/v1", "model": "m", **fields}, ModelSpec)
    made: dict[str, object] = {}
    monkeypatch.setattr("streamgen.llm.openai.OpenAIModel", lambda *given, **named: made.update(named, given=given))
    open_openai(spec)
    assert made.pop("given") == ("http://a/v1", "m", None, 9, {})
    assert made == {"stream": True, "first_byte_timeout_s": 2, "idle_timeout_s": 1, "proxy": "http://p:3128"}


@pytest.mark.parametrize("name", ["timeout_s", "first_byte_timeout_s", "idle_timeout_s"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_is_longer_than_nothing(name: str, seconds: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert({name: seconds}, ModelSpec)


def test_a_proxys_password_stands_in_no_recipe() -> None:
    with pytest.raises(msgspec.ValidationError, match="env:MY_PROXY") as caught:
        msgspec.convert({"proxy": "http://me:hidden-word@p:3128"}, ModelSpec)
    assert "hidden-word" not in str(caught.value)
