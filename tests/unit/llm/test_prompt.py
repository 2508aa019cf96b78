import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streamgen.errors import RecipeError
from streamgen.llm.prompt import MAX_CHARACTERS, PromptError, compile_prompt

jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
COLUMNS = {"a": "Ä {{ b }}", "b_2": 7, "text": None, "loop": "x\r\ny", "dict": [1, "two"]}

pieces = st.one_of(
    st.sampled_from(["{{ a }}", "{{b_2}}", "{{  text }}", "{{ dict }}", "{{\na\t}}"]),
    st.sampled_from(["{", "}", "}}", "%}", "#}", "\n", "\r\n", "\r", " ", "{ a }", "%"]),
    st.text(max_size=8).filter(lambda text: "{" not in text),
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_a_plain_join_writes_what_jinja_writes(text: str) -> None:
    try:
        expected = jinja.from_string(text).render(COLUMNS)
    except Exception:  # e.g. "{" before an insertion
        with pytest.raises((RecipeError, PromptError)):
            compile_prompt(text).render(COLUMNS)
    else:
        assert compile_prompt(text).render(COLUMNS) == expected


def test_plain_templates_do_not_import_jinja() -> None:
    script = (
        "import sys; from streamgen.llm.prompt import compile_prompt\n"
        "assert compile_prompt('Say {{ word }}!').render({'word': 'hi'}) == 'Say hi!'\n"
        "assert 'jinja2' not in sys.modules\n"
        "compile_prompt('{% if word %}{{ word }}{% endif %}'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("text", ["{{ a }} {{ b }}", "{% if a %}{{ b }}{% endif %}", "{{ a | upper }}{{ b }}"])
def test_columns_are_the_names_that_a_template_reads(text: str) -> None:
    assert compile_prompt(text).columns == {"a", "b"}


def test_names_of_the_template_itself_are_no_columns() -> None:
    text = "{% for i in range(n) %}{% set x = i %}{{ loop.index }}{{ x }}{% endfor %}"
    assert compile_prompt(text).columns == {"n"}
    assert compile_prompt(text).render({"n": 2}) == "1021"


@pytest.mark.parametrize("text", ["{{ missing }}", "{{ missing | upper }}"])
def test_a_missing_column_is_named_with_those_that_are_there(text: str) -> None:
    with pytest.raises(PromptError, match=r"column 'missing'.*it has: a, b"):
        compile_prompt(text).render({"a": 1, "b": 2})


def test_a_missing_attribute_is_named() -> None:
    with pytest.raises(PromptError, match="nothere"):
        compile_prompt("{{ a.nothere }}").render({"a": {}})


def test_a_syntax_error_is_named_by_line() -> None:
    with pytest.raises(RecipeError, match="line 2"):
        compile_prompt("fine\n{% if %}")


def test_an_unknown_filter_is_a_recipe_error() -> None:
    with pytest.raises(RecipeError, match="nofilter"):
        compile_prompt("{{ a | nofilter }}")


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10000) %}{% for j in range(10000) %}12345678{% endfor %}{% endfor %}",
        "{{ 'a' * 200000000 }}",
        "{{ 200000000 * [1] }}",
        "{{ 9 ** 999999999 }}",
        "{{ range(100000) | list }}",
        "{{ a }}{{ a }}",
        "{{ a }}{{ a | upper }}",
    ],
)
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(PromptError, match=r"longer than|too large|at most"):
        compile_prompt(text).render({"a": "x" * (MAX_CHARACTERS // 2 + 1)})


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__.__mro__ }}", "{{ a.__init__.__globals__ }}", "{{ cycler }}", "{% include 'x' %}"]
)
def test_there_is_no_way_out_of_the_sandbox(text: str) -> None:
    with pytest.raises(PromptError):
        compile_prompt(text).render({"a": "x"})


def test_a_column_cannot_be_changed() -> None:
    numbers = [1]
    with pytest.raises(PromptError):
        compile_prompt("{{ numbers.append(2) }}").render({"numbers": numbers})
    assert numbers == [1]


def test_whatever_a_template_raises_is_a_prompt_error() -> None:
    with pytest.raises(PromptError, match="ZeroDivisionError"):
        compile_prompt("{{ 1 / a }}").render({"a": 0})


def test_a_template_is_compiled_once() -> None:
    assert compile_prompt("{{ a | lower }}") is compile_prompt("{{ a | lower }}")
