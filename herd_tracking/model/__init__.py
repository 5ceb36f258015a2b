"""The hit classifier: a stack of GraphSAGE layers (mean over the neighbours) on graphs of separate events.

>>> model = HitClassifier(PRESETS["slides"])           # precision="bf16" where the machine has it
>>> logits = model(batch)                              # f32[N]; a hit's probability is its sigmoid
>>> total, hits = accumulate_gradients(model, batch)   # adds d(total)/dp to each p.grad; CPU and CUDA

`accumulate_gradients` is what a training step calls: forward, loss and backward in blocks of events that stay in the
processor's caches. ``loss(model(batch), batch)[0].backward()`` gives the same gradients, slower.
"""

from typing import Any

from herd_tracking.lazy import attribute

_HOME = {
    "ModelConfig": "config",
    "PRESETS": "config",
    "HitClassifier": "classifier",
    "SageLayer": "layers",
    "loss": "objective",
    "accumulate_gradients": "gradients",
    "flat_gradients": "gradients",
    "best_precision": "precision",
    "compiled": "compiling",
    "GraphedGradients": "compiling",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that the presets can be named without loading torch."""
    return attribute(__name__, _HOME, name)
