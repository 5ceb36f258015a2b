"""What a hit classifier looks like: the numbers that a checkpoint must agree with."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from herd_tracking.events import FEATURES, TrackingError

Norm = Literal["none", "layer"]
Init = Literal["pyg", "he"]


@dataclass(frozen=True)
class ModelConfig:
    """``layers`` GraphSAGE layers of ``hidden`` channels and a linear head.

    ``residual``: a layer adds to what it got instead of replacing it. ``norm`` "layer": LayerNorm and ReLU stand before
    each layer but the first and before the head (needs ``residual``: without a way around them it did not train).
    ``init`` "pyg": uniform within 1/sqrt(inputs), as PyG's SAGEConv; "he": uniform within sqrt(6/inputs), inputs being
    both halves of a layer. ``features``: the columns of ``Batch.x``, by name.
    """

    layers: int = 18
    hidden: int = 128
    residual: bool = False
    norm: Norm = "none"
    init: Init = "pyg"
    features: tuple[str, ...] = FEATURES

    def __post_init__(self) -> None:
        for name, value in (("layers", self.layers), ("hidden", self.hidden)):
            if value < 1:
                raise TrackingError(f"model: {name} is {value}, but must be at least 1")
        for name, chosen, allowed in (
            ("norm", self.norm, get_args(Norm)),
            ("init", self.init, get_args(Init)),
        ):
            if chosen not in allowed:
                raise TrackingError(f"model: {name} is {chosen!r}; allowed are {', '.join(allowed)}")
        if self.norm == "layer" and not self.residual:
            raise TrackingError(
                "model: norm 'layer' needs residual=True; without it the network does not train"
            )
        if not self.features:
            raise TrackingError("model: no features named; name at least one column of the hits")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values (JSON)."""
        return {**asdict(self), "features": list(self.features)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Return the config that `to_dict` wrote; TrackingError at a field that is unknown or missing."""
        names = {field.name for field in fields(cls)}
        if wrong := sorted(names ^ set(values)):
            raise TrackingError(
                f"model: fields {', '.join(wrong)} are unknown or missing; {sorted(names)} make a model"
            )
        return cls(**{**values, "features": tuple(values["features"])})


PRESETS = {
    "slides": ModelConfig(),
    "deep": ModelConfig(residual=True, norm="layer"),
}
"""``slides``: the published configuration (18 x SAGEConv, mean, 128). ``deep``: the same size with residuals and
LayerNorm before each layer; ours, not published."""


def preset(name: str, **changes: Any) -> ModelConfig:
    """Return the preset ``name`` with ``changes`` of its fields; TrackingError if there is none of that name."""
    if name not in PRESETS:
        raise TrackingError(f"model: no preset {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)
