"""`streamgen list`: what recipes can name, and the settings of each."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamgen import registry
from streamgen.errors import StreamgenError
from streamgen.llm.spec import ModelSpec


def overview(group: str) -> RenderableType:
    """The names of a group, each with the first line that its code says of itself."""
    rows = Table("type", "what", title=group, title_justify="left", box=None, header_style="dim")
    for name in registry.names(group):
        rows.add_row(name, _first_line(group, name))
    return rows


def details(group: str, name: str) -> RenderableType:
    """What one of a group does, and its settings. Raises UnknownName."""
    factory = registry.find(group, name)
    settings = ModelSpec if group == "models" else registry.settings_type(factory)
    about = [inspect.getdoc(factory) or "", inspect.getdoc(settings) or "" if settings else "It has no settings."]
    rows = Table("setting", "type", "if not given", box=None, header_style="dim")
    for field in msgspec.structs.fields(settings) if settings else ():
        rows.add_row(field.encode_name, _type(field.type), _default(field))
    return Group(Text(f"{group[:-1]} {name}", "bold"), *(Text(text + "\n") for text in about if text), rows)


def _first_line(group: str, name: str) -> str:
    try:
        return (inspect.getdoc(registry.find(group, name)) or "").partition("\n")[0]
    except StreamgenError as error:
        return f"cannot be loaded: {error}"


def _type(annotation: Any) -> str:
    """The type as JSON knows it, with its bounds."""
    schema = msgspec.json.schema(annotation, schema_hook=lambda _: {})
    return _said(schema) or "any"


def _said(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(filter(None, map(_said, schema["anyOf"])))
    if "enum" in schema:
        return ", ".join(map(repr, schema["enum"]))
    if "$ref" in schema:
        return "table"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    said = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema]
    return " ".join([{"object": "table", "array": "list"}.get(kind := schema.get("type", ""), kind), *said])


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "" if default is None else str(msgspec.to_builtins(default, enc_hook=str))
