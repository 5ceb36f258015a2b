"""Fewer launches on a GPU: the network compiled by torch, and whole steps replayed as CUDA graphs."""

from typing import Any

import torch

from herd_tracking.model.classifier import HitClassifier


def compiled(model: HitClassifier, *, dynamic: bool | None = None) -> Any:
    """Return ``model`` compiled without graph breaks; parameters are shared, the results agree to rounding.

    For batches of one fixed shape give ``dynamic=False``. On CPU the kernels of `kernels` are faster as they are.
    """
    return torch.compile(model, fullgraph=True, dynamic=dynamic)
