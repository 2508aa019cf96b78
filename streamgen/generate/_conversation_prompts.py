"""What the stage `conversation` tells the model that plays the user, as templates that a recipe can replace."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulator's prompts. `user` may insert `about` (who the user is and wants) and `end`, the word that ends the
    conversation; `begin` asks for the first message.
    """

    user: str = (
        "You play a person who writes to an assistant. {{ about }}\nWrite only the person's next message, in the "
        "person's own words, short, and about one thing. Never answer for the assistant. When the person has what they "
        "came for, write {{ end }}."
    )
    begin: str = "Write the first message."
    end: str = "[END]"

    def check(self) -> None:
        """Raise ValueError for a template that has an error, or inserts what there is not."""
        check_prompt("wording.user", self.user)
        check_prompt("wording.begin", self.begin)
        if unknown := sorted(compile_prompt(self.user).columns - {"about", "end"}):
            raise ValueError(f"wording.user: it inserts {unknown[0]!r}; there is about, end")
        if not self.end.strip():
            raise ValueError("wording.end: it must be a word that can stand in a message")


def as_the_user_sees_it(wording: Wording, about: str, turns: Sequence[Message]) -> list[Message]:
    """The conversation with the roles exchanged: what the assistant said is what the simulator answers."""
    system = compile_prompt(wording.user).render({"about": about, "end": wording.end})
    seen = [Message("system", system), Message("user", wording.begin)]
    return seen + [Message("assistant" if turn.role == "user" else "user", turn.content) for turn in turns]
