"""Solutions step by step, with the answer that most of them agree on.

Chain of thought (Wei et al. 2022, arXiv 2201.11903) writes the steps before the answer; self-consistency (Wang et al.
2022, arXiv 2203.11171, section 2) samples several solutions and takes the answer that most of them end with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._answers import answer_in, before_answer, normal
from streamgen.generate.calling import SamplingSettings, Share, answered, sampling
from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message, Response
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Record
from streamgen.text import text_of


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates. `ask` may insert `question` and `mark`, which stands before the answer."""

    system: str = "You solve problems and show your work."
    ask: str = (
        "{{ question }}\n\nWork it out one step at a time. When you are done, write the result alone on the last line, "
        "behind the word {{ mark }}"
    )
    mark: str = "Answer:"

    def check(self) -> None:
        """Raise ValueError for a template that has an error, or inserts what there is not."""
        check_prompt("wording.system", self.system)
        check_prompt("wording.ask", self.ask)
        if unknown := sorted(compile_prompt(self.ask).columns - {"question", "mark"}):
            raise ValueError(f"wording.ask: it inserts {unknown[0]!r}; there is mark, question")
        if not self.mark.strip():
            raise ValueError("wording.mark: it must be text that an answer can stand behind")


class ReasoningSettings(SamplingSettings, frozen=True, kw_only=True):
    """`question` is a template over the columns; the steps go to the column `trace`, the result to `answer`.

    Of up to `samples` solutions, one after the other, the answer wins that most of them end with; no more are asked for
    once it cannot be overtaken. It needs `agreement`, a share of the solutions. With a column `expected` the answer
    must be the same: as a number where both are one, else word by word. What a model thought before
    it spoke (`reasoning_content`) goes to the column `thinking`, where the endpoint tells it. `wording` holds the
    prompts.
    """

    question: str
    trace: str = "reasoning"
    answer: str = "answer"
    thinking: str = "thinking"
    samples: Annotated[int, Meta(ge=1, le=100)] = 1
    agreement: Share = 0.0
    expected: str | None = None
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for templates that cannot be right."""
        check_prompt("question", self.question)
        self.wording.check()
        if len({self.trace, self.answer, self.thinking}) < 3:
            raise ValueError("answer: `trace`, `answer` and `thinking` must be three different columns")

    def reads(self) -> frozenset[str]:
        """The columns of the question, and the expected answer's."""
        return compile_prompt(self.question).columns.union([self.expected] if self.expected else [])

    def writes(self) -> frozenset[str]:
        """Steps, answer, and what was thought before."""
        return frozenset({self.trace, self.answer, self.thinking})


class Solution(NamedTuple):
    """One way to an answer."""

    response: Response
    answer: str


async def reasoning(record: Record, context: Context[ReasoningSettings]) -> Result:
    """The record with the first solution that ends with the winning answer; its share of all is the stage's score.

    Drops: `no_answer` where no solution ends with one, `truncated` where all were cut before it, `no_agreement` and
    `wrong_answer`.
    """
    settings = context.settings
    question = compile_prompt(settings.question).render(record.columns)
    responses, solutions = await _solutions(question, context)
    if not solutions:
        return Drop("truncated" if all(each.finish_reason == "length" for each in responses) else "no_answer")
    votes = Counter(normal(solution.answer) for solution in solutions)
    winner, most = votes.most_common(1)[0]
    if most / len(responses) < settings.agreement:
        return Drop("no_agreement")
    if settings.expected is not None and winner != normal(text_of(record, settings.expected, context.stage)):
        return Drop("wrong_answer")
    chosen = next(solution for solution in solutions if normal(solution.answer) == winner)
    return _with(record, chosen, settings).scored(context.stage, most / len(responses))


async def _solutions(question: str, context: Context[ReasoningSettings]) -> tuple[list[Response], list[Solution]]:
    """All that was answered, and what of it ends with an answer."""
    settings, wording = context.settings, context.settings.wording
    asked = compile_prompt(wording.ask).render({"question": question, "mark": wording.mark})
    messages = [Message("system", compile_prompt(wording.system).render({})), Message("user", asked)]
    responses: list[Response] = []
    solutions: list[Solution] = []
    while len(responses) < settings.samples and not _is_decided(solutions, settings, len(responses)):
        responses.append(await answered(context.chat(settings.model, messages, **sampling(context))))
        if (answer := answer_in(responses[-1].text, wording.mark)) is not None:
            solutions.append(Solution(responses[-1], answer))
    return responses, solutions


def _is_decided(solutions: Sequence[Solution], settings: ReasoningSettings, asked: int) -> bool:
    """Whether no other answer can get as many votes as the first has; agreement is never lost by stopping here."""
    ranked = [count for _, count in Counter(normal(solution.answer) for solution in solutions).most_common(2)]
    left = settings.samples - asked
    return (
        bool(ranked)
        and ranked[0] > (ranked[1] if len(ranked) > 1 else 0) + left
        and (ranked[0] / settings.samples >= settings.agreement)
    )


def _with(record: Record, solution: Solution, settings: ReasoningSettings) -> Record:
    columns = {
        settings.trace: before_answer(solution.response.text, settings.wording.mark).strip(),
        settings.answer: solution.answer,
    }
    if solution.response.reasoning:
        columns[settings.thinking] = solution.response.reasoning.strip()
    return record.with_columns(columns)
