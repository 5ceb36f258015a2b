"""The commands that say how well tracks are found: ``evaluate``, ``report`` and ``display``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from herd_tracking.events import Events, TrackingError

DatasetPath = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a dataset.")]
Split = Annotated[str, typer.Option(help="train, validation or test: which part of the dataset.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many events.")]
Checkpoint = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoint", "-c", metavar="[NAME=]PATH", help="A trained model; repeat to compare several."
    ),
]

OutputDirectory = Annotated[Path, typer.Option("--output", "-o", help="Directory for numbers and report.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("evaluate")(evaluate_command)
    app.command("report")(report_command)
    app.command("display")(display_command)


def evaluate_command(
    dataset: DatasetPath,
    checkpoint: Checkpoint = None,
    split: Split = "test",
    limit: Limit = None,
    threshold: Annotated[
        str, typer.Option(help="Score from which on a hit is kept, or such as '98% efficiency'.")
    ] = "98% efficiency",
    fit_threshold: Annotated[
        str, typer.Option(help="The same for the fit, which takes more, weighted by score.")
    ] = "99.5% efficiency",
    output: OutputDirectory = Path("evaluation"),
    history: Annotated[
        Path | None,
        typer.Option(help="JSON of the training's epochs, for its curves; the run's own by default."),
    ] = None,
    report: Annotated[bool, typer.Option(help="Also write the report (HTML and PDF).")] = True,
) -> None:
    """Measure models and baselines on a dataset: efficiency, purity, tracks, pointing, each with its interval."""
    from rich.console import Console

    from herd_tracking.physics.baselines import baselines
    from herd_tracking.physics.evaluation import evaluate
    from herd_tracking.physics.report import write_report

    console = Console()
    models = named_checkpoints(checkpoint or [])
    history = history or history_of(models)
    past = read_history(history) if history else None
    opened, events, geometry = _opened(dataset, split, limit)
    scores: dict[str, Any] = {}
    with console.status("scoring hits …") as status:
        for name, path in models:
            status.update(f"scoring hits with {name} …")
            scores[name] = _score(opened, path, split, limit)
        status.update("making baselines …")
        scores |= baselines(events, geometry)
        status.update(f"fitting tracks of {len(events):,} events …")
        about = {"data": f"{dataset}, {split} split"}
        evaluation = evaluate(
            events, scores, threshold, fit_threshold=fit_threshold, geometry=geometry, about=about
        )
        evaluation.save(output / "evaluation.json")
        written = [output / "evaluation.json"]
        if report:
            status.update("drawing the report …")
            written += write_report(evaluation, output, past, geometry=geometry)
    console.print(_table(evaluation))
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)


def report_command(
    evaluation: Annotated[
        Path, typer.Argument(metavar="EVALUATION", help="evaluation.json, or its directory.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Directory; by default the same.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="JSON of the training's epochs, for its curves.")
    ] = None,
) -> None:
    """Write the report of an evaluation again, as HTML and PDF."""
    from herd_tracking.physics.report import write_report
    from herd_tracking.physics.saved import load_evaluation

    path = evaluation / "evaluation.json" if evaluation.is_dir() else evaluation
    past = read_history(history) if history else None
    for written in write_report(load_evaluation(path), output or path.parent, past):
        typer.echo(f"wrote {written}")


def display_command(
    dataset: DatasetPath,
    index: Annotated[int, typer.Argument(help="Which event of the split, from 0.")] = 0,
    checkpoint: Checkpoint = None,
    split: Split = "test",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Score from which on a hit is fitted.")
    ] = 0.1,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page (.html) or a picture (.png, .pdf, .svg).")
    ] = Path("event.html"),
    truth: Annotated[bool, typer.Option(help="Show what made each hit, and the true line.")] = True,
    dark: Annotated[bool, typer.Option(help="On a dark ground (page only).")] = False,
) -> None:
    """Draw one event: two views and three dimensions, hits by truth or score, fitted and true line."""
    from herd_tracking.physics.display import event_display, save_display
    from herd_tracking.physics.picture import event_picture

    if output.suffix not in (".html", ".png", ".pdf", ".svg"):
        raise TrackingError(f"output: {output}; allowed endings are .html, .png, .pdf and .svg.")
    if index < 0:
        raise TrackingError(f"event index {index}: allowed are 0 and more.")
    opened, events, geometry = _opened(dataset, split, index + 1)
    models = named_checkpoints(checkpoint or [])
    if len(models) > 1:
        raise TrackingError(f"checkpoint: {len(models)} given; a display shows the scores of one.")
    scores = _score(opened, models[0][1], split, index + 1) if models else None
    shown = {"scores": scores, "truth": truth, "threshold": threshold, "geometry": geometry}
    if output.suffix == ".html":
        save_display(event_display(events, index, **shown, theme="dark" if dark else "light"), output)
    else:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            event_picture(events, index, **shown).savefig(output, dpi=160)
        except OSError as error:
            raise TrackingError(f"{output}: cannot be written ({error}). Choose another place.") from error
    typer.echo(f"wrote {output}")


def named_checkpoints(given: list[str]) -> list[tuple[str, Path]]:
    """Return name and path of each of ``given``, ``NAME=PATH`` or a path, which is named as its run; no name twice."""
    found: list[tuple[str, Path]] = []
    for one in given:
        name, _, path = one.rpartition("=")
        place = Path(path)
        if not name:
            name = place.parent.name if place.parent.name and place.is_file() else place.name
        if name in dict(found):
            raise TrackingError(f"checkpoint: two are named '{name}'; name them apart, as NAME=PATH.")
        found.append((name, place))
    return found


def history_of(models: list[tuple[str, Path]]) -> Path | None:
    """Return where the run of the only one of ``models`` wrote its epochs; None for several, or where there is none."""
    if len(models) != 1:
        return None
    path = models[0][1]
    found = (path if path.is_dir() else path.parent) / "history.json"
    return found if found.is_file() else None


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the epochs in ``path``: a JSON list, or one JSON object in each line."""
    try:
        text = path.read_text(encoding="utf-8")
        lines = [one for one in text.splitlines() if one]
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(one) for one in lines]
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"{path}: no training history ({error}); allowed are JSON lists and JSON lines."
        ) from error
    if not all(isinstance(one, dict) for one in found):
        raise TrackingError(f"{path}: no training history; each entry must be an object with an 'epoch'.")
    return found


def _opened(path: Path, split: str, limit: int | None) -> tuple[Any, Events, Any]:
    from herd_tracking.dataset import Dataset
    from herd_tracking.geometry import FIT

    dataset = Dataset.open(path)
    if dataset.geometry_hash != FIT.hash:
        raise TrackingError(
            f"{path}: made with geometry {dataset.geometry_hash}, this version has {FIT.hash}. "
            f"Make the dataset again, or use the version that made it."
        )
    return dataset, dataset.events(dataset.split(split), limit), FIT


def _score(dataset: Any, path: Path, split: str, limit: int | None) -> Any:
    from herd_tracking.training import score

    return score(dataset, path, split, limit)


def _table(evaluation: Any) -> Any:
    from rich import box
    from rich.table import Table

    from herd_tracking.physics.page import table_rows

    about = evaluation.about
    title = f"{about['events']:,} events, {about['hits']:,} hits; intervals {100 * about['confidence']:.3g} %"
    table = Table(
        "metric",
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in evaluation.methods:
        table.add_column(name, justify="right")
    for row in table_rows(evaluation):
        label = f"{row['label']} ({row['unit']})" if row["unit"] else row["label"]
        table.add_row(label, *(f"{value} {interval}".strip() for value, interval in row["cells"]))
    return table
