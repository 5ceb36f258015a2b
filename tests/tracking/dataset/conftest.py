"""Factories: a dataset in a temporary directory, and events that a test may spoil."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from herd_tracking.dataset import Dataset, DatasetWriter
from herd_tracking.geometry import FIT
from herd_tracking.simulation import simulate

META = {"source": "toy", "seed": 5, "geometry_hash": FIT.hash}


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays gain nothing by threads, and lose where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def some_events():
    """1,500 simulated events."""
    return simulate(1500, seed=5)


@pytest.fixture
def write(tmp_path):
    """Factory: these events, written in shards of some, as a dataset that is opened."""

    def write_(events, shard_events=400, name="dataset"):
        from herd_tracking.dataset import writer

        usual, writer.EVENTS_PER_SHARD = writer.EVENTS_PER_SHARD, shard_events
        try:
            with DatasetWriter(tmp_path / name, META) as made:
                for first in range(0, len(events), 250):
                    made.append(events.take(first, min(first + 250, len(events))))
        finally:
            writer.EVENTS_PER_SHARD = usual
        return Dataset.open(tmp_path / name)

    return write_


@pytest.fixture
def spoiled(some_events):
    """Factory: ten events, one array of which is changed."""

    def spoil(**changes):
        few = some_events.take(0, 10)
        copies = {name: np.array(getattr(few, name)) for name in changes}
        for name, change in changes.items():
            changed = change(copies[name])
            copies[name] = copies[name] if changed is None else changed
        return replace(few, **copies)

    return spoil
