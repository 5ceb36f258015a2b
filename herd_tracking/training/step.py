"""One step of the training: gradients of this worker's share, their sum over all workers, Adam."""

import torch

from herd_tracking.batch import Batch
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.compiling import GraphedGradients
from herd_tracking.model.gradients import accumulate_gradients, flat_gradients
from herd_tracking.training.clock import Clock
from herd_tracking.training.peers import Peers


def flat_parameters(model: HitClassifier) -> torch.nn.Parameter:
    """Return f32[parameters] whose parts are from now on the parameters of ``model``, in their order.

    Adam is then one kernel over one tensor: on a GPU one launch, and on a busy CPU one wait for all threads, not sixty.
    """
    parameters = list(model.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.data = part.view_as(parameter)
    return torch.nn.Parameter(flat)


def new_optimizer(model: HitClassifier, learning_rate: float) -> torch.optim.Adam:
    """Return Adam for all parameters of ``model`` as one; `Step` gives it the gradients."""
    return torch.optim.Adam([flat_parameters(model)], lr=learning_rate, fused=True)


class Step:
    """Does steps. The loss is the mean over the hits of all workers, so it does not matter who has which events."""

    def __init__(
        self, model: HitClassifier, optimizer: torch.optim.Optimizer, peers: Peers, clock: Clock
    ) -> None:
        self.model, self._optimizer, self._peers, self._clock = model, optimizer, peers, clock
        self._graphed: GraphedGradients | None = None
        self.share_loss = torch.zeros(())
        """The loss f32[] that this worker summed in the last step; not finite, either, if a gradient is not."""
        self._take(flat_gradients(model))

    def _take(self, flat: torch.Tensor) -> None:
        """Let ``flat`` be the gradients of all parameters."""
        self._flat = flat
        self._optimizer.param_groups[0]["params"][0].grad = flat

    def __call__(self, batch: Batch, learning_rate: float, wants_stop: bool = False) -> torch.Tensor:
        """Do a step with this worker's ``batch``; return f32[3]: summed loss, hits, workers that want to stop, of all.

        Nothing waits for a GPU. A loss that is not finite leaves the weights as they are, on a CPU; on a GPU it is
        known too late for that, and whoever looks at the sums must not write a checkpoint then.
        """
        total, hits = self._gradients(batch)
        # Nothing, but for a gradient that is infinite or no number: that makes the loss one, too.
        self.share_loss = total.float() + 0 * self._flat.sum()
        sums = torch.stack(
            (self.share_loss, hits.float(), torch.full_like(hits, float(wants_stop), dtype=torch.float32))
        )
        self._clock.lap("compute")
        self._peers.add_up(self._flat, sums)
        self._clock.lap("exchange")
        self._flat.div_(sums[1].clamp(min=1))
        self._optimizer.param_groups[0]["lr"] = learning_rate
        if sums.is_cuda or torch.isfinite(sums[0]):
            self._optimizer.step()
        self._clock.lap("compute")
        return sums

    def _gradients(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Batches of one shape on a GPU are replayed; all others are computed as they are."""
        if batch.mask is not None and batch.x.is_cuda:
            if self._graphed is None:
                self._graphed = GraphedGradients(self.model, batch)
                self._take(self._graphed.flat)
            return self._graphed(batch)
        self._flat.zero_()
        return accumulate_gradients(self.model, batch)
