"""Prints jobs and nodes as squeue and sinfo do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeVar

from rayster_testbed.batch_queue.job import ACTIVE, STATES, Job
from rayster_testbed.batch_queue.plan import Placement
from rayster_testbed.batch_queue.units import show_duration, show_hosts, show_memory, show_time
from rayster_testbed.partitions import Node, Partition

SQUEUE_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
SQUEUE_LONG_FORMAT = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
SQUEUE_START_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
SINFO_FORMAT = "%14P %.5a %.10l %.6D %.6t %N"
SINFO_NODES_FORMAT = "%N %.6D %.14P %6t"
SINFO_SUMMARY_FORMAT = "%14P %.5a %.10l %.16F  %N"
_DEFAULT_FIELD_WIDTH = 20
T = TypeVar("T")
_FIELD = re.compile(r"%(\.?)(\d*)([A-Za-z])")


@dataclass(frozen=True)
class JobView:
    """One job with the moment it is looked at and its expected start."""

    job: Job
    now: float
    placement: Placement | None
    seconds_per_minute: float
    zone: tzinfo | None = None

    def elapsed_seconds(self) -> float:
        """Return how long the job runs or ran."""
        if not self.job.start_time:
            return 0
        return (self.job.end_time or self.now) - self.job.start_time

    def start(self) -> str:
        """Return when the job started or is expected to."""
        start_time = self.job.start_time or (self.placement.start_time if self.placement else 0)
        return show_time(start_time, self.zone)

    def end(self) -> str:
        """Return when the job ended or reaches its walltime."""
        if self.job.end_time:
            return show_time(self.job.end_time, self.zone)
        limit = self.job.walltime_minutes * self.seconds_per_minute
        return show_time(self.job.start_time + limit, self.zone) if self.job.start_time else "N/A"

    def where_or_why(self) -> str:
        """Return the nodes of a job that has some, else in parentheses why it waits or how it failed."""
        if self.job.state in ACTIVE or (self.job.state in ("CD", "CA") and self.job.node_names):
            return show_hosts(self.job.node_names)
        return f"({self.job.reason})" if self.job.reason else ""


Column = tuple[str, Callable[[JobView], object]]

# squeue's letters: header and value.
_JOB_COLUMNS: dict[str, Column] = {
    "i": ("JOBID", lambda v: v.job.id),
    "A": ("JOBID", lambda v: v.job.id),
    "j": ("NAME", lambda v: v.job.name),
    "T": ("STATE", lambda v: STATES[v.job.state]),
    "t": ("ST", lambda v: v.job.state),
    "P": ("PARTITION", lambda v: v.job.partition),
    "r": ("REASON", lambda v: v.job.reason or "None"),
    "R": ("NODELIST(REASON)", JobView.where_or_why),
    "S": ("START_TIME", JobView.start),
    "e": ("END_TIME", JobView.end),
    "V": ("SUBMIT_TIME", lambda v: show_time(v.job.submit_time, v.zone)),
    "M": ("TIME", lambda v: show_duration(v.elapsed_seconds())),
    "l": ("TIME_LIMIT", lambda v: show_duration(v.job.walltime_minutes * 60)),
    "L": (
        "TIME_LEFT",
        lambda v: show_duration(
            (v.job.walltime_minutes - v.elapsed_seconds() / v.seconds_per_minute) * 60,
        ),
    ),
    "D": ("NODES", lambda v: v.job.nodes),
    "N": ("NODELIST", lambda v: show_hosts(v.job.node_names)),
    "Y": ("SCHEDNODES", lambda v: show_hosts(v.placement.node_names) if v.placement else "(null)"),
    "C": ("CPUS", lambda v: v.job.cpus * v.job.nodes),
    "m": ("MIN_MEMORY", lambda v: show_memory(v.job.memory_mib)),
    "b": ("TRES_PER_NODE", lambda v: f"gres:{v.job.gres}" if v.job.gres else "N/A"),
    "u": ("USER", lambda v: v.job.user),
    "U": ("UID", lambda v: v.job.uid),
    "a": ("ACCOUNT", lambda v: v.job.account or "(null)"),
    "q": ("QOS", lambda v: v.job.qos or "(null)"),
    # Older jobs come first: SLURM's priority plugin `basic` counts down too.
    "Q": ("PRIORITY", lambda v: 4294901760 - v.job.id),
    "Z": ("WORK_DIR", lambda v: v.job.work_dir),
    "k": ("COMMENT", lambda v: v.job.comment or "(null)"),
    "f": ("FEATURES", lambda v: v.job.constraint or "(null)"),
    "B": ("EXEC_HOST", lambda v: v.job.node_names[0] if v.job.node_names else "n/a"),
    "o": ("COMMAND", lambda v: v.job.script or "(null)"),
}
# squeue's -O names in lower case, for the letters above; exit_code has none.
_JOB_FIELDS = {
    **{"jobid": "i", "jobarrayid": "i", "name": "j", "state": "T", "statecompact": "t", "partition": "P"},
    **{"reason": "r", "reasonlist": "R", "starttime": "S", "endtime": "e", "submittime": "V"},
    **{"timeused": "M", "timelimit": "l", "timeleft": "L", "numnodes": "D", "nodelist": "N", "numcpus": "C"},
    **{"minmemory": "m", "tres-per-node": "b", "username": "u", "userid": "U", "account": "a", "qos": "q"},
    **{"prioritylong": "Q", "workdir": "Z", "comment": "k", "feature": "f", "batchhost": "B", "command": "o"},
    **{"schednodes": "Y"},
}
_EXIT_CODE_FIELD: dict[str, Column] = {"exit_code": ("EXIT_CODE", lambda v: v.job.exit_status)}


def jobs_table(views: Iterable[JobView], layout: str, *, header: bool) -> str:
    """Return squeue's table for a `-o` format such as `%.18i %P`."""
    return _table(_JOB_COLUMNS, views, layout, header=header)


