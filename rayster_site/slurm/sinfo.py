"""Asks sinfo for every node of every partition in one call, and reads its answer."""

from __future__ import annotations

from rayster_site.commands import CommandError
from rayster_site.facts import GpuCount, PartitionFacts
from rayster_site.slurm.states import node_class
from rayster_site.slurm.values import parse_duration, parse_gpus

# Only `--Format` has the generic resources in use. Its columns are cut at their width, so what may be long gets
# much; a column that is full to the brim may have been cut, and is an error.
_COLUMNS = {
    "partition": 128,
    "available": 16,
    "statelong": 32,
    "cpusstate": 64,
    "memory": 24,
    "time": 24,
    "gres": 512,
    "gresused": 512,
}
SINFO_ARGUMENTS = (
    "--noheader",
    "--all",
    "--Node",
    "--noconvert",
    "--Format=" + ",".join(f"{name}:{width}" for name, width in _COLUMNS.items()),
)
_USABLE = ("idle", "mixed", "allocated")


def parse_sinfo(output: bytes) -> dict[str, PartitionFacts]:
    """Return partitions by name from sinfo's output to `SINFO_ARGUMENTS`.

    Raises:
        CommandError: a line cannot be understood; the message quotes it.
    """
    partitions: dict[str, PartitionFacts] = {}
    for number, line in enumerate(output.decode("ascii", errors="backslashreplace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            _add_node(partitions, _columns(line))
        except (ValueError, OverflowError) as error:
            raise CommandError("sinfo", f"line {number} is not understood ({error}): {line}") from error
    return partitions


def _columns(line: str) -> dict[str, str]:
    values, start = {}, 0
    for name, width in _COLUMNS.items():
        text = line[start : start + width]
        if len(text) == width and text[-1] != " ":
            raise ValueError(f"{name} is longer than {width} characters")
        values[name] = text.strip()
        start += width
    if line[start:].strip():
        raise ValueError("more columns than asked for")
    return values


def _add_node(partitions: dict[str, PartitionFacts], node: dict[str, str]) -> None:
    # The star marks the default partition.
    name = node["partition"].removesuffix("*")
    if not name or not node["statelong"] or not node["available"]:
        raise ValueError("no partition or no state")
    cores = [int(part) for part in node["cpusstate"].split("/")]
    if len(cores) != 4 or min(cores) < 0:
        raise ValueError(f"not four numbers of cores: {node['cpusstate']!r}")
    memory_mib = int(node["memory"])
    walltime_seconds = parse_duration(node["time"])
    total, used = parse_gpus(node["gres"]), parse_gpus(node["gresused"])
    partition = partitions.setdefault(name, PartitionFacts(name))
    partition.is_default = node["partition"].endswith("*")
    partition.state = node["available"].lower()
    partition.walltime_minutes = None if walltime_seconds is None else int(walltime_seconds // 60)
    if node["statelong"] == "n/a":
        return
    kind = node_class(node["statelong"])
    _, idle_cores, _, all_cores = cores
    partition.nodes[kind] = partition.nodes.get(kind, 0) + 1
    partition.total_cores += all_cores
    partition.cores_per_node = max(partition.cores_per_node or 0, all_cores)
    partition.memory_mib_per_node = max(partition.memory_mib_per_node or 0, memory_mib)
    usable = kind in _USABLE
    if usable:
        partition.free_cores += idle_cores
    for gpu_type, count in total.items():
        if not count:
            continue
        gpus = partition.gpus.setdefault(gpu_type, GpuCount())
        gpus.total += count
        if usable:
            gpus.free += max(count - _used(gpu_type, total, used), 0)


def _used(gpu_type: str, total: dict[str, int], used: dict[str, int]) -> int:
    """Return how many GPUs of a type are in use, where a site names the type in one of two places only."""
    if not gpu_type:
        return sum(used.values())
    unnamed = used.get("", 0)
    if unnamed and len(total) > 1:
        raise ValueError("GPUs in use without their type on a node with several types")
    return used.get(gpu_type, 0) + unnamed
