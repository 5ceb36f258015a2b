"""Datasets of toy events for trainings that take seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from herd_tracking.dataset import Dataset, DatasetWriter, Meta
from herd_tracking.geometry import FIT
from herd_tracking.simulation import simulate
from herd_tracking.training.job import Job
from herd_tracking.training.settings import Settings

SEED = 7
QUICK: dict[str, Any] = {
    "preset": "deep",
    "epochs": 2,
    "batch_events": 32,
    "warmup_steps": 5,
    "precision": "fp32",
    "limit_events": 320,
    "report_steps": 2,
}
"""Twenty steps in all."""


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def write_dataset(directory: Path, events: int, first_event: int = 0) -> Dataset:
    """``events`` toy events, a shard for each 2048 (a chunk of the simulation)."""
    with DatasetWriter(directory, Meta(source="toy", geometry_hash=FIT.hash, seed=SEED)) as writer:
        writer.append(simulate(events, SEED, first_event=first_event))
    return Dataset.open(directory)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1000 events, read only."""
    return write_dataset(tmp_path_factory.mktemp("toy") / "toy", 1000)


@pytest.fixture
def make_job(toy: Dataset, tmp_path: Path) -> Callable[..., Job]:
    """A quick job on `toy`; keywords change its settings."""

    def make(directory: str = "run", dataset: Dataset = toy, **changes: Any) -> Job:
        return Job(Settings(**{**QUICK, **changes}), dataset.directory, tmp_path / directory)

    return make


@pytest.fixture
def quick() -> dict[str, Any]:
    return dict(QUICK)
