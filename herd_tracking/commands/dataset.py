"""The commands that describe a dataset and make one of files: ``info`` and ``import``."""

import json
from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from herd_tracking.events import TrackingError

_LABELS = {"size_mib": "size (MiB)"}


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("info")(info_command)
    app.command("import")(import_command)


def _layout(is_wanted: bool) -> None:
    if is_wanted:
        from herd_tracking.dataset import columns

        typer.echo((columns.__doc__ or "").replace("`", ""))
        typer.echo(fill(f"EVENT_COLUMNS are {', '.join(columns.EVENT_COLUMNS)}.", 110))
        raise typer.Exit


def info_command(
    directory: Annotated[Path, typer.Argument(help="Directory of a dataset.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Also look at each event: 4.3 million take a minute.")
    ] = False,
) -> None:
    """Say what a dataset holds, how it was made, and whether its files are whole."""
    from rich.console import Console
    from rich.table import Table

    from herd_tracking.dataset import Dataset

    dataset = Dataset.open(directory)
    if check:
        with Console(stderr=True).status(f"checking {len(dataset):,} events …"):
            dataset.check()
    described = dataset.describe()
    if as_json:
        typer.echo(json.dumps(described))
        return
    table = Table(show_header=False)
    for name, value in described.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {count:,}" for key, count in value.items())
        elif isinstance(value, list):
            text = ", ".join(map(str, value))
        elif isinstance(value, float):
            text = f"{value:,.1f}"
        elif isinstance(value, int) and "seed" not in name:
            text = f"{value:,}"
        else:
            text = "" if value is None else str(value)
        table.add_row(_LABELS.get(name, name.replace("_", " ")), text)
    console = Console()
    console.print(table)
    console.print(
        f"All files are whole, and all {len(dataset):,} events can be trained with."
        if check
        else "All files are whole; --check also looks at each event.",
        highlight=False,
    )


def import_command(
    sources: Annotated[list[Path], typer.Argument(help="Parquet (.parquet, .pq) or ROOT (.root) files.")],
    directory: Annotated[Path, typer.Argument(help="New directory for the dataset.")],
    tree: Annotated[
        str | None, typer.Option(help="Tree of the ROOT files; not needed if there is but one.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", "-n", metavar="COLUMN=NAME", help="How a column is called in the files; repeat."
        ),
    ] = None,
    leave_out_empty: Annotated[
        bool,
        typer.Option(help="Leave out events without hits or edges, and count them; else they are refused."),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset that is there.")] = False,
    layout: Annotated[
        bool, typer.Option("--layout", is_eager=True, callback=_layout, help="List the columns.")
    ] = False,
) -> None:
    """Make a dataset of events in files: a row for each event, lists for its hits; graphs are built anew."""
    from rich.console import Console

    from herd_tracking.dataset.importing import import_dataset

    made = import_dataset(
        sources,
        directory,
        tree=tree,
        names=names_of(name or []),
        leave_out_empty=leave_out_empty,
        is_overwritten=overwrite,
    )
    console = Console()
    if made.left_out:
        console.print(f"left out {made.left_out:,} events without hits or edges", highlight=False)
    console.print(f"wrote {len(made.dataset):,} events to {directory}", soft_wrap=True)


def names_of(given: list[str]) -> dict[str, str]:
    """Return column and name of each of ``given``, COLUMN=NAME; TrackingError for what is none."""
    names = {}
    for one in given:
        column, mark, name = one.partition("=")
        if not (mark and column and name):
            raise TrackingError(f"name: {one!r}; write COLUMN=NAME.")
        names[column] = name
    return names
