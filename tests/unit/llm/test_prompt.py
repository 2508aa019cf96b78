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
COLUMNS = {"a": "Ä {{ b }}", "b_2": 7, "text": True, "loop": "x\r\ny", "dict": [1, "two"]}

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


NS = "{% set ns = namespace(a='xx', l=[], n=0) %}"
SIXTY = "{% for i in range(60) %}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' | center(200000000) }}",
        "{{ 'x'.center(200000000) }}",
        "{{ 'x'.ljust(width) }}",
        "{{ '1'.zfill(200000000) }}",
        "{{ '%200000000d' % 1 }}",
        "{{ '%*d' % (200000000, 1) }}",
        "{{ '%200000000d' | format(1) }}",
        "{{ '{:200000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=200000000) }}",
        "{{ 'a\\tb'.expandtabs(200000000) }}",
        "{{ a.replace('', a) }}",
        "{{ a | replace('', a) }}",
        "{{ a.join(numbers) }}",
        "{{ numbers | join(a) }}",
        "{{ 'a\\nb' | indent(200000000) }}",
        "{{ 1.5 | round(200000000) }}",
        "{{ [1] | batch(200000000, 0) | list }}",
        "{{ [1] | slice(200000000) | list }}",
        "{{ {'a': 1} | tojson(indent=200000000) }}",
        NS + SIXTY + "{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        NS + SIXTY + "{% set ns.a = ns.a + ns.a %}{% endfor %}",
        NS + SIXTY + "{% set ns.a = (ns.a, ns.a) | join %}{% endfor %}",
        NS + SIXTY + "{% set ns.a = ns.a | tojson %}{% endfor %}",
        NS + SIXTY + "{% set ns.l = ns.l + ns.l + [1] %}{% endfor %}",
        NS + SIXTY + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        NS + SIXTY + "{% set ns.l = {1: ns.l, 2: ns.l} %}{% endfor %}{{ ns.l }}",
        NS + SIXTY + "{% set ns.a %}{{ ns.a }}{{ ns.a }}{% endset %}{% endfor %}",
        NS + "{% for i in range(10000) %}{% set ns.l = ns.l + [ns.a * 10000 ~ i] %}{% endfor %}",
        "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        "{% for i in numbers %}{% for j in numbers %}{% for k in numbers %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{% set x = f(n - 1) %}{% set y = f(n - 1) %}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_small_templates_do_not_make_large_prompts_or_take_long(text: str) -> None:
    columns = {"a": "x" * 5000, "numbers": ["1"] * 5000, "width": 10**9}
    with pytest.raises(PromptError, match=r"longer than|too large|at most|width of|RecursionError"):
        compile_prompt(text).render(columns)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ a | center(9) }}|{{ 'x'.center(3) }}", "  abc äß |" " x "),
        ("{{ '%05.2f %s' % (1.5, a) }} {{ '%d' | format(3) }} {{ '{:>4}{x}'.format(1, x=2) }}", "01.50 abc äß 3    12"),
        ("{{ a.replace('a', 'b') }}{{ a | replace('a', 'b', 1) }}", "bbc äßbbc äß"),
        ("{{ l | join(', ') }} {{ o | join('-', attribute='n') }} {{ ','.join(['a', 'b']) }}", "1, 2, x 1-2 a,b"),
        ("{{ a ~ 1 ~ l }}{{ a + a }}{{ 'ab' * 2 }}{{ [1] + [2] }}", "abc äß1[1, 2, 'x']abc äßabc äßabab[1, 2]"),
        ("{% for n in l %}{{ loop.index }}/{{ loop.length }} {{ ',' if not loop.last }}{% endfor %}", "1/3 ,2/3 ,3/3 "),
        ("{% for k, v in d.items() %}{{ k }}={{ v }}{% else %}none{% endfor %}", "k=v"),
        ("{% for n in l if n != 2 %}{{ n }}{% endfor %}{% for x in [] %}{% else %}none{% endfor %}", "1xnone"),
        ("{% for n in o recursive %}{{ n.n }}{{ loop(n.o) if n.o }}{% endfor %}", "12"),
        ("{% set x, y = 1, 2 %}{{ x }}{{ y }}{{ d | tojson }}{{ d | tojson(1) }}", '12{"k": "v"}{\n "k": "v"\n}'),
        ("{% set s %}{{ a }}!{% endset %}{{ s }}{{ s | upper }}{{ 'a\nb' | indent(2) }}", "abc äß!ABC ÄSS!a\n  b"),
        ("{% macro f(n) %}{{ n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(3) }}{{ 2.567 | round(1) }}", "32102.6"),
        ("{{ l | map('string') | map('upper') | list }}{{ (l | length, 1) | max }}", "['1', '2', 'X']3"),
        ("{{ n or '' }}{{ n | default('-', true) }}{% if n %}x{% endif %}{{ n is none }}", "-True"),
    ],
)  # fmt: skip
def test_ordinary_templates_are_what_they_are_in_jinja(text: str, made: str) -> None:
    columns = {"a": "abc äß", "l": [1, 2, "x"], "o": [{"n": 1}, {"n": 2}], "d": {"k": "v"}, "n": None}
    columns["o"][1]["o"] = []  # type: ignore[index,call-overload]
    columns["o"][0]["o"] = []  # type: ignore[index,call-overload]
    assert compile_prompt(text).render(columns) == made == jinja.from_string(text).render(columns)


@pytest.mark.parametrize(
    "text", ["{{ a }}{{ n }}", "{{ n | upper if 0 else n }}{{ a }}", "{% if 1 %}{{ n }}{% endif %}"]
)
def test_a_null_is_refused_like_a_missing_column(text: str) -> None:
    with pytest.raises(PromptError, match=r"inserts the column 'n', which is null; .*\{\{ n or \"\" \}\}"):
        compile_prompt(text).render({"a": "x", "n": None})


def test_a_null_inside_a_column_is_refused_too() -> None:
    with pytest.raises(PromptError, match="inserts a null"):
        compile_prompt("{{ a.b }}").render({"a": {"b": None}})


def test_each_rendering_has_an_allowance_of_its_own() -> None:
    prompt = compile_prompt("{% for i in range(10000) %}{% for j in range(60) %}{% endfor %}{% endfor %}{{ a }}")
    assert [prompt.render({"a": n}) for n in range(3)] == ["0", "1", "2"]


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
