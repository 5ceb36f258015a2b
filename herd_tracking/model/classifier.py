"""The network: GraphSAGE layers over the hits of an event and a linear head that says signal or not."""

import math

import torch
from torch import Tensor, nn

from herd_tracking.batch import Batch
from herd_tracking.events import TrackingError
from herd_tracking.model.config import ModelConfig
from herd_tracking.model.kernels import Neighbours
from herd_tracking.model.layers import SageLayer
from herd_tracking.model.precision import Precision, dtype_of


class HitClassifier(nn.Module):
    """Logits of "this hit belongs to the primary track", hit by hit.

    ``convs.<i>`` are `SageLayer`, ``norms.<i>`` (if any) stand before layer i+1, the last before ``head``.
    ``precision`` "bf16" computes layers in bfloat16; parameters, head and loss stay fp32. It may be set at any time.
    """

    def __init__(self, config: ModelConfig, precision: Precision = "fp32") -> None:
        super().__init__()
        dtype_of(precision)
        self.config = config
        self.precision: Precision = precision
        inputs = [len(config.features)] + [config.hidden] * (config.layers - 1)
        self.convs = nn.ModuleList(SageLayer(width, config.hidden) for width in inputs)
        norms = config.layers if config.norm == "layer" else 0
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden) for _ in range(norms))
        self.head = nn.Linear(config.hidden, 1)
        if config.init == "he":
            self._init_he()

    def layers(self) -> list[SageLayer]:
        """Return the layers in order."""
        return [conv for conv in self.convs if isinstance(conv, SageLayer)]

    def layer_norms(self) -> list[nn.LayerNorm]:
        """Return the LayerNorms in order: one before each layer but the first, one before the head; or none."""
        return [norm for norm in self.norms if isinstance(norm, nn.LayerNorm)]

    def _init_he(self) -> None:
        """Keep the size of activations from layer to layer: a layer's inputs are both halves of [mean | x]."""
        for conv in self.layers():
            bound = math.sqrt(6 / (2 * conv.lin_l.in_features))
            for linear in (conv.lin_l, conv.lin_r):
                nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(conv.lin_l.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits f32[N]; TrackingError if ``batch.x`` has another number of columns than the features."""
        check_width(self, batch)
        dtype = dtype_of(self.precision)
        neighbours = Neighbours.of(batch, dtype)
        if self.config.norm == "layer":
            hidden = self._normed(batch.x.to(dtype), neighbours)
        else:
            hidden = self._plain(batch.x.to(dtype), neighbours)
        return nn.functional.linear(hidden.float(), self.head.weight, self.head.bias).squeeze(1)

    def _plain(self, x: Tensor, neighbours: Neighbours) -> Tensor:
        """Layer, ReLU and, with ``residual``, the way around both."""
        for number, conv in enumerate(self.layers()):
            out = conv(x, neighbours, relu=True)
            x = x + out if self.config.residual and number else out
        return x

    def _normed(self, x: Tensor, neighbours: Neighbours) -> Tensor:
        """LayerNorm, ReLU, layer, and the way around all three (PyG's DeepGCNLayer of the kind "res+")."""
        first, *others = self.layers()
        *norms, last = self.layer_norms()
        x = first(x, neighbours)
        for conv, norm in zip(others, norms, strict=True):
            x = x + conv(_activated(norm, x), neighbours)
        return _activated(last, x)


def _activated(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    weight, bias = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
    return torch.relu(nn.functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps))


def check_width(model: HitClassifier, batch: Batch) -> None:
    """Refuse a batch whose hits have another number of features than the model was made for."""
    have, want = batch.x.shape[1], len(model.config.features)
    if have != want:
        names = ", ".join(model.config.features)
        raise TrackingError(
            f"batch: field x has {have} features per hit, but the model was made for {want}: {names}"
        )
