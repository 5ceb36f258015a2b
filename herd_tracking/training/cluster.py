"""Trains on the workers of a Ray cluster, and stays interruptible: the driver's side."""

import logging
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
import ray.train.torch
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from herd_tracking.events import TrackingError
from herd_tracking.training.groups import give_back
from herd_tracking.training.job import Job
from herd_tracking.training.loop import STOPPED
from herd_tracking.training.mailbox import Mailbox
from herd_tracking.training.resources import check_workers, per_worker, room
from herd_tracking.training.telling import Report, Telling
from herd_tracking.training.watcher import Watcher
from herd_tracking.training.worker import OwnInterface, work

# What the names stand for depends on the environment, and type checkers see the older ones.
_ray_train: Any = ray.train

RESIZE_SECONDS = 30.0
"""How often a training looks for workers that have joined."""
_STOP_SECONDS = 60.0
_ABORT_SECONDS = 5.0
_CONTROLLER_SECONDS = 30.0
_READ_SECONDS = 10.0
_GIVE_BACK_SECONDS = 15.0
_RAY_TRAIN = {
    # How long Ray waits for as many workers as it has counted, before it counts again; a lost node counts for a while.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "10",
    # A process that looks for nodes about to be drained. Here a training goes on from its last checkpoint either way.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def train_on_cluster(job: Job, workers: Any, cpus: int | None, gpus: float | None, tell: Telling) -> str:
    """Train on ``workers`` workers, a number or (least, most); return how it ended. Raises TrackingError."""
    least, most = check_workers(workers)
    with connection(), _mark(job) as mark:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        wanted = per_worker(nodes, most, cpus, gpus)
        now = room(nodes, wanted)
        short = "" if now >= least else f"; the cluster has room for {now or 'none'}"
        tell({"message": f"Waiting for {least} worker{'s' if least > 1 else ''} of {_told(wanted)}{short} …"})
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        trainer = _Trainer(
            work,
            train_loop_config={
                "job": job,
                "mailbox": mailbox,
                "mark": mark,
                "cpus": wanted["CPU"],
                "uses_gpu": "GPU" in wanted,
            },
            scaling_config=_ray_train.ScalingConfig(
                num_workers=least if least == most else (least, most),
                use_gpu="GPU" in wanted,
                resources_per_worker=wanted,
                elastic_resize_monitor_interval_s=RESIZE_SECONDS,
            ),
            run_config=_ray_train.RunConfig(
                name=mark,
                storage_path=str(job.directory),
                # The mailbox decides when there is no use in trying again.
                failure_config=_ray_train.FailureConfig(max_failures=-1),
                callbacks=[Watcher(mailbox), OwnInterface()],
                logging_config=_ray_train.LoggingConfig(log_level="ERROR"),
            ),
        )
        return _Fit(trainer, mailbox, tell).run()


class _Trainer(_ray_train.torch.TorchTrainer):
    """Ray's own, without two actors: one splits Ray datasets, and there are none; for the other see `give_back`.

    Each process of Ray takes about 1 % of a core while it waits, and seconds of one to start.
    """

    def _create_default_callbacks(self) -> list[Any]:
        needless = (DatasetsCallback, PlacementGroupCleanerCallback)
        return [one for one in super()._create_default_callbacks() if not isinstance(one, needless)]


class _Fit:
    """Lets a trainer work in a thread, passes reports on from another, and waits so that interrupts are heard."""

    def __init__(self, trainer: Any, mailbox: Any, tell: Telling) -> None:
        self._trainer, self._mailbox, self._tell = trainer, mailbox, tell
        self._is_over = threading.Event()
        self._controller: Any = None
        self._has_controller = threading.Event()
        self._is_running = False
        self._gave_up: str | None = None
        self._ended: str | None = None
        self._error: str | None = None
        self._is_aborted = False
        self._fitting = threading.Thread(target=self._fit, name="herd-fit", daemon=True)
        self._is_read = threading.Event()

    def run(self) -> str:
        threading.Thread(target=self._read, name="herd-reports", daemon=True).start()
        self._fitting.start()
        try:
            # An interrupt that comes as no signal is heard between two waits.
            while not self._is_over.wait(1.0):
                pass
        except KeyboardInterrupt:
            self._stop()
        finally:
            self._close()
        if self._gave_up:
            raise TrackingError(self._gave_up)
        if self._error:
            raise TrackingError(f"training: Ray could not go on: {self._error}")
        return self._ended or STOPPED

    def _stop(self) -> None:
        """Ask the workers to write a checkpoint and to end; end them if they do not, or if there are none."""
        try:
            if self._is_running:
                self._tell({"message": "Stopping: the workers write a checkpoint …"})
                self._mailbox.stop.remote()
                self._is_over.wait(_STOP_SECONDS)
            else:
                self._tell({"message": "Stopping …"})
        finally:
            if not self._is_over.is_set():
                self._abort()

    def _close(self) -> None:
        """Let all reports arrive, and end the threads and the mailbox; leave nothing on the cluster."""
        self._mailbox.put.remote({"is_last": True})
        self._is_read.wait(_READ_SECONDS)
        self._fitting.join(_READ_SECONDS)
        ray.kill(self._mailbox)
        giving = threading.Thread(target=self._give_back, name="herd-give-back", daemon=True)
        giving.start()
        giving.join(_GIVE_BACK_SECONDS)

    def _give_back(self) -> None:
        # A head that is gone answers neither yes nor no, and has nothing to give back.
        with suppress(Exception):
            if self._controller is not None:
                give_back(self._controller)

    def _abort(self) -> None:
        """End the controller, and the workers with it."""
        self._is_aborted = True
        # Its process may be starting still: without an end it would start the workers later.
        if not self._has_controller.wait(_CONTROLLER_SECONDS):
            return
        # It ends itself before it can answer. While there are no workers it waits in a way that hears nothing.
        with suppress(ray.exceptions.RayError):
            ray.get(self._controller.abort.remote(), timeout=_ABORT_SECONDS)
        ray.kill(self._controller)

    def _fit(self) -> None:
        try:
            result = self._trainer.fit()
            self._ended = result.return_value or STOPPED
        except Exception as error:
            # An aborted controller ends in the middle of an answer.
            if not self._is_aborted:
                self._error = f"{type(error).__name__}: {error}"
        finally:
            self._is_over.set()

    def _read(self) -> None:
        while True:
            try:
                reports = ray.get(self._mailbox.take.remote())
            except Exception:
                return  # The mailbox is gone: so is the training.
            for report in reports:
                self._take(report)

    def _take(self, report: Report) -> None:
        if "controller" in report:
            self._controller = report["controller"]
            self._has_controller.set()
        elif "is_running" in report:
            self._is_running = report["is_running"]
        elif "gave_up" in report:
            self._gave_up = self._gave_up or report["gave_up"]
            self._abort()
            self._is_over.set()
        elif "is_last" in report:
            self._is_read.set()
        else:
            self._tell(report)


@contextmanager
def connection() -> Iterator[None]:
    """The cluster that this process is attached to; without one, that of `RAY_ADDRESS`, or one on this machine."""
    before = {name: os.environ.get(name) for name in _RAY_TRAIN}
    for name, value in _RAY_TRAIN.items():
        os.environ.setdefault(name, value)
    is_own = not ray.is_initialized()
    try:
        if is_own:
            ray.init(
                address=os.environ.get("RAY_ADDRESS", "local"),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        yield
    finally:
        if is_own:
            ray.shutdown()
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)


@contextmanager
def _mark(job: Job) -> Iterator[str]:
    """A directory in that of the job, by which workers know that they see the same; Ray puts its own files there."""
    name = f".ray-{uuid.uuid4().hex[:12]}"
    place = job.directory / name
    place.mkdir()
    try:
        yield name
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _told(wanted: dict[str, float]) -> str:
    names = {"CPU": "CPU", "GPU": "GPU"}
    return " and ".join(
        f"{wanted[key]:g} {name}{'s' if wanted[key] != 1 else ''}"
        for key, name in names.items()
        if key in wanted
    )
