"""The `streamgen` command. What a command does stands in the module that it imports when it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamgen import __version__
from streamgen.errors import StreamgenError

if TYPE_CHECKING:
    from streamgen.recipe import Recipe

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 usage or recipe, 3 stopped by a budget, 130 interrupted (3 and 130 resume)."
)

_RECIPE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_AMOUNT = click.FloatRange(min=0, min_open=True)
_VIEWS = ["records", "letters", "drops", "trials", "spend", "sessions"]
_GROUPS = ["stages", "models", "sources", "sinks", "metrics", "rewards", "agents"]
_overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set a value of the recipe, as JSON or plain text: stages.answer.temperature=0.5; may be repeated.",
)


_warm_start = click.option(
    "--warm-start", type=_DIRECTORY, help="Begin the controller with what the run in this directory has learned."
)


@contextmanager
def told() -> Iterator[None]:
    """Turn the errors that a user can act on into a message and their exit code."""
    try:
        yield
    except StreamgenError as error:
        from streamgen.masking import mask

        click.secho(f"error: {mask(str(error))}", fg="red", err=True)
        sys.exit(error.exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="streamgen")
def main() -> None:
    """Makes text data sets for training language models.

    A recipe (TOML, YAML or JSON) says which models to ask, through which stages the answers go, how many records to
    accept and what may be spent. Begin with `streamgen init`, look with `streamgen preview recipe.toml`, then
    `streamgen run recipe.toml`. A run that was stopped, in whatever way, goes on when the same command is given again.
    """


@main.command("run", epilog=EXIT_CODES, short_help="Make the data; given again, it goes on.")
@click.argument("recipe", type=_RECIPE)
@click.option("--out", type=_DIRECTORY, help="The run's directory; runs/<name> if not given. An old run goes on there.")
@click.option(
    "--accept", type=click.IntRange(min=0), help="How many records to accept, instead of the recipe's number."
)
@_warm_start
@_overrides
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens, to standard error.")
def run_command(
    recipe: Path,
    out: Path | None,
    accept: int | None,
    warm_start: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    verbose: bool,
) -> None:
    """Run RECIPE until its records are accepted, its source has ended or its budget is spent.

    Ctrl-C stops it gently: what is in flight is finished and kept. A second Ctrl-C stops at once. Either way the same
    command goes on later, and pays for no stored answer again.
    """
    with told():
        from streamgen.command_run import run_recipe

        loaded = _load(recipe, overrides, warm_start)
        sys.exit(run_recipe(loaded, out, accept, as_json=as_json, verbose=verbose))


@main.command(short_help="Check a recipe without running it.")
@click.argument("recipe", type=_RECIPE)
@_overrides
def validate(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check RECIPE without running it: names, types, columns, files, keys. Exits with 2 where something is wrong."""
    with told():
        from streamgen.command_run import describe

        click.echo(describe(_load(recipe, overrides)))


@main.command("check", short_help="Try out every endpoint of a recipe.")
@click.argument("recipe", type=_RECIPE)
@click.option(
    "--timeout", default=30.0, show_default=True, type=click.FloatRange(min=0, min_open=True), help="Seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on standard output.")
