"""streamgen makes text data sets for training language models: a streaming engine over LLM endpoints.

>>> import streamgen
>>> streamgen.Record(columns={"text": "hello"})["text"]
'hello'

Names are loaded on first use, so that `import streamgen` costs a few milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamgen.context import Context as Context
    from streamgen.context import StageContext as StageContext
    from streamgen.engine.stage import Drop as Drop
    from streamgen.errors import StreamgenError as StreamgenError
    from streamgen.llm.model import Message as Message
    from streamgen.llm.model import Response as Response
    from streamgen.opening import open_run as open
    from streamgen.opening import run as run
    from streamgen.recipe import Recipe as Recipe
    from streamgen.record import Meta as Meta
    from streamgen.record import Record as Record
    from streamgen.runs import Run as Run
    from streamgen.settings import Settings as Settings

__version__ = "0.1.0"

_HOME = {
    "Context": "streamgen.context",
    "StageContext": "streamgen.context",
    "Drop": "streamgen.engine.stage",
    "StreamgenError": "streamgen.errors",
    "Message": "streamgen.llm.model",
    "Response": "streamgen.llm.model",
    "Recipe": "streamgen.recipe",
    "Settings": "streamgen.settings",
    "Meta": "streamgen.record",
    "Record": "streamgen.record",
    "Run": "streamgen.runs",
    "open": "streamgen.opening:open_run",
    "run": "streamgen.opening",
}
__all__ = [
    "Context",
    "Drop",
    "Message",
    "Meta",
    "Recipe",
    "Record",
    "Response",
    "Run",
    "Settings",
    "StageContext",
    "StreamgenError",
    "__version__",
    "open",
    "run",
]


def __getattr__(name: str) -> object:
    try:
        module, _, attribute = _HOME[name].partition(":")
    except KeyError:
        raise AttributeError(f"module 'streamgen' has no attribute {name!r}; it has {', '.join(__all__)}") from None
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
