"""``train``: what a user calls, in a notebook or a script."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from herd_tracking.dataset import Dataset
from herd_tracking.live import live_view
from herd_tracking.training.checkpoint import LAST
from herd_tracking.training.job import Job, do
from herd_tracking.training.loop import STOPPED
from herd_tracking.training.resources import check_workers
from herd_tracking.training.result import TrainingStopped, TrainResult, result_of
from herd_tracking.training.run import check_directory
from herd_tracking.training.settings import Settings
from herd_tracking.training.telling import MlflowLog, Report, Telling

Workers = int | tuple[int, int] | None


def train(
    dataset: Dataset | str | Path,
    preset: str = "slides",
    *,
    epochs: int = 10,
    batch_events: int = 256,
    learning_rate: float = 1e-3,
    warmup_steps: int = 200,
    precision: str = "auto",
    seed: int = 0,
    patience: int | None = None,
    limit_events: int | None = None,
    workers: Workers = None,
    cpus_per_worker: int | None = None,
    gpus_per_worker: float | None = None,
    directory: str | Path | None = None,
    resume: bool | str | Path = False,
    report_steps: int = 10,
    checkpoint_seconds: float = 60.0,
    on_report: Callable[[Report], None] | None = None,
    mlflow: bool | str | None = None,
    live: str = "auto",
) -> TrainResult:
    """Train the hit classifier on the training split of ``dataset`` (a path or an opened one); return the result.

    ``workers``: None trains in this process; a number, or the least and the most, on workers of the attached Ray
    cluster (if there is none, of one on this machine). The loss does not depend on it. ``cpus_per_worker``: by default
    what a node has; ``gpus_per_worker``: 1 if nodes have GPUs. Workers must see ``dataset`` and ``directory`` under the
    same paths.

    ``directory`` (a new one below ``runs/`` by default) gets ``last.pt``, ``best.pt`` and ``history.json``. With
    ``resume=True`` the run there goes on, if there is one; ``resume=PATH`` goes on from a checkpoint of another run.
    ``epochs`` counts from the very beginning.

    ``on_report`` gets each report, a dict, while it trains: ``step``, ``loss``, ``events_per_s``, ``learning_rate``
    every ``report_steps`` steps; ``epoch``, ``train_loss``, ``val_loss``, ``val_auc`` after each epoch; ``message`` at
    times.
    ``live``: "notebook", "terminal", "none" or "auto". ``mlflow``: True, or the name of an experiment.

    The other arguments are those of `Settings`. An interrupt ends the step under way and writes a checkpoint first.
    Raises TrackingError for all that a user can mend, with what to do.
    """
    settings = Settings(
        preset=preset,
        epochs=epochs,
        batch_events=batch_events,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        precision=precision,
        seed=seed,
        patience=patience,
        limit_events=limit_events,
        report_steps=report_steps,
        checkpoint_seconds=checkpoint_seconds,
    )
    if workers is not None:
        check_workers(workers)  # before a directory is made for nothing
    opened = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    place = _directory(directory, preset)
    check_directory(place, resume is True)
    job = Job(
        settings,
        opened.directory.resolve(),
        place,
        None if isinstance(resume, bool) else Path(resume).resolve(),
    )
    view = live_view(live, f"Training preset {preset}")
    log = MlflowLog(mlflow, place.name, settings.to_dict()) if mlflow else None
    listeners = [view.report, *([on_report] if on_report else []), *([log] if log else [])]
    begun, is_good, said = time.monotonic(), False, "Failed."
    try:
        tell = Telling(*listeners)
        try:
            if workers is None:
                ended = _train_here(job, tell)
            else:
                from herd_tracking.training.cluster import train_on_cluster

                ended = train_on_cluster(job, workers, cpus_per_worker, gpus_per_worker, tell)
        except KeyboardInterrupt:
            # One that came before the training listened, or a second one.
            ended = STOPPED
        if ended == STOPPED:
            stopped = TrainingStopped(place if (place / LAST).exists() else None)
            said = str(stopped)
            raise stopped
        result = result_of(
            place, ended, time.monotonic() - begun, None if workers is None else _most(workers)
        )
        is_good, said = True, f"Done: {result.summary}."
        return result
    finally:
        view.finish(said)
        if log:
            log.finish(is_good)


def _train_here(job: Job, tell: Telling) -> str:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with _interrupts() as is_interrupted:
        return do(job, device=device, say=tell, wants_stop=is_interrupted)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt into an answer to "is it to stop?"; a second one interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, handler)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _directory(given: str | Path | None, preset: str) -> Path:
    """Return the absolute path of ``given``, or of a new directory that is named by the time."""
    if given is not None:
        return Path(given).expanduser().resolve()
    name = f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    place = Path("runs", name).resolve()
    number = 2
    while place.exists():
        place = place.with_name(f"{name}-{number}")
        number += 1
    return place


def _most(workers: Any) -> int:
    return max(workers) if isinstance(workers, tuple) else workers
