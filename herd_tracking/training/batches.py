"""The batches of a worker: from where a training was interrupted, and made ahead of a GPU that would have to wait."""

import queue
import threading
from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from herd_tracking.batch import Batch
from herd_tracking.dataset import Dataset, Loader
from herd_tracking.events import TrackingError
from herd_tracking.training.padding import budget, padded
from herd_tracking.training.peers import Peers
from herd_tracking.training.settings import Settings

_AHEAD = 3
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
        batches = islice(self._loader, first, None)
        if not self._is_cuda:
            return batches
        return ahead(padded(batch, self._hits, self._edges) for batch in batches)


def ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield ``batches``; a thread makes up to `_AHEAD` of them in advance. Its errors are raised here."""
    made: queue.Queue[Batch | BaseException | None] = queue.Queue(_AHEAD)
    is_over = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not is_over.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for batch in batches:
                put(batch)
                if is_over.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=make, name="herd-batches", daemon=True).start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()


def check_labels(dataset: Dataset) -> None:
    """Raise TrackingError if the training or the validation split begins with hits of one class only."""
    for name in ("train", "validation"):
        y = dataset.events(dataset.split(name), _LOOKED_AT).y
        if y.min() == y.max():
            raise TrackingError(
                f"{dataset.directory}: field y: all hits of the first events of the split {name} are "
                f"{'signal (1)' if y.min() else 'background (0)'}; both classes are needed to train."
            )
