"""The command line `herd_tracking`: simulate, describe, import, train, scale, evaluate, report, display."""

import sys
from importlib import import_module

import typer

from herd_tracking.events import TrackingError

COMMANDS = ("simulate", "dataset", "train", "physics")
"""Modules of `herd_tracking.commands`; each adds its commands with ``register(app)``."""

app = typer.Typer(
    name="herd_tracking",
    help="Finds the primary particle's track in the HERD Fiber Tracker with a graph network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name in COMMANDS:
    import_module(f"herd_tracking.commands.{_name}").register(app)


def main() -> None:
    """Run the command line; what a user can mend is said in one sentence."""
    try:
        app()
    except TrackingError as error:
        typer.secho(f"herd_tracking: {error}", fg="red", err=True)
        sys.exit(1)