def jobs_fields(views: Iterable[JobView], layout: str, *, header: bool) -> str:
    """Return squeue's table for a `-O` list such as `exit_code,StateCompact:10`.

    Raises:
        ValueError: an unknown field; the text is squeue's.
    """
    return _fields(_EXIT_CODE_FIELD, _JOB_COLUMNS, _JOB_FIELDS, views, layout, header=header)


def letters(layout: str) -> set[str]:
    """Return the column letters of a `-o` format."""
    return {match.group(3) for match in _FIELD.finditer(layout)}


def _table(
    columns: Mapping[str, tuple[str, Callable[[T], object]]], items: Iterable[T], layout: str, *, header: bool
) -> str:
    def row(value: Callable[[tuple[str, Callable[[T], object]]], object]) -> str:
        def field(match: re.Match[str]) -> str:
            right, width, letter = match.groups()
            if letter not in columns:
                return match.group()
            return _fit(str(value(columns[letter])), width, right=bool(right))

        return _FIELD.sub(field, layout) + "\n"

    rows = [row(lambda column: column[0])] if header else []
    rows += [row(lambda column, item=item: column[1](item)) for item in items]  # type: ignore[misc]
    return "".join(rows)


def _fields(
    own_fields: Mapping[str, tuple[str, Callable[[T], object]]],
    columns: Mapping[str, tuple[str, Callable[[T], object]]],
    letters_by_name: Mapping[str, str],
    items: Iterable[T],
    layout: str,
    *,
    header: bool,
) -> str:
    """Return the table of a `-O` list, whose names are letters of `columns` or have none and are in `own_fields`."""
    chosen: list[tuple[tuple[str, Callable[[T], object]], str, bool]] = []
    for word in layout.split(","):
        name, _, width = word.partition(":")
        column = own_fields.get(name.lower()) or columns.get(letters_by_name.get(name.lower(), ""))
        if column is None:
            raise ValueError(f"Invalid job format specification: {name}")
        chosen.append((column, width.lstrip(".") or str(_DEFAULT_FIELD_WIDTH), width.startswith(".")))
    lines = []
    if header:
        lines.append("".join(_fit(column[0], width, right=right) for column, width, right in chosen))
    for item in items:
        lines.append(
            "".join(_fit(str(column[1](item)), width, right=right) for column, width, right in chosen)
        )
    return "".join(f"{line}\n" for line in lines)


def _fit(text: str, width: str, *, right: bool) -> str:
    if not width:
        return text
    # SLURM counts bytes, too.
    cut = text.encode("utf-8", errors="surrogateescape")[: int(width)]
    filled = cut.rjust(int(width)) if right else cut.ljust(int(width))
    return filled.decode("utf-8", errors="surrogateescape")


@dataclass(frozen=True)
class NodeGroup:
    """Nodes of one partition that sinfo shows in one line."""

    partition: Partition
    nodes: Sequence[Node]
    state: str
    used_cpus: int
    busy_nodes: int
    used_gpus: int = 0

    def total_cpus(self) -> int:
        """Return the cores of all its nodes."""
        return sum(node.cpus for node in self.nodes)


