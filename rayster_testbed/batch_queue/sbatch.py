"""Reads sbatch's command line and `#SBATCH` lines into a job, or says in SLURM's words why it cannot."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rayster_testbed.batch_queue.units import UNLIMITED, parse_memory, parse_walltime
from rayster_testbed.partitions import DEFAULT_MEMORY_PER_CPU_MIB, Node, Partition

_FAILED = "Batch job submission failed: "
_UNAVAILABLE = _FAILED + "Requested node configuration is not available"

# Options that take a value and that this queue knows; those with a letter have it as their short form.
_SHORT = {
    **{"A": "account", "C": "constraint", "D": "chdir", "G": "gpus", "J": "job-name", "N": "nodes"},
    **{"a": "array", "c": "cpus-per-task", "d": "dependency", "e": "error", "i": "input", "n": "ntasks"},
    **{"o": "output", "p": "partition", "q": "qos", "t": "time", "w": "nodelist", "x": "exclude"},
}
_VALUED = {
    *_SHORT.values(),
    *("comment", "export", "gpus-per-node", "gpus-per-task", "gres", "hint", "mail-type", "mail-user", "mem"),
    *("mem-per-cpu", "nice", "ntasks-per-node", "open-mode", "reservation", "signal", "time-min", "tmp"),
    *("uid", "wrap"),
}
_PLAIN = {"exclusive", "no-requeue", "overcommit", "parsable", "quiet", "requeue", "spread-job"}
_SHORT_PLAIN = {"Q": "quiet", "O": "overcommit"}


class SbatchError(Exception):
    """sbatch refuses; `lines` go to standard error behind `sbatch: error: `.

    Args:
        lines: what SLURM says.
        status: exit status: 1 for a refused job, 255 for an option that cannot be read.
    """

    def __init__(self, *lines: str, status: int = 1):
        super().__init__(lines)
        self.lines = lines
        self.status = status


@dataclass
class CommandLine:
    """Options by long name, and what follows them: the script and its arguments."""

    options: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Resources:
    """What a job takes, per node, where it takes it, and for how long."""

    partition: str
    nodes: int
    tasks: int
    cpus_per_task: int
    cpus: int
    memory_mib: int
    gpus: int
    walltime_minutes: int


def parse_words(words: Sequence[str]) -> CommandLine:
    """Return the options of a command line; everything after the first other word is the rest.

    Raises:
        SbatchError: an unknown option or one without its value.
    """
    line = CommandLine()
    left = list(words)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in _PLAIN:
                line.options[name] = value
                continue
        else:
            short, value = word[1], word[2:]
            equals = value
            if short in _SHORT_PLAIN:
                line.options[_SHORT_PLAIN[short]] = ""
                continue
            name = _SHORT.get(short, "")
        if name not in _VALUED:
            raise _usage(f"unrecognized option '{word}'")
        if not equals:
            if not left:
                raise _usage(f"option '{word}' requires an argument")
            value = left.pop(0)
        line.options[name] = value
    line.rest = left
    return line


def _usage(text: str) -> SbatchError:
    return SbatchError(f"sbatch: {text}", 'Try "sbatch --help" for more information', status=255)


def parse_script(text: str) -> dict[str, str]:
    """Return the options of the `#SBATCH` lines above a script's first command.

    Raises:
        SbatchError: not a script, or a line with a word that is no option.
    """
    if not text:
        raise SbatchError("Batch script is empty!")
    if not text.startswith("#!"):
        raise SbatchError(
            "This does not look like a batch script.  The first",
            "line must start with #! followed by the path to an interpreter.",
            "For instance: #!/bin/sh",
        )
    options: dict[str, str] = {}
    for row in text.splitlines():
        if row.startswith("#SBATCH"):
            lexer = shlex.shlex(row[len("#SBATCH") :], posix=True, punctuation_chars=False)
            lexer.whitespace_split = True
            try:
                line = parse_words(list(lexer))
            except ValueError:
                raise SbatchError(f"Invalid directive found in batch script: {row}") from None
            if line.rest:
                raise SbatchError(f"Invalid directive found in batch script: {line.rest[0]}")
            options |= line.options
        elif row.strip() and not row.startswith("#"):
            break
    return options


def resources(options: Mapping[str, str], partitions: Sequence[Partition]) -> Resources:
    """Return what the job takes.

    Raises:
        SbatchError: an option that cannot be read, or a job that can never run here.
    """
    walltime = _read(parse_walltime, options, "time", "0")
    memory = _read(parse_memory, options, "mem", "0")
    memory_per_cpu = _read(parse_memory, options, "mem-per-cpu", str(DEFAULT_MEMORY_PER_CPU_MIB))
    tasks, cpus_per_task = _count(options, "ntasks", 1), _count(options, "cpus-per-task", 1)
    gpus = _gpus(options)
    by_name = {partition.name: partition for partition in partitions}
    wanted = options.get("partition") or next(p.name for p in partitions if p.default)
    # Of several partitions the first one counts.
    name = wanted.split(",")[0]
    if name not in by_name:
        raise SbatchError(
            f"invalid partition specified: {name}", _FAILED + "Invalid partition name specified"
        )
    partition = by_name[name]
    if "time" not in options:
        walltime = partition.default_walltime_minutes
    if walltime == UNLIMITED or walltime > partition.max_walltime_minutes:
        raise SbatchError(_FAILED + "Requested time limit is invalid (missing or exceeds some limit)")
    if options.get("constraint"):
        raise SbatchError(_FAILED + "Invalid feature specification")
    if options.get("reservation"):
        raise SbatchError(_FAILED + "Requested reservation is invalid")
    node = partition.nodes[0]
    nodes = _nodes(options, partition, tasks * cpus_per_task)
    cpus = node.cpus if "exclusive" in options else math.ceil(tasks / nodes) * cpus_per_task
    if cpus > node.cpus:
        raise SbatchError("CPU count per node can not be satisfied", _UNAVAILABLE)
    if "mem" not in options:
        memory = memory_per_cpu * cpus
    elif memory == 0:
        memory = node.memory_mib
    if memory > node.memory_mib:
        raise SbatchError("Memory specification can not be satisfied", _UNAVAILABLE)
    _check_gpus(gpus, node)
    return Resources(
        partition=partition.name,
        nodes=nodes,
        tasks=tasks,
        cpus_per_task=cpus_per_task,
        cpus=cpus,
        memory_mib=memory,
        gpus=sum(gpus.values()),
        walltime_minutes=walltime,
    )


def _read(parse: Callable[[str], int], options: Mapping[str, str], name: str, default: str) -> int:
    try:
        return parse(options.get(name, default))
    except ValueError:
        raise SbatchError(f"Invalid --{name} specification", status=255) from None


def _count(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise SbatchError(f'Invalid numeric value "{text}" for --{name}.')
    return int(text)


def _nodes(options: Mapping[str, str], partition: Partition, cores: int) -> int:
    # Of a range `min-max` the minimum counts.
    text = options.get("nodes", "").split("-")[0]
    if text and (not text.isdecimal() or int(text) == 0):
        raise SbatchError(f"invalid number of nodes ({options['nodes']})")
    if text and int(text) > len(partition.nodes):
        raise SbatchError(_FAILED + "Node count specification invalid")
    if cores > sum(node.cpus for node in partition.nodes) and "cpus-per-task" not in options:
        raise SbatchError(_FAILED + "More processors requested than permitted")
    return int(text) if text else 1


def _gpus(options: Mapping[str, str]) -> dict[str, int]:
    """Return the number of GPUs by type; the empty type is any."""
    found: dict[str, int] = {}
    texts = [part for part in options.get("gres", "").split(",") if part]
    texts += [
        f"gpu:{options[name]}" for name in ("gpus", "gpus-per-node", "gpus-per-task") if name in options
    ]
    for text in texts:
        kind, *more = text.removeprefix("gres:").split(":")
        count = more.pop() if more and more[-1].isdecimal() else "1"
        if kind != "gpu" or len(more) > 1:
            raise SbatchError("Invalid generic resource (gres) specification")
        gpu_type = more[0] if more else ""
        found[gpu_type] = found.get(gpu_type, 0) + int(count)
    return found


def _check_gpus(gpus: Mapping[str, int], node: Node) -> None:
    if sum(gpus.values()) > node.gpu_count or any(kind not in ("", node.gpu_type) for kind in gpus):
        raise SbatchError(_UNAVAILABLE)


def job_fields(
    options: Mapping[str, str], taken: Resources, *, script_name: str, submit_dir: str
) -> dict[str, Any]:
    """Return the fields of a `Job` that follow from options and resources."""
    return {
        "name": options.get("job-name") or script_name,
        "partition": taken.partition,
        "nodes": taken.nodes,
        "tasks": taken.tasks,
        "cpus_per_task": taken.cpus_per_task,
        "cpus": taken.cpus,
        "memory_mib": taken.memory_mib,
        "gpus": taken.gpus,
        "walltime_minutes": taken.walltime_minutes,
        "submit_dir": submit_dir,
        "work_dir": options.get("chdir") or submit_dir,
        "output": options.get("output") or "slurm-%j.out",
        "error": options.get("error", ""),
        "account": options.get("account", ""),
        "qos": options.get("qos", ""),
        "comment": options.get("comment", ""),
        "constraint": options.get("constraint", ""),
        "gres": options.get("gres", ""),
        "run_as": int(options["uid"]) if options.get("uid") else None,
    }
