"""SLURM's ways to write times, durations, job ids, lists of nodes and generic resources."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_DURATION = re.compile(r"(?:(\d{1,6})-)?(?:(\d{1,9}):)?(\d{1,9}):(\d{1,2})", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
# squeue writes INVALID for less than nothing, a job beyond its limit, and for more than a year.
_NO_DURATION = {
    "",
    "INVALID",
    "N/A",
    "n/a",
    "UNLIMITED",
    "INFINITE",
    "infinite",
    "NOT_SET",
    "Partition_Limit",
    "NONE",
}
_NO_TIME = {"", "N/A", "n/a", "NONE", "None", "Unknown", "(null)"}
_TASKS = re.compile(r"\d+_\[([0-9,:-]+)(?:%\d+)?\]")
_MAX_NODES = 10_000
_COUNT_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
# `gpu:4`, `gpu:a100:4(S:0-1)`, `gpu:a100:3(IDX:0-2)`, `gpu:(null):2(IDX:0-1)`, `gpu:t4:no_consume:2`
_GPU = re.compile(
    r"gpu(?::(?P<type>\(null\)|[^():]+?))?(?::no_consume)?"
    r":(?P<count>\d{1,12})(?P<unit>[KMGT]?)(?:\((?:S|IDX|CNT):[^()]*\))?"
)


def parse_duration(text: str) -> float | None:
    """Return seconds of `[days-][hours:]minutes:seconds`; None for a word that says there is none.

    Raises:
        ValueError: neither.
    """
    if text in _NO_DURATION:
        return None
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"not a duration: {text!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def parse_time(text: str) -> float | None:
    """Return seconds since the epoch of `2026-11-25T14:03:59` in UTC; None for a word that says there is none.

    Raises:
        ValueError: neither.
    """
    if text in _NO_TIME:
        return None
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text!r}")
    # strptime takes 15 times as long, which counts with 10,000 jobs of three times each.
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def count_tasks(job_id: str) -> int:
    """Return how many array tasks a job id stands for: 17 for `3_[4-20%3]`, 1 for `3_4` and `3`.

    Raises:
        ValueError: brackets that hold no list of tasks.
    """
    if "[" not in job_id:
        return 1
    match = _TASKS.fullmatch(job_id)
    if not match:
        raise ValueError(f"not a list of array tasks: {job_id!r}")
    return sum(_range_length(part) for part in match.group(1).split(","))


def _range_length(part: str) -> int:
    """Return how many numbers `4`, `4-20` or `4-20:2` are."""
    span, _, step = part.partition(":")
    first, _, last = span.partition("-")
    return len(range(int(first), int(last or first) + 1, int(step or 1)))


def expand_nodes(text: str, max_nodes: int = _MAX_NODES) -> list[str]:
    """Return the names in a list such as `gpu01,lrdn[0001-0003,0007]-ib`; at most `max_nodes` of them.

    Raises:
        ValueError: brackets that do not fit.
    """
    names: list[str] = []
    if text in ("", "(null)", "n/a", "N/A"):
        return names
    for word in split_outside_brackets(text):
        for name in _expand(word, max_nodes - len(names)):
            if len(names) >= max_nodes:
                return names
            names.append(name)
    return names


def _expand(word: str, max_names: int) -> list[str]:
    prefix, bracket, rest = word.partition("[")
    if not bracket:
        return [word]
    inside, bracket, suffix = rest.partition("]")
    if not bracket or "[" in inside:
        raise ValueError(f"not a list of nodes: {word!r}")
    tails = _expand(suffix, max_names)
    names: list[str] = []
    for part in inside.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal()):
            raise ValueError(f"not a list of nodes: {word!r}")
        for number in range(int(first), int(last) + 1):
            for tail in tails:
                if len(names) >= max_names:
                    return names
                names.append(f"{prefix}{number:0{len(first)}}{tail}")
    return names


def split_outside_brackets(text: str) -> list[str]:
    """Return the parts between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in "[(":
            depth += 1
        elif char in "])":
            depth = max(depth - 1, 0)
        elif char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def parse_gpus(text: str) -> dict[str, int]:
    """Return GPUs by type from generic resources such as `gpu:a100:4(S:0-1),nvme:1`; no type is `""`.

    Raises:
        ValueError: an entry about GPUs without a number.
    """
    gpus: dict[str, int] = {}
    if text in ("", "(null)", "N/A", "n/a", "none"):
        return gpus
    for entry in split_outside_brackets(text):
        if entry.partition(":")[0] != "gpu":
            continue
        # A node with one GPU may be configured as plain `gpu`.
        match = _GPU.fullmatch("gpu:1" if entry == "gpu" else entry)
        if not match:
            raise ValueError(f"not a number of GPUs: {entry!r}")
        type_name = match["type"] or ""
        type_name = "" if type_name in ("(null)", "no_consume") else type_name
        gpus[type_name] = gpus.get(type_name, 0) + int(match["count"]) * _COUNT_UNITS[match["unit"]]
    return gpus
