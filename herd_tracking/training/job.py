"""A training as it is handed to those who do it, and what each of them makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from herd_tracking.dataset import Dataset
from herd_tracking.events import TrackingError
from herd_tracking.model.precision import best_precision
from herd_tracking.training.batches import check_labels
from herd_tracking.training.checkpoint import LAST, find_checkpoint, read_checkpoint, remove_halves
from herd_tracking.training.loop import Loop, Report
from herd_tracking.training.peers import Peers
from herd_tracking.training.run import Run, latest
from herd_tracking.training.settings import Settings


@dataclass(frozen=True)
class Job:
    """``dataset`` and ``directory`` are absolute paths that all workers see. ``begin_from``: a checkpoint of another
    run that this one goes on from, if its own directory has none yet.
    """

    settings: Settings
    dataset: Path
    directory: Path
    begin_from: Path | None = None


def identity(dataset: Dataset) -> dict[str, Any]:
    """Return what tells a dataset from others, wherever it lies."""
    meta = dataset.meta
    return {
        "source": meta.source,
        "particles": meta.particles,
        "events": len(dataset),
        "seed": meta.seed,
        "split_seed": meta.split_seed,
        "geometry_hash": meta.geometry_hash,
    }


def do(
    job: Job,
    *,
    peers: Peers | None = None,
    device: torch.device | str = "cpu",
    say: Callable[[Report], None],
    wants_stop: Callable[[], bool],
) -> str:
    """Train until the end, from the newest checkpoint on; return how it ended. Raises TrackingError.

    Called by each worker at the same time; only the first one reads and writes the directory, says something, and
    needs ``say``.
    """
    peers = peers or Peers()
    place = torch.device(device)
    dataset = Dataset.open(job.dataset)
    run = Run.new(job.settings, identity(dataset), place)
    outcome = _outcome(lambda: _begin(job, dataset, run)) if peers.is_first else None
    # Also at the very beginning: it does not matter then whether all draw the same random numbers.
    outcome = peers.from_first(outcome)
    if isinstance(outcome, TrackingError):
        raise outcome
    if not peers.is_first:
        run.take(outcome, job.directory)
    run.model.precision = _precision(job.settings.precision, peers, place)
    if peers.is_first:
        say(_greeting(run, peers, place))
    return Loop(run, dataset, job.directory, peers=peers, device=place, say=say, wants_stop=wants_stop)()


def _begin(job: Job, dataset: Dataset, run: Run) -> dict[str, Any]:
    """Let ``run`` go on from its newest checkpoint, if it has one; return what the others need to be like it."""
    check_labels(dataset)
    remove_halves(job.directory)
    found, path = latest(job.directory), job.directory / LAST
    if found is None and job.begin_from is not None:
        path = find_checkpoint(job.begin_from, LAST)
        found = read_checkpoint(path)
    if found is not None:
        run.take(found, path)
    return run.content()


def _outcome(action: Callable[[], Any]) -> Any:
    """Return what ``action`` returns, or the TrackingError that it raises: to tell it to the others first."""
    try:
        return action()
    except TrackingError as error:
        return error


def _precision(wanted: str, peers: Peers, device: torch.device) -> Any:
    """bf16 only where all workers have it: the loss must not depend on who has which events."""
    if wanted != "auto":
        return wanted
    return "bf16" if peers.all_have(best_precision(device) == "bf16", device) else "fp32"


def _greeting(run: Run, peers: Peers, device: torch.device) -> Report:
    progress, settings = run.progress, run.settings
    on = "GPU" if device.type == "cuda" else "CPU"
    where = f"{peers.world} worker{'s' if peers.world > 1 else ''}"
    since = f", from epoch {progress.epoch + 1}, step {progress.step} on" if progress.step else ""
    return {
        "message": f"Training preset {settings.preset} on {where} ({on}, {run.model.precision}){since}.",
        "workers": peers.world,
        "epochs": settings.epochs,
        "precision": run.model.precision,
    }
