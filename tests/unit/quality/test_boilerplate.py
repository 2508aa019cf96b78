from __future__ import annotations

from pathlib import Path

import pytest
from judging import ODD, reason, reasons

from streamgen.context import StageContext
from streamgen.engine.stage import Drop
from streamgen.errors import RecipeError
from streamgen.quality.boilerplate import BoilerplateSettings, boilerplate
from streamgen.record import Record

SETTINGS = BoilerplateSettings(column="text")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I am sorry, I cannot comply with this.", "refusal"),
        ("Unfortunately I cannot provide such a list.", "refusal"),
        ("I can’t really assist you there.", "refusal"),
        ("I must decline.", "refusal"),
        ("That goes against my guidelines.", "refusal"),
        ("As an AI language model, I have no feelings.", "self_reference"),
        ("As a large language model I do not eat.", "self_reference"),
        ("I'm just an AI.", "self_reference"),
        ("I was trained by a company.", "self_reference"),
        ("Sure, here is a poem: roses are red", "preamble"),
        ("  **Certainly!** A poem follows", "preamble"),
        ("Here are three rivers:\nRhine", "preamble"),
        ("I'd be happy to explain.", "preamble"),
        ("Dear [Your Name], thank you", "placeholder"),
        ("Write to <insert address here> soon", "placeholder"),
        ("He said he was sorry that it rained.", None),
        ("The sure way to lose is to wait.", None),
        ("Here, in the north, it rains.", None),
        ("x[0] and <b>bold</b> and {yes}", None),
        ("Sorry seems to be the hardest word.", None),
        ("I cannot see the sea from here.", None),
    ],
)
def test_what_models_say_in_the_place_of_an_answer_is_dropped(text: str, why: str | None) -> None:
    assert reason(boilerplate, SETTINGS, text) == why


def test_what_stands_late_in_a_text_is_no_refusal() -> None:
    late = "word " * 60 + "I am sorry, but I cannot help."
    assert reasons(boilerplate, SETTINGS, [late, late[30:]]) == [None, "refusal"]
    assert reason(boilerplate, BoilerplateSettings(column="text", within=1000), late) == "refusal"


def test_only_the_chosen_rules_count() -> None:
    text = "Sure, here is it. I'm sorry, but I can't help."
    assert reason(boilerplate, BoilerplateSettings(column="text", rules=("refusal",)), text) == "refusal"
    assert reason(boilerplate, BoilerplateSettings(column="text", rules=("preamble",)), text) == "preamble"
    assert reason(boilerplate, BoilerplateSettings(column="text", rules=("placeholder",)), text) is None


@pytest.mark.parametrize(
    ("text", "most", "why"),
    [
        ("Name three long rivers of Asia", 0.5, "echo"),
        ("Name three long rivers of Asia: the Yangtze, the Yellow River, and the Mekong come first", 0.5, None),
        ("Name three long rivers of Asia: the Yangtze, the Yellow River, and the Mekong come first", 0.1, "echo"),
        ("Rhine", 0.0, None),
        ("", 0.0, None),
    ],
)
def test_an_answer_made_of_its_prompt_is_an_echo(text: str, most: float, why: str | None) -> None:
    settings = BoilerplateSettings(column="text", prompt="prompt", max_echo=most)
    record = Record("1", {"text": text, "prompt": "Please name three long rivers of Asia."})
    result = boilerplate(record, StageContext("stage", settings))
    assert result == (Drop(why) if why else record)
    assert settings.reads() == {"text", "prompt"}


def test_phrases_of_the_user_may_stand_nowhere(tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("\ufeffclick here\n\n--\nals Sprachmodell\n")
    settings = BoilerplateSettings(column="text", phrases=str(tmp_path / "phrases.txt"))
    settings.check()
    texts = ["word " * 500 + "CLICK, here!", "Als Sprachmodell weiß ich", "click there", "clicks here"]
    assert reasons(boilerplate, settings, texts) == ["phrase", "phrase", None, None]


@pytest.mark.parametrize(("content", "said"), [(b"--\n\n", "holds no words"), (b"\xff\xfe", "is no UTF-8 text")])
def test_a_file_without_phrases_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "phrases.txt").write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        BoilerplateSettings(column="text", phrases=str(tmp_path / "phrases.txt")).check()


def test_odd_and_huge_texts_are_ordinary() -> None:
    texts = [*ODD, "[your " * 300_000, "sorry " * 300_000, "here is " * 200_000]
    assert reasons(boilerplate, SETTINGS, texts)[: len(ODD)] == [None] * len(ODD)
