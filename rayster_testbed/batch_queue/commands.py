"""The daemon's side of `sbatch`, `squeue` and the like: a command line in, output and status out."""

from __future__ import annotations

import getopt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone

from rayster_testbed.batch_queue import show
from rayster_testbed.batch_queue.controller import Queue
from rayster_testbed.batch_queue.job import LIVE, STATES, Job
from rayster_testbed.batch_queue.sbatch import SbatchError


@dataclass(frozen=True)
class Reply:
    """What a command prints and its exit status."""

    out: str = ""
    err: str = ""
    status: int = 0


@dataclass(frozen=True)
class Caller:
    """Who called a command, and where."""

    uid: int
    user: str
    directory: str
    environment: Mapping[str, str]


def answer(queue: Queue, command: str, argv: Sequence[str], caller: Caller) -> Reply:
    """Return what `command` says to `argv`."""
    try:
        return _COMMANDS[command](queue, argv, caller)
    except getopt.GetoptError as error:
        return Reply(err=f'{command}: {error}\nTry "{command} --help" for more information\n', status=1)


def _sbatch(queue: Queue, argv: Sequence[str], caller: Caller) -> Reply:
    try:
        job, parsable = queue.submit(argv, caller.directory, dict(caller.environment), caller.uid)
    except SbatchError as error:
        # Words about the command line itself come from getopt and carry no `error:`.
        lines = (
            line if line.startswith(("sbatch:", "Try ")) else f"sbatch: error: {line}" for line in error.lines
        )
        return Reply(err="".join(f"{line}\n" for line in lines), status=error.status)
    return Reply(f"{job.id}\n" if parsable else f"Submitted batch job {job.id}\n")


def _squeue(queue: Queue, argv: Sequence[str], caller: Caller) -> Reply:
    short = "hao:O:j:u:p:t:lS:n:rA:"
    long = ["noheader", "all", "format=", "Format=", "jobs=", "job=", "user=", "me", "partition=", "states="]
    long += ["long", "sort=", "name=", "start", "array", "account="]
    options = _options(argv, short, long, {"h": "noheader", "a": "all", "o": "format", "O": "Format"})
    jobs = list(queue.jobs.values())
    if wanted := options.get("jobs", options.get("job")):
        jobs = [job for job in jobs if str(job.id) in wanted.split(",")]
        if not jobs:
            return Reply(err="slurm_load_jobs error: Invalid job id specified\n", status=1)
    if (states := options.get("states", "")).lower() != "all":
        allowed = set(LIVE)
        if states:
            names = {name: short_name for short_name, name in STATES.items()} | {s: s for s in STATES}
            unknown = [word for word in states.split(",") if word.upper() not in names]
            if unknown:
                return Reply(err=f"squeue: error: Invalid job state specified: {unknown[0]}\n", status=1)
            allowed = {names[word.upper()] for word in states.split(",")}
        jobs = [job for job in jobs if job.state in allowed]
    if "start" in options:
        jobs = [job for job in jobs if job.state == "PD"]
    jobs = _selected(jobs, options, caller)
    jobs.sort(key=lambda job: (0 if "sort" in options else job.partition, job.state, job.id))
    if options.get("sort") == "i":
        jobs.sort(key=lambda job: job.id)
    now = queue.now()
    zone = timezone.utc if caller.environment.get("TZ") in ("UTC", "UTC0") else None
    views = [
        show.JobView(job, now, queue.placements.get(job.id), queue.seconds_per_minute, zone) for job in jobs
    ]
    header = "noheader" not in options
    if "Format" in options:
        try:
            return Reply(show.jobs_fields(views, options["Format"], header=header))
        except ValueError as error:
            return Reply(err=f"squeue: error: {error}\n", status=1)
    default = show.SQUEUE_LONG_FORMAT if "long" in options else show.SQUEUE_FORMAT
    layout = options.get("format", show.SQUEUE_START_FORMAT if "start" in options else default)
    return Reply(show.jobs_table(views, layout, header=header))


