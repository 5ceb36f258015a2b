"""SLURM's ways to write times, memory sizes and lists of nodes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime, tzinfo

_MEMORY_MIB = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
UNLIMITED = -1


def parse_walltime(text: str) -> int:
    """Return minutes, rounded up; `UNLIMITED` for 0 and for words that say so.

    Raises:
        ValueError: none of `m`, `m:s`, `h:m:s`, `d-h`, `d-h:m`, `d-h:m:s`.
    """
    if text.upper() in ("UNLIMITED", "INFINITE", "0"):
        return UNLIMITED
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not match:
        raise ValueError(text)
    days, *parts = match.groups()
    first, second, third = (int(part or 0) for part in parts)
    if days is not None:
        seconds = int(days) * 86400 + first * 3600 + second * 60 + third
    elif parts[2] is not None:
        seconds = first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    return math.ceil(seconds / 60) or UNLIMITED


def parse_memory(text: str) -> int:
    """Return MiB of a size such as `300`, `4G` or `512000K`.

    Raises:
        ValueError: not such a size.
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text, re.IGNORECASE)
    if not match:
        raise ValueError(text)
    return math.ceil(int(match.group(1)) * _MEMORY_MIB[match.group(2).upper()])


def show_duration(seconds: float) -> str:
    """Return `[days-][hours:]minutes:seconds`."""
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}-{hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def show_time(seconds: float, zone: tzinfo | None = None) -> str:
    """Return time as SLURM writes it, N/A for 0; in local time when no zone is given."""
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%dT%H:%M:%S") if seconds else "N/A"


def show_memory(mib: int) -> str:
    """Return a size such as `2000M` or `4G`."""
    if mib and mib % 1024 == 0:
        return f"{mib // 1024}G"
    return f"{mib}M" if mib else "0"


def show_hosts(names: Iterable[str]) -> str:
    """Return node names with runs of numbers folded: `lrdn[0001-0002]`."""
    groups: dict[tuple[str, int], list[int]] = {}
    for name in names:
        prefix = name.rstrip("0123456789")
        number = name[len(prefix) :]
        groups.setdefault((prefix, len(number)), []).append(int(number or 0))
    shown = []
    for (prefix, width), numbers in groups.items():
        if len(numbers) == 1 or not width:
            shown.append(f"{prefix}{numbers[0]:0{width}}" if width else prefix)
            continue
        runs: list[list[int]] = []
        for index in sorted(numbers):
            if runs and index == runs[-1][1] + 1:
                runs[-1][1] = index
            else:
                runs.append([index, index])
        parts = [f"{a:0{width}}" + (f"-{b:0{width}}" if b > a else "") for a, b in runs]
        shown.append(f"{prefix}[{','.join(parts)}]")
    return ",".join(shown)
