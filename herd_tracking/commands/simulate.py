"""The command that makes toy events: ``simulate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from herd_tracking.events import TrackingError

if TYPE_CHECKING:
    from herd_tracking.simulation.knobs import Knobs


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("simulate")(simulate_command)


def show_knobs(wanted: bool) -> None:
    """Print all knobs and end, if ``wanted``."""
    if not wanted:
        return
    from dataclasses import asdict

    from herd_tracking.simulation.knobs import Knobs, meanings

    means = meanings()
    for name, value in asdict(Knobs()).items():
        typer.echo(f"{name} = {value:g}")
        if name in means:
            typer.echo(f"    {means[name]}")
    raise typer.Exit


def simulate_command(
    directory: Annotated[Path, typer.Argument(help="New directory for the dataset.")],
    events: Annotated[int, typer.Option("--events", "-n", help="How many.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 0,
    particles: Annotated[
        Literal["electron", "proton", "both"], typer.Option(help="With 'both' they take turns.")
    ] = "electron",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="By default one for each core; the events do not depend on it."),
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option(
            "--knob",
            "-k",
            metavar="NAME=NUMBER",
            help="Change a rate of the toy, such as efficiency=0.95; repeat.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset that is there.")] = False,
    _show_knobs: Annotated[
        bool,
        typer.Option("--show-knobs", callback=show_knobs, is_eager=True, help="Print all knobs, and end."),
    ] = False,
) -> None:
    """Simulate a dataset of toy events of the Fiber Tracker (not HERD's own simulation, which is not public)."""
    from herd_tracking.simulation.producing import simulate_dataset

    changed = changed_knobs(knob or [])
    simulate_dataset(directory, events, seed, particles, threads, knobs=changed, is_overwritten=overwrite)
    typer.echo(f"wrote {events:,} events to {directory}")


def changed_knobs(changes: list[str]) -> "Knobs":
    """Return `Knobs` with ``changes``, each NAME=NUMBER; TrackingError names what is none."""
    from dataclasses import fields

    from herd_tracking.simulation.knobs import Knobs

    types = {field.name: field.type for field in fields(Knobs)}
    values: dict[str, float] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in types:
            raise TrackingError(f"knob {name!r}: there is none of that name; allowed are {', '.join(types)}.")
        try:
            values[name] = int(text) if types[name] is int else float(text)
        except ValueError:
            raise TrackingError(f"knob {name}: {text!r} is no number; write {name}=NUMBER.") from None
    return Knobs(**values).checked()  # type: ignore[arg-type]
