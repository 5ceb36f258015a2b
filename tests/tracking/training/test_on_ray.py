"""A training on the workers of a real Ray, one of which is killed, and one whose data vanishes."""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from typer.testing import CliRunner

from herd_tracking.cli import app
from herd_tracking.events import TrackingError
from herd_tracking.training import train
from herd_tracking.training.result import TrainingStopped

from .conftest import write_dataset

# Some ten processes are started, each of which takes seconds of a CPU.
pytestmark = pytest.mark.timeout(240)
ASKED = {"batch_events": 32, "warmup_steps": 5, "precision": "fp32", "report_steps": 2, "live": "none"}


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    """A Ray of this process alone, whatever clusters there are on this machine."""
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=80_000_000,
    )
    yield
    ray.shutdown()


def titled(title: str) -> list[int]:
    """The processes whose parents lead to this one and whose titles begin so."""
    parents, titles = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
            titles[int(path.parent.name)] = (path.parent / "cmdline").read_text()
        except OSError:
            continue

    def is_ours(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return [pid for pid, its in titles.items() if its.startswith(title) and is_ours(pid)]


def test_a_training_survives_its_workers_with_the_loss_of_one_alone(two_cpus, toy, tmp_path):
    killed: list[int] = []
    needless: list[int] = []
    reports: list[dict] = []

    def on_report(report: dict) -> None:
        reports.append(report)
        if report.get("step", 0) >= 12 and not killed:
            needless.extend(
                titled("ray::DatasetManager")
                + titled("ray::PreemptionWatcher")
                + titled("ray::PlacementGroupCleaner")
            )
            killed.append(titled("ray::RayTrainWorker")[0])
            os.kill(killed[0], signal.SIGKILL)

    result = train(
        toy,
        "deep",
        epochs=2,
        limit_events=320,
        workers=(1, 2),
        cpus_per_worker=1,
        directory=tmp_path / "together",
        checkpoint_seconds=0.0,
        on_report=on_report,
        **ASKED,
    )

    alone: list[dict] = []
    train(
        toy, "deep", epochs=2, limit_events=320, directory=tmp_path / "alone", on_report=alone.append, **ASKED
    )
    curves = [{one["step"]: one["loss"] for one in said if "loss" in one} for said in (reports, alone)]
    assert list(curves[0]) == list(curves[1])
    assert list(curves[0].values()) == pytest.approx(list(curves[1].values()), rel=2e-3)
    assert result.history[-1]["val_auc"] == pytest.approx(alone[-1]["val_auc"], abs=2e-3)
    assert killed
    assert not needless
    said = [one["message"] for one in reports if "message" in one]
    assert any("has ended" in one or "failed" in one for one in said)
    assert any("from epoch 2" in one for one in said)
    # Ray's own files are gone.
    assert sorted(path.name for path in (tmp_path / "together").iterdir()) == [
        "best.pt",
        "history.json",
        "last.pt",
    ]


def test_what_a_worker_cannot_mend_is_told_and_not_tried_again(two_cpus, tmp_path):
    dataset = write_dataset(tmp_path / "vanishing", 300)
    shard = dataset.directory / dataset.meta.shards[0].name
    reports: list[dict] = []

    def on_report(report: dict) -> None:
        reports.append(report)
        # The workers have not begun yet.
        if not (tmp_path / "elsewhere").exists():
            shard.rename(tmp_path / "elsewhere")

    with pytest.raises(TrackingError, match="shard-00000"):
        train(
            dataset,
            "deep",
            workers=1,
            cpus_per_worker=1,
            directory=tmp_path / "run",
            on_report=on_report,
            **ASKED,
        )

    assert not any("from its last checkpoint" in one.get("message", "") for one in reports)


def test_scaling_is_measured_from_the_command_line(two_cpus, toy, tmp_path):
    directory = tmp_path / "scaling"
    options = ["--cpus-per-worker", "1", "--batch-events", "16", "--limit-events", "200", "--preset", "deep"]
    command = ["scale", str(toy.directory), "-w", "2", *options, "--output", str(directory)]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    told = json.loads((directory / "scaling.json").read_text())
    assert [(one["kind"], one["workers"], one["batch_events"]) for one in told["points"]] == [
        ("strong", 2, 16),
        ("weak", 2, 32),
    ]
    for one in told["points"]:
        assert one["events_per_s"] > 0
        assert 0 < one["parts"]["exchange"] < one["parts"]["compute"] + one["parts"]["exchange"] <= 1
    assert (directory / "scaling.png").read_bytes().startswith(b"\x89PNG")
    # The trainings themselves leave nothing.
    assert sorted(path.name for path in directory.iterdir()) == ["scaling.json", "scaling.png"]
    assert f"wrote {directory / 'scaling.png'}" in done.output


@pytest.fixture
def one_cpu_left(two_cpus) -> Iterator[None]:
    """Somebody else holds one of the two CPUs."""
    other = ray.remote(num_cpus=1)(_Other).remote()
    ray.get(other.is_there.remote())
    yield
    ray.kill(other)


class _Other:
    def is_there(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("said", "states"),
    [
        pytest.param("Waiting for 2 workers", [], id="before-ray-has-a-controller"),
        pytest.param("Starting the processes", ["PENDING"], id="while-it-waits-for-workers"),
    ],
)
def test_an_interrupt_ends_a_training_that_has_no_workers(one_cpu_left, toy, tmp_path, said, states):
    interrupted: list[float] = []
    main = threading.main_thread().ident

    def interrupt() -> None:
        time.sleep(0.5)
        while groups() != states:
            time.sleep(0.1)
        interrupted.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    def on_report(report: dict) -> None:
        if report.get("message", "").startswith(said):
            threading.Thread(target=interrupt, daemon=True).start()

    with pytest.raises(TrainingStopped, match="nothing of it is kept"):
        train(toy, "deep", workers=2, cpus_per_worker=1, directory=tmp_path, on_report=on_report, **ASKED)

    # It was more than a minute while an end was asked of a controller that hears nothing.
    assert time.monotonic() - interrupted[0] < 40
    while titled("ray::TrainController"):
        assert time.monotonic() - interrupted[0] < 60
        time.sleep(0.1)
    # What it waited for would be kept from the next training until the notebook ends.
    assert groups() == []


def groups() -> list[str]:
    """The states of the placement groups that nobody has removed."""
    found = (group["state"] for group in ray.util.placement_group_table().values())
    return [state for state in found if state != "REMOVED"]