@_overrides
def check_command(recipe: Path, timeout: float, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Try out every endpoint of RECIPE with a handful of tiny calls, and say what to fix.

    Is it reachable, the key valid, the model known; how fast does it answer; which way of structured output, which
    limits, log-probabilities, embeddings, streaming has it. Exits with 1 where an endpoint cannot be used.
    """
    with told():
        from streamgen.command_check import check_recipe

        sys.exit(check_recipe(_load(recipe, overrides), timeout, as_json=as_json))


@main.command(short_help="Make and show a few records, keep nothing.")
@click.argument("recipe", type=_RECIPE)
@click.option("-n", "number", default=5, show_default=True, type=click.IntRange(min=1), help="How many records.")
@_overrides
def preview(recipe: Path, number: int, overrides: tuple[str, ...]) -> None:
    """Make a few records of RECIPE, show them with what was dropped, and keep nothing."""
    with told():
        from streamgen.command_run import preview_recipe

        sys.exit(preview_recipe(_load(recipe, overrides), number))


@main.command(short_help="Run a pilot; say what all of it will cost.", epilog=EXIT_CODES)
@click.argument("recipe", type=_RECIPE)
@click.option(
    "--tickets", default=20, show_default=True, type=click.IntRange(min=1), help="How many tickets the pilot takes."
)
@click.option("--out", type=_DIRECTORY, help="Keep the pilot there: `streamgen run RECIPE --out` the same goes on.")
@click.option(
    "--accept", type=click.IntRange(min=1), help="How many records to accept, instead of the recipe's number."
)
@_overrides
@click.option("--json", "as_json", is_flag=True, help="Print the estimate as JSON on standard output.")
def estimate(
    recipe: Path, tickets: int, out: Path | None, accept: int | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Run a few tickets of RECIPE for real, and say what all of it will cost and how long it will take.

    The pilot is paid for, within the recipe's budget. With --out nothing of it is lost: the run goes on from there.
    """
    with told():
        from streamgen.command_estimate import estimate_recipe

        sys.exit(estimate_recipe(_load(recipe, overrides), tickets, out, accept, as_json=as_json))


@main.command("tune", short_help="Find out which settings pay.", epilog=EXIT_CODES)
@click.argument("recipe", type=_RECIPE)
@click.option("--trials", type=click.IntRange(min=2), help="How many trials to learn from, instead of the recipe's.")
@click.option("--tickets", type=click.IntRange(min=1), help="How many tickets to learn from.")
@click.option("--minutes", type=_AMOUNT, help="How long it may take; a fifth is kept for running again.")
@click.option("--usd", type=_AMOUNT, help="What it may cost; a fifth is kept for running again.")
@click.option("--tokens", type=click.IntRange(min=1), help="How many tokens it may take; a fifth is kept likewise.")
@click.option(
    "--reruns", default=4, show_default=True, type=click.IntRange(min=0), help="Batches of what was chosen, run again."
)
@click.option("--out", type=_DIRECTORY, help="The run's directory; runs/<name>-tune if not given.")
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Write the tuned recipe there.")
@_warm_start
@_overrides
@click.option("--json", "as_json", is_flag=True, help="Print what was learned as JSON on standard output.")
def tune_command(
    recipe: Path,
    trials: int | None,
    tickets: int | None,
    minutes: float | None,
    usd: float | None,
    tokens: int | None,
    reruns: int,
    out: Path | None,
    write: Path | None,
    warm_start: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Spend a budget on learning which settings of RECIPE's [controller] pay, then run the chosen ones again.

    The best of many batches is the luckiest one too: what the chosen settings are worth tells only a batch that they
    were not chosen by. --write gives a recipe with these settings. Given again, it goes on.
    """
    with told():
        from streamgen.command_tune import tune_recipe
        from streamgen.llm.budget import Budget
        from streamgen.tune import Wish

        budget = Budget(usd=usd, tokens=tokens, minutes=minutes)
        wish = Wish(trials=trials, tickets=tickets, budget=budget, reruns=reruns)
        sys.exit(tune_recipe(_load(recipe, overrides, warm_start), out, wish, write, as_json=as_json))


_format_names = (
    "jsonl, parquet, csv, text, alpaca, sharegpt, chatml, openai; of TRL: language-modeling, prompt-completion, "
    "preference, unpaired-preference, each also with -conversational"
)


def _written_so(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how rows are written."""
    options = [
        click.option(
            "--out", required=True, type=click.Path(path_type=Path),
            help="The file to write: .jsonl, .csv, .txt (also .gz, .zst), .parquet; with --split or --folder a folder.",
        ),
        click.option("--meta", is_flag=True, help="Keep each record's provenance under `_meta`."),
        click.option("--prompt-column", help="The column with what is asked, where it has a name of its own."),
        click.option("--response-column", help="The column with the answer."),
        click.option("--text-column", help="The column with a whole text, for text and language-modeling."),
        click.option("--skip-unfit", is_flag=True, help="Leave out and count records that do not fit."),
        click.option("--split", metavar="NAME=SHARE,...", help="Write a folder of splits: train=0.9,test=0.1."),
        click.option("--stratify", metavar="COLUMN", help="Divide each value of COLUMN alike among the splits."),
        click.option(
            "--group-by", default="family", show_default=True, metavar="COLUMN",
            help="Keep in one split what has the same value, besides records of one family; none: not even those.",
        ),
        click.option("--shuffle", is_flag=True, help="Write in an order of chance."),
        click.option("--seed", default=0, show_default=True, help="Decides the splits and the order of chance."),
        click.option("--folder", is_flag=True, help="Write a folder for Hugging Face datasets, with a card."),
        click.option("--files", metavar="ENDING", help="How a folder's files end: jsonl, csv, parquet, jsonl.gz, ..."),
        click.option("--license", "license_", default="", help="The licence that a folder's card tells."),
        click.option(
            "--separator", default="\\n", show_default=True, help="What stands between the texts of a .txt file."
        ),
        click.option("--overwrite", is_flag=True, help="Replace an existing file, or a folder of an earlier export."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command(short_help="Write the records for a trainer.")
@click.argument("directory", type=_DIRECTORY)
@click.option("--format", "format_", required=True, help=f"{_format_names}.")
@_written_so
def export(directory: Path, format_: str, **how: Any) -> None:
    """Write the accepted records of the run in DIRECTORY in a format that trainers read. Also while it runs."""
    with told():
        from streamgen.command_export import export_run

        export_run(directory, format_, **how)


@main.command(short_help="Bring a data file into another format.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--from", "from_", help="The format that the rows are of; found out by the first row if not given.")
@click.option("--to", "to", required=True, help=f"{_format_names}.")
@_written_so
def convert(source: Path, from_: str | None, to: str, **how: Any) -> None:
    """Bring SOURCE, a file or folder of JSON, CSV, Parquet or text, into another format.

    With --to jsonl the rows become records again, as a run writes them.
    """
    with told():
        from streamgen.command_export import convert_file

        convert_file(source, from_, to, **how)


@main.command(short_help="Write an HTML page about a run.")
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The page to write; report.html in DIRECTORY if not given."
)
def report(directory: Path, out: Path | None) -> None:
    """Write a self-contained HTML page about the run in DIRECTORY: what was kept, dropped and why, spent, samples."""
    with told():
        from streamgen.report import write_report

        click.echo(f"report written to {write_report(directory, out)}")


@main.command(short_help="Show records, letters, drops, trials, spend, sessions.")
@click.argument("directory", type=_DIRECTORY)
@click.argument("what", default="records", type=click.Choice(_VIEWS))
@click.option("-n", "number", type=click.IntRange(min=1), help="How many rows; 10 if not given.")
@click.option("--where", metavar="COLUMN=VALUE", help="Only records that fit, as in label=greeting or _meta.trial=3.")
@click.option("--traceback", is_flag=True, help="Show dead letters with their tracebacks.")
@click.option("--trials", is_flag=True, help="The same as WHAT = trials; all of them where no terminal reads.")
@click.option("--best", is_flag=True, help="Trials by their rewards, the highest first.")
@click.option("--json", "as_json", is_flag=True, help="Print trials as JSON on standard output.")
def inspect(
    directory: Path,
    what: str,
    number: int | None,
    where: str | None,
    traceback: bool,
    trials: bool,
    best: bool,
    as_json: bool,
) -> None:
    """Show the records of the run in DIRECTORY, or its dead letters, drops, trials, spending or sessions.

    Also while it runs.
    """  # fmt: skip
    with told():
        from streamgen.command_inspect import inspect_run

        inspect_run(directory, "trials" if trials or best else what, number, where, traceback, best, as_json)


@main.command("measure", short_help="Measure any data file; several side by side.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--column", "columns", multiple=True, help="The column with the texts; repeated, they are joined.")
@click.option("--label", help="The column with the class of each row.")
@click.option("--metrics", metavar="A,B", help="Which metrics, instead of those for any texts: streamgen list metrics.")
@click.option("--reference", type=_RECIPE, help="A file of real rows to compare with: metrics similarity, fluency.")
@click.option("--reference-column", help="Its column with the texts, where it has another name.")
@click.option("--test", type=_RECIPE, help="A JSONL file of real, labelled rows to be told apart: metric tstr.")
@click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON on standard output.")
def measure_command(
    files: tuple[Path, ...],
    columns: tuple[str, ...],
    label: str | None,
    metrics: str | None,
    reference: Path | None,
    reference_column: str | None,
    test: Path | None,
    as_json: bool,
) -> None:
    """Measure the texts of each FILE, whoever made it: lengths, duplicates, diversity, readability, personal data.

    JSON lines, JSON, CSV, TSV, text (each also .gz and .zst), Parquet, Arrow, a folder of them as Hugging Face
    datasets lays it out, or a run's directory. Columns are chosen by their names where none is given. A file is read
    once, and memory does not grow with it.
    """
    with told():
        from streamgen.command_measure import measure_files
        from streamgen.measuring import Wish

        chosen = tuple(name for name in (metrics or "").replace(" ", "").split(",") if name)
        wish = Wish(
            columns=columns, label=label, metrics=chosen, reference=str(reference) if reference else None,
            reference_column=reference_column, test=str(test) if test else None,
        )  # fmt: skip
        measure_files(files, wish, as_json=as_json)


@main.command("list", short_help="Show what a recipe can name, and its settings.")
@click.argument("group", type=click.Choice(_GROUPS), default="stages")
@click.argument("name", required=False)
def list_command(group: str, name: str | None) -> None:
    """Show what a recipe can name in a group (stages if not given); with NAME what that one does and its settings."""
    with told():
        from rich.console import Console

        from streamgen.command_list import details, overview

        Console().print(details(group, name) if name else overview(group))


@main.group(short_help="List and fetch models that run here.")
def models() -> None:
    """The models that run on this machine, without a key and without a network."""


@models.command("list")
def models_list() -> None:
    """Show which models can be fetched and which are here."""
    from rich.console import Console

    from streamgen.command_models import table

    Console().print(table())


@models.command("pull")
@click.argument("name")
def models_pull(name: str) -> None:
    """Fetch the model NAME into the local store and verify it."""
    with told():
        from streamgen.command_models import pull_with_progress

        click.echo(str(pull_with_progress(name)))


@main.command(short_help="Write a first recipe.")
@click.argument("path", default="recipe.toml", type=_RECIPE)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def init(path: Path, overwrite: bool) -> None:
    """Write a commented recipe to PATH, ready to run on this machine."""
    with told():
        from streamgen.command_run import write_first_recipe

        click.echo(write_first_recipe(path, overwrite))


@main.command(short_help="Print a script for tab completion.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: add `eval "$(streamgen completion bash)"` to its start-up file."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(main, {}, "streamgen", "_STREAMGEN_COMPLETE").source())


def _load(path: Path, overrides: tuple[str, ...], warm_start: Path | None = None) -> Recipe:
    from streamgen.recipe import Recipe

    recipe = Recipe.load(path, overrides)
    return recipe if warm_start is None else recipe.with_warm_start(warm_start)
