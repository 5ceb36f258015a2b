"""Random graphs in the form the network reads, with a hit that has no neighbours in each event."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from herd_tracking.batch import Batch
from herd_tracking.events import FEATURES


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def random_batch(events: int = 6, *, features: int = len(FEATURES), seed: int = 0, least: int = 30) -> Batch:
    """A batch of ``events`` events of ``least`` to 80 hits; labels follow a hit and its neighbours."""
    rng = np.random.default_rng(seed)
    hits = rng.integers(least, 81, events)
    node_ptr = np.concatenate(([0], np.cumsum(hits)))
    total = int(node_ptr[-1])
    adjacency = np.zeros((total, total), bool)
    for first, count in zip(node_ptr[:-1], hits, strict=True):
        some = rng.random((count, count)) < 5.6 / count / 2
        some[-1] = some[:, -1] = False
        adjacency[first : first + count, first : first + count] = (some | some.T) & ~np.eye(count, dtype=bool)
    to, source = np.nonzero(adjacency)
    degree = adjacency.sum(1)
    x = rng.standard_normal((total, features)).astype(np.float32)
    mean = adjacency @ x[:, 0] / np.maximum(degree, 1)
    assert to.size == degree.sum()
    return Batch(
        x=torch.from_numpy(x),
        y=torch.from_numpy((mean + 0.5 * x[:, -1] > 0.4).astype(np.float32)),
        rowptr=torch.from_numpy(np.concatenate(([0], np.cumsum(degree))).astype(np.int32)),
        src=torch.from_numpy(source.astype(np.int32)),
        inverse_degree=torch.from_numpy(
            np.where(degree > 0, 1 / np.maximum(degree, 1), 0).astype(np.float32)
        ),
        node_ptr=torch.from_numpy(node_ptr),
        event=torch.arange(events),
    )


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    return random_batch
