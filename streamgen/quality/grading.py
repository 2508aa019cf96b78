"""One question to a judge, answered in structure, or why there is no usable answer: never a score of zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamgen.context import Context
from streamgen.llm.model import Message
from streamgen.llm.retry import PAID, CallError
from streamgen.llm.structured import Unfit
from streamgen.record import Value


async def graded(
    context: Context[Any],
    model: str,
    asked: Sequence[Message],
    schema: Mapping[str, Value],
    parameters: Mapping[str, Value],
) -> Mapping[str, Value] | str:
    """The judge's answer, which fits the schema, or in a sentence why it gave none, not even when asked again.

    Raises CallError where the call itself failed.
    """
    try:
        answer = await context.structured(model, asked, schema, **parameters)
    except Unfit as error:
        return str(error)
    except CallError as error:
        if error.kind not in PAID:
            raise
        return f"{error.kind} answer"
    found: Mapping[str, Value] = answer.value
    return found
