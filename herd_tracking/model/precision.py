"""The two precisions of the arithmetic: parameters, gradients, head and loss are fp32 in both."""

from typing import Literal, get_args

import torch

from herd_tracking.events import TrackingError

Precision = Literal["fp32", "bf16"]


def dtype_of(precision: str) -> torch.dtype:
    """Return the type of activations and weights inside the layers; TrackingError at another name."""
    if precision not in get_args(Precision):
        raise TrackingError(
            f"model: precision is {precision!r}; allowed are {', '.join(get_args(Precision))}"
        )
    return torch.bfloat16 if precision == "bf16" else torch.float32


def best_precision(device: torch.device | str = "cpu") -> Precision:
    """Return "bf16" where the device multiplies it in hardware, else "fp32"."""
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
