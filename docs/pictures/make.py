"""Draws docs/pictures/run.svg from a finished run of examples/intents: its summary (`run --json`) and its directory."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from streamgen.functions import find_function
from streamgen.present import summary_view
from streamgen.summary import Summary

ROOT = Path(__file__).parents[2]


def main(summary_file: str, directory: str) -> None:
    """Print what the terminal showed into a picture."""
    summary = msgspec.json.decode(Path(summary_file).read_bytes(), type=Summary)
    shown = msgspec.structs.replace(summary, directory="runs/intents")
    table = find_function("score:table", str(ROOT / "examples" / "intents"), "$.finish.function")
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(summary_view(shown))
    console.print(table(directory))
    command = "python -m streamgen run examples/intents/recipe.toml"
    console.save_svg(str(ROOT / "docs" / "pictures" / "run.svg"), title=command)


if __name__ == "__main__":
    main(*sys.argv[1:])
