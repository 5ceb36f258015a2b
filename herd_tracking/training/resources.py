"""What one worker of a training gets: pure decisions on the nodes of a cluster."""

from collections.abc import Mapping, Sequence
from typing import Any

from herd_tracking.events import TrackingError


def check_workers(workers: Any) -> tuple[int, int]:
    """Return the least and the most workers. Raises TrackingError."""
    bounds = workers if isinstance(workers, tuple) else (workers, workers)
    is_good = len(bounds) == 2 and all(isinstance(one, int) and not isinstance(one, bool) for one in bounds)
    if not is_good or not 1 <= bounds[0] <= bounds[1]:
        raise TrackingError(
            f"training: workers is {workers!r}; allowed are a number from 1 on, or (least, most) of them"
        )
    return bounds


def per_worker(
    nodes: Sequence[Mapping[str, float]], most: int, cpus: int | None, gpus: float | None
) -> dict[str, float]:
    """Return the resources of a worker, ``{"CPU": …}`` and maybe ``"GPU"``; ``nodes``: what each living node offers.

    What is not given: a GPU if any node has one, with its share of the node's CPUs; else all CPUs of a node, or as many
    as let ``most`` workers run if there are fewer nodes than that. Nodes without CPUs (the head, the notebook) offer
    nothing. Raises TrackingError if what is given fits on no node.
    """
    offering = [node for node in nodes if node.get("CPU", 0) >= 1]
    with_gpus = [node for node in offering if node.get("GPU", 0) >= 1]
    if gpus is None:
        gpus = 1 if with_gpus else 0
    if gpus:
        offering = with_gpus
    if cpus is None:
        cpus = _gpu_share(with_gpus, gpus) if gpus else _cpu_share(offering, most)
    wanted = {"CPU": float(cpus), **({"GPU": float(gpus)} if gpus else {})}
    if cpus < 1 or (nodes and not any(_fits(wanted, node) for node in nodes) and offering):
        largest = max(offering, key=lambda node: node.get("CPU", 0))
        raise TrackingError(
            f"training: a worker of {cpus} CPUs and {gpus} GPUs fits on no node; the largest has "
            f"{largest.get('CPU', 0):.0f} CPUs and {largest.get('GPU', 0):.0f} GPUs. Ask for less."
        )
    return wanted


def room(nodes: Sequence[Mapping[str, float]], wanted: Mapping[str, float]) -> int:
    """Return how many workers that are ``wanted`` so ``nodes`` have room for, whoever uses them now."""
    return sum(int(min(node.get(name, 0) // amount for name, amount in wanted.items())) for node in nodes)


def _fits(wanted: Mapping[str, float], node: Mapping[str, float]) -> bool:
    return all(node.get(name, 0) >= amount for name, amount in wanted.items())


def _gpu_share(nodes: Sequence[Mapping[str, float]], gpus: float) -> int:
    return max(1, min((int(node["CPU"] * gpus // node["GPU"]) for node in nodes), default=1))


def _cpu_share(nodes: Sequence[Mapping[str, float]], most: int) -> int:
    sizes = sorted({int(node["CPU"]) for node in nodes}, reverse=True)
    smallest = sizes[-1] if sizes else 1
    for cpus in range(smallest, 1, -1):
        if sum(int(node["CPU"]) // cpus for node in nodes) >= most:
            return cpus
    return 1 if len(nodes) < most else smallest
