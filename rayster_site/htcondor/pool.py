"""Sums up HTCondor's slots to machines and to the pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rayster_site.facts import GpuCount, PartitionFacts
from rayster_site.htcondor.ads import POOL, SlotAd

# A slot in another state (Owner, Drained, Matched, Preempting, …) takes no new job now.
_FREE = "Unclaimed"
_TAKEN = ("Claimed", "Preempting", "Matched")


def pool_of(slots: Iterable[SlotAd]) -> PartitionFacts:
    """Return the pool.

    A partitionable slot shows what is left of it and what it had; the dynamic slots cut from it are those parts of
    it that are gone, so they are not counted again.
    """
    pool = PartitionFacts(POOL, is_default=True)
    machines: dict[str, list[SlotAd]] = defaultdict(list)
    for slot in slots:
        if not slot.DynamicSlot:
            machines[slot.Machine].append(slot)
    for parts in machines.values():
        kind = _machine_class(parts)
        pool.nodes[kind] = pool.nodes.get(kind, 0) + 1
        total_cores = int(sum(_total_cores(slot) for slot in parts))
        total_memory = sum(slot.TotalSlotMemory or slot.Memory for slot in parts)
        pool.total_cores += total_cores
        pool.free_cores += int(sum(slot.Cpus for slot in parts if slot.State == _FREE))
        pool.cores_per_node = max(pool.cores_per_node or 0, total_cores)
        pool.memory_mib_per_node = max(pool.memory_mib_per_node or 0, total_memory)
        for slot in parts:
            if total := slot.TotalSlotGPUs or slot.GPUs:
                gpus = pool.gpus.setdefault(slot.GPUs_DeviceName, GpuCount())
                gpus.total += total
                gpus.free += slot.GPUs if slot.State == _FREE else 0
    return pool


def _total_cores(slot: SlotAd) -> float:
    return slot.Cpus if slot.TotalSlotCpus is None else slot.TotalSlotCpus


def _machine_class(slots: list[SlotAd]) -> str:
    if all(slot.State == "Drained" for slot in slots):
        return "down"
    if not all(slot.State in (_FREE, *_TAKEN) for slot in slots):
        return "other"
    free = sum(slot.Cpus for slot in slots if slot.State == _FREE)
    if free == 0:
        return "allocated"
    return "idle" if free == sum(_total_cores(slot) for slot in slots) else "mixed"
