"""What a step of the network must compute and move, and how fast this machine multiplies and copies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from herd_tracking.model.config import ModelConfig
from herd_tracking.model.kernels import linear
from herd_tracking.model.lanes import in_lanes

HITS = 1024
BLOCKS = 16


def flop_per_hit(config: ModelConfig) -> float:
    """Multiplications and additions of a hit's matrix products: forward, to the weight, and to the input.

    Nobody asks for the gradient to the features, so the first layer has two of the three.
    """
    first = 2 * 2 * len(config.features) * config.hidden
    other = 2 * 2 * config.hidden**2
    return 2 * first + 3 * other * (config.layers - 1) + 3 * 2 * config.hidden


def bytes_per_hit(config: ModelConfig, bytes_per_value: int) -> float:
    """Bytes to and from memory if each operation of a layer reads and writes it once and gathers hit a cache.

    Values of 128 channels: forward x, [mean | x] twice, out (6); backward ReLU (3), to the weight (3), to mean and x
    (4), transposed mean (2), their sum (3).
    """
    return (6 + 3 + 3 + 4 + 2 + 3) * config.hidden * config.layers * bytes_per_value


def matmul_flop_per_s(dtype: torch.dtype, repeats: int) -> float:
    """The best rate of [hits, 256] x [256, 128] products on torch's threads: one large, or small ones side by side."""
    weight = torch.randn(128, 256).to(dtype)
    blocks = [torch.randn(HITS, 256).to(dtype) for _ in range(BLOCKS)]
    whole = torch.cat(blocks)

    @torch.no_grad()
    def share(some: Sequence[torch.Tensor]) -> None:
        for block in some:
            linear(block, weight)

    ways: list[Callable[[], object]] = [
        lambda: torch.nn.functional.linear(whole, weight),
        lambda: linear(whole, weight),
        lambda: in_lanes(share, blocks),
    ]
    seconds = min(_seconds(way) for _ in range(repeats) for way in ways)
    return 2 * HITS * BLOCKS * 256 * 128 / seconds


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cuda_flop_per_s(dtype: torch.dtype) -> float:
    """The rate of a large product of the layers' shape on the GPU."""
    left = torch.randn(1 << 17, 256, device="cuda", dtype=dtype)
    right = torch.randn(256, 128, device="cuda", dtype=dtype)
    return 2 * len(left) * 256 * 128 / _cuda_seconds(lambda: left @ right)


def cuda_bytes_per_s() -> float:
    """The rate of copying 1 GiB within the GPU's memory, read and written."""
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / _cuda_seconds(lambda: target.copy_(source))


def _cuda_seconds(work: Callable[[], object], repeats: int = 20) -> float:
    work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000 / repeats
