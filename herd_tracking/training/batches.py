"""The batches of a worker, from where a training was interrupted, in one shape for a GPU."""

from collections.abc import Iterator

import torch

from herd_tracking.batch import Batch
from herd_tracking.dataset import Dataset, Loader
from herd_tracking.events import TrackingError
from herd_tracking.training.padding import budget, of_one_shape
from herd_tracking.training.peers import Peers
from herd_tracking.training.settings import Settings

_LOOKED_AT = 1000


class Batches:
    """The batches of the training split that this worker has, epoch by epoch, on ``device``."""

    def __init__(self, dataset: Dataset, settings: Settings, peers: Peers, device: torch.device) -> None:
        self._loader = Loader(
            dataset,
            "train",
            settings.batch_events,
            seed=settings.seed,
            rank=peers.rank,
            world=peers.world,
            limit=settings.limit_events,
            device=device,
        )
        self.events = self._loader.events
        self._is_cuda = device.type == "cuda"
        share = -(-settings.batch_events // peers.world)
        self._hits = budget(dataset.meta.hits / len(dataset), share)
        self._edges = budget(dataset.meta.edges / len(dataset), share)

    def __len__(self) -> int:
        return len(self._loader)

    def of_epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` from number ``first`` on."""
        self._loader.set_epoch(epoch)
        batches = self._loader.batches(first)
        if not self._is_cuda:
            return batches
        return (of_one_shape(batch, self._hits, self._edges) for batch in batches)


def check_labels(dataset: Dataset) -> None:
    """Raise TrackingError if the training or the validation split begins with hits of one class only."""
    for name in ("train", "validation"):
        y = dataset.events(dataset.split(name), _LOOKED_AT).y
        if y.min() == y.max():
            raise TrackingError(
                f"{dataset.directory}: field y: all hits of the first events of the split {name} are "
                f"{'signal (1)' if y.min() else 'background (0)'}; both classes are needed to train."
            )