def node_groups(jobs: Iterable[Job], partitions: Sequence[Partition], by: str) -> list[NodeGroup]:
    """Return sinfo's lines: `by` is `state`, `node` or `partition`."""
    used: Counter[str] = Counter()  # cores by node
    used_gpus: Counter[str] = Counter()
    for job in jobs:
        if job.state in ACTIVE:
            used.update(dict.fromkeys(job.node_names, job.cpus))
            used_gpus.update(dict.fromkeys(job.node_names, job.gpus))
    groups = []
    for partition in partitions:
        lots: dict[str, list[Node]] = {}
        for node in partition.nodes:
            state = "idle" if not used[node.name] else "mixed" if used[node.name] < node.cpus else "allocated"
            key = {"state": state, "node": node.name, "partition": ""}[by]
            lots.setdefault(key, []).append(node)
        for nodes in lots.values():
            cpus = sum(used[node.name] for node in nodes)
            total = sum(node.cpus for node in nodes)
            state = "idle" if not cpus else "mixed" if cpus < total else "allocated"
            busy = sum(1 for node in nodes if used[node.name])
            gpus = sum(used_gpus[node.name] for node in nodes)
            groups.append(NodeGroup(partition, nodes, state, cpus, busy, gpus))
    return groups


def nodes_table(groups: Iterable[NodeGroup], layout: str, *, header: bool) -> str:
    """Return sinfo's table for a `-o` format such as `%P %a %C`."""
    return _table(_NODE_COLUMNS, groups, layout, header=header)


def nodes_fields(groups: Iterable[NodeGroup], layout: str, *, header: bool) -> str:
    """Return sinfo's table for a `-O` list such as `partition:40,gresused`.

    Raises:
        ValueError: an unknown field.
    """
    return _fields(_NODE_OWN_FIELDS, _NODE_COLUMNS, _NODE_FIELDS, groups, layout, header=header)


def _gres_used(group: NodeGroup) -> str:
    node = group.nodes[0]
    return f"gpu:{node.gpu_type}:{group.used_gpus}" if node.gpu_count else "gpu:0"


def _gres(node: Node) -> str:
    return f"gpu:{node.gpu_type}:{node.gpu_count}" if node.gpu_count else "(null)"


# sinfo's letters: header and value.
_NODE_COLUMNS: dict[str, tuple[str, Callable[[NodeGroup], object]]] = {
    "P": ("PARTITION", lambda g: g.partition.name + ("*" if g.partition.default else "")),
    "R": ("PARTITION", lambda g: g.partition.name),
    "a": ("AVAIL", lambda g: "up"),
    "l": ("TIMELIMIT", lambda g: show_duration(g.partition.max_walltime_minutes * 60)),
    "L": ("DEFAULTTIME", lambda g: show_duration(g.partition.default_walltime_minutes * 60)),
    "s": ("JOB_SIZE", lambda g: "1-infinite"),
    "D": ("NODES", lambda g: len(g.nodes)),
    "T": ("STATE", lambda g: g.state),
    "t": ("STATE", lambda g: {"mixed": "mix", "allocated": "alloc"}.get(g.state, g.state)),
    "N": ("NODELIST", lambda g: show_hosts(node.name for node in g.nodes)),
    "n": ("HOSTNAMES", lambda g: ",".join(node.name for node in g.nodes)),
    "C": (
        "CPUS(A/I/O/T)",
        lambda g: f"{g.used_cpus}/{g.total_cpus() - g.used_cpus}/0/{g.total_cpus()}",
    ),
    "F": (
        "NODES(A/I/O/T)",
        lambda g: f"{g.busy_nodes}/{len(g.nodes) - g.busy_nodes}/0/{len(g.nodes)}",
    ),
    "A": ("NODES(A/I)", lambda g: f"{g.busy_nodes}/{len(g.nodes) - g.busy_nodes}"),
    "c": ("CPUS", lambda g: g.nodes[0].cpus),
    "m": ("MEMORY", lambda g: g.nodes[0].memory_mib),
    "G": ("GRES", lambda g: _gres(g.nodes[0])),
}
# sinfo's -O names in lower case, for the letters above; the resources in use have none.
_NODE_FIELDS = {
    **{
        "partition": "P",
        "partitionname": "R",
        "available": "a",
        "time": "l",
        "defaulttime": "L",
        "nodes": "D",
    },
    **{
        "statelong": "T",
        "statecompact": "t",
        "nodelist": "N",
        "nodehost": "n",
        "cpusstate": "C",
        "memory": "m",
    },
    **{"cpus": "c", "gres": "G"},
}
_NODE_OWN_FIELDS: dict[str, tuple[str, Callable[[NodeGroup], object]]] = {
    "gresused": ("GRES_USED", _gres_used)
}
