"""The commands that train: ``train``, here or on the workers of a Ray cluster, and ``scale``, which measures that."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from herd_tracking.events import TrackingError

DatasetPath = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a dataset.")]
Preset = Annotated[str, typer.Option(help="slides or deep.")]
BatchEvents = Annotated[int, typer.Option(min=1, help="Events of one step, of all workers together.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Train on at most so many events.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16, or auto: bf16 where the machine has it.")]
Address = Annotated[
    str | None,
    typer.Option(help="Ray cluster, host:port; by default RAY_ADDRESS, or one on this machine."),
]
CpusPerWorker = Annotated[
    int | None, typer.Option(min=1, help="CPUs of a worker; by default what a node has.")
]
GpusPerWorker = Annotated[
    float | None, typer.Option(min=0, help="GPUs of a worker; by default 1 if there are any.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("train")(train_command)
    app.command("scale", context_settings={"allow_extra_args": True})(scale_command)


def train_command(
    dataset: DatasetPath,
    preset: Preset = "slides",
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the events, counted from the beginning.")
    ] = 10,
    batch_events: BatchEvents = 256,
    learning_rate: Annotated[float, typer.Option(help="Adam's learning rate.")] = 1e-3,
    warmup_steps: Annotated[
        int, typer.Option(min=0, help="Steps in which the learning rate grows to that.")
    ] = 200,
    precision: Precision = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better AUC.")
    ] = None,
    limit_events: Limit = None,
    workers: Annotated[
        str | None, typer.Option(help="Train on so many Ray workers: 4, or 1-4 for as many as there are.")
    ] = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Directory of the run; by default a new one below runs/."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that directory.")] = False,
    begin_from: Annotated[Path | None, typer.Option(help="Go on from a checkpoint of another run.")] = None,
    mlflow: Annotated[str | None, typer.Option(help="Log to this experiment of MLflow.")] = None,
) -> None:
    """Train the hit classifier; shows the curve's numbers while it does, and says where the checkpoints are."""
    from herd_tracking.training import train
    from herd_tracking.training.result import TrainingStopped

    if resume and begin_from:
        raise TrackingError("resume and begin-from: give one of them.")
    asked: dict[str, Any] = {
        "epochs": epochs,
        "batch_events": batch_events,
        "learning_rate": learning_rate,
        "warmup_steps": warmup_steps,
        "precision": precision,
        "seed": seed,
        "patience": patience,
        "limit_events": limit_events,
        "workers": workers_of(workers),
        "cpus_per_worker": cpus_per_worker,
        "gpus_per_worker": gpus_per_worker,
        "directory": directory,
        "resume": begin_from or resume,
        "mlflow": mlflow,
    }
    _use(address)
    try:
        result = train(dataset, preset, **asked)
    except TrainingStopped as stopped:
        said = str(stopped)
        if stopped.directory:
            said = (
                f"Stopped. The checkpoint is in {stopped.directory}; to go on, give the same command with "
                f"--output {stopped.directory} --resume."
            )
        typer.secho(said, fg="yellow", err=True)
        raise typer.Exit(130) from None
    except KeyboardInterrupt:
        typer.secho("Interrupted.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{result.summary}: {result.best_checkpoint}")


def scale_command(
    context: typer.Context,
    dataset: DatasetPath,
    workers: Annotated[
        list[int] | None,
        typer.Option(
            "--workers", "-w", min=1, metavar="N...", help="Numbers of workers, such as 1 2 4; 1 by default."
        ),
    ] = None,
    preset: Preset = "slides",
    batch_events: BatchEvents = 256,
    limit_events: Annotated[int, typer.Option(min=1, help="Events of an epoch with one worker.")] = 20_000,
    precision: Precision = "auto",
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for numbers and figure.")] = Path(
        "scaling"
    ),
) -> None:
    """Measure strong and weak scaling on the cluster: events/s, efficiency, time per epoch, where the time goes."""
    from rich.console import Console

    from herd_tracking.scaling import scale, table

    _use(address)
    scaling = scale(
        dataset,
        [*(workers or [1]), *further_numbers(context.args)],
        preset=preset,
        batch_events=batch_events,
        limit_events=limit_events,
        precision=precision,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        directory=output,
    )
    console = Console()
    console.print(table(scaling))
    for path in scaling.files:
        console.print(f"wrote {path}", soft_wrap=True)


def workers_of(text: str | None) -> int | tuple[int, int] | None:
    """Return the workers that ``text`` names: a number, or two with a hyphen. Raises TrackingError."""
    if text is None:
        return None
    parts = text.split("-")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if not len(numbers) == len(parts) <= 2 or not 1 <= numbers[0] <= numbers[-1]:
        raise TrackingError(f"workers: {text!r}; allowed are a number such as 4, or a range such as 1-4.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def further_numbers(words: list[str]) -> list[int]:
    """Return the numbers that follow the first one after ``--workers``. Raises TrackingError."""
    if wrong := [word for word in words if not word.isdecimal() or int(word) < 1]:
        raise TrackingError(f"workers: {wrong[0]!r}; allowed are numbers from 1 on.")
    return [int(word) for word in words]


def _use(address: str | None) -> None:
    """Let Ray look for a cluster at ``address``; the process ends with the command."""
    if address:
        os.environ["RAY_ADDRESS"] = address
