"""The command that describes a dataset: ``info``."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("info")(info_command)


def info_command(
    directory: Annotated[Path, typer.Argument(help="Directory of a dataset.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a dataset holds, how it was made, and whether its files are whole."""
    from rich.console import Console
    from rich.table import Table

    from herd_tracking.dataset import Dataset

    described = Dataset.open(directory).describe()
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
        table.add_row(name.replace("_", " "), text)
    Console().print(table)
