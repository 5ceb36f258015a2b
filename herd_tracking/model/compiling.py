"""Fewer launches on a GPU: the network compiled by torch, and gradients replayed as one CUDA graph.

At 256 events a step's arithmetic takes about as long as launching its kernels one by one. Both ways out want batches of
one shape: the loader's node and edge budgets, filled with hits that count nothing. Not measured: no GPU was at hand.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from herd_tracking.batch import Batch
from herd_tracking.events import TrackingError
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.gradients import by_autograd, flat_gradients

WARM_UP_RUNS = (
    3  # before a capture, as torch's notes on CUDA graphs want: libraries allocate at their first use
)


def compiled(
    model: HitClassifier, *, dynamic: bool | None = None, backend: str = "inductor"
) -> Callable[[Batch], Tensor]:
    """Return ``model`` compiled without graph breaks; parameters are shared, the results agree to rounding.

    For batches of one fixed shape give ``dynamic=False``. On a CPU `accumulate_gradients` is faster.
    """
    return torch.compile(model, fullgraph=True, dynamic=dynamic, backend=backend)


class GraphedGradients:
    """The gradients of batches of one shape: loss and backward recorded once, then replayed by one launch.

    ``flat`` f32[parameters] is each parameter's ``grad`` (`flat_gradients`) and holds the gradients of the last batch
    alone. ``forward`` is the model or what `compiled` made of it. On a CPU the same steps run without a recording.
    """

    def __init__(
        self, model: HitClassifier, example: Batch, forward: Callable[[Batch], Tensor] | None = None
    ) -> None:
        if example.mask is None:
            raise TrackingError("batch: field mask is missing; batches of one shape come from a node budget")
        self.flat = flat_gradients(model)
        self._forward = forward or model
        self._batch = replace(example, **{name: value.clone() for name, value in _graph(example).items()})
        self._recording: torch.cuda.CUDAGraph | None = None
        if example.x.device.type == "cuda":
            self._recording, self._result = self._record()
        else:
            self._result = self._run()

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (summed loss, real hits) of ``batch``, both f32[], overwritten by the next call.

        TrackingError if a shape differs from that of the example.
        """
        own, new = _graph(self._batch), _graph(batch)
        for name, value in own.items():
            if name not in new or new[name].shape != value.shape or new[name].dtype != value.dtype:
                have = "missing" if name not in new else f"{new[name].dtype} {list(new[name].shape)}"
                raise TrackingError(
                    f"batch: field {name} is {have}, but {value.dtype} {list(value.shape)} was recorded;"
                    " use the same node and edge budgets throughout"
                )
        torch._foreach_copy_(list(own.values()), [new[name] for name in own])
        if self._recording is None:
            self._result = self._run()
        else:
            self._recording.replay()
        return self._result

    def _run(self) -> tuple[Tensor, Tensor]:
        self.flat.zero_()
        return by_autograd(self._forward, self._batch)

    def _record(self) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, Tensor]]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_RUNS):
                self._run()
        torch.cuda.current_stream().wait_stream(side)
        recording = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recording):
            result = self._run()
        return recording, result


def _graph(batch: Batch) -> dict[str, Tensor]:
    """The tensors of a batch that the network and the loss read."""
    names = ("x", "y", "rowptr", "src", "inverse_degree", "mask")
    return {name: value for name in names if (value := getattr(batch, name)) is not None}