def _scancel(queue: Queue, argv: Sequence[str], caller: Caller) -> Reply:
    long = ["user=", "me", "partition=", "state=", "name=", "jobname=", "full", "batch", "quiet"]
    options = _options(argv, "u:p:t:n:fbQ", long, {"t": "state"})
    words = options["rest"].split()
    for word in words:
        if not word.isdecimal():
            return Reply(err=f"scancel: error: Invalid job id {word}\n", status=1)
    if not words and not set(options) & {"user", "me", "partition", "state", "name", "jobname"}:
        return Reply(err="scancel: error: No job identification provided\n", status=1)
    if "jobname" in options:
        options["name"] = options["jobname"]
    # An id that is unknown or whose job has ended is no error for SLURM's scancel either.
    jobs = [job for job in queue.live() if not words or str(job.id) in words]
    if state := options.get("state"):
        jobs = [job for job in jobs if state.upper() in (job.state, STATES[job.state])]
    for job in _selected(jobs, options, caller):
        queue.cancel(job)
    return Reply()


def _sinfo(queue: Queue, argv: Sequence[str], caller: Caller) -> Reply:
    long = ["noheader", "format=", "Format=", "partition=", "Node", "summarize", "all", "long", "noconvert"]
    short = {"h": "noheader", "o": "format", "O": "Format", "N": "Node", "s": "summarize"}
    options = _options(argv, "ho:O:p:Nsal", long, short)
    partitions = queue.partitions
    if "partition" in options:
        partitions = [p for p in partitions if p.name in options["partition"].split(",")]
    by, layout = "state", show.SINFO_FORMAT
    if "Node" in options:
        by, layout = "node", show.SINFO_NODES_FORMAT
    elif "summarize" in options:
        by, layout = "partition", show.SINFO_SUMMARY_FORMAT
    layout = options.get("format", layout)
    # Lines are split by state only when a state is shown.
    if by == "state" and "format" in options and not {"t", "T"} & show.letters(layout):
        by = "partition"
    groups = show.node_groups(queue.jobs.values(), partitions, by)
    if "Format" in options:
        try:
            return Reply(show.nodes_fields(groups, options["Format"], header="noheader" not in options))
        except ValueError as error:
            return Reply(err=f"sinfo: error: {error}\n", status=1)
    return Reply(show.nodes_table(groups, layout, header="noheader" not in options))


def _scontrol(queue: Queue, argv: Sequence[str], caller: Caller) -> Reply:
    if list(argv) != ["show", "config"]:
        return Reply(err=f"invalid keyword: {' '.join(argv)}\n", status=1)
    return Reply("Configuration data\nClusterName             = rayster\nPrivateData             = none\n")


def _selected(jobs: Sequence[Job], options: Mapping[str, str], caller: Caller) -> list[Job]:
    user = caller.user if "me" in options else options.get("user")
    names = {name: options[name].split(",") for name in ("name", "partition", "account") if name in options}
    return [
        job
        for job in jobs
        if (user is None or user in (job.user, str(job.uid)))
        and all(getattr(job, name) in allowed for name, allowed in names.items())
    ]


_SHORT_NAMES = {
    "j": "jobs",
    "u": "user",
    "p": "partition",
    "t": "states",
    "l": "long",
    "S": "sort",
    "n": "name",
}


def _options(argv: Sequence[str], short: str, long: list[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return options by long name; `rest` holds the other words."""
    pairs, rest = getopt.gnu_getopt(list(argv), short, long)
    by_name = _SHORT_NAMES | dict(names)
    options = {}
    for option, value in pairs:
        name = option.lstrip("-")
        options[name if option.startswith("--") else by_name.get(name, name)] = value.strip()
    return options | {"rest": " ".join(rest)}


_COMMANDS: dict[str, Callable[[Queue, Sequence[str], Caller], Reply]] = {
    "sbatch": _sbatch,
    "squeue": _squeue,
    "scancel": _scancel,
    "sinfo": _sinfo,
    "scontrol": _scontrol,
}
