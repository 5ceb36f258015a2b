"""Amounts that people write with a unit (memory, walltime), as integers with the unit in the name."""

import math
import re
from decimal import Decimal

MEMORY_HELP = "an amount with a unit, such as 512Mi, 4Gi or 1.5GB"
WALLTIME_HELP = "a duration such as 30m, 8h, 1d, 1h30m, HH:MM:SS or D-HH:MM:SS"

# An amount that no machine has stops here, before it becomes a long number anywhere else.
MAX_MEMORY_MIB = 2**40 // 2**10
MAX_WALLTIME_MINUTES = 366 * 24 * 60

_MIB = 2**20
_BYTES_PER_UNIT = {
    "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([kmgt]?i?b?)", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,3})-)?([0-9]{1,4}):([0-5][0-9])(?::([0-5][0-9]))?", re.ASCII)
_UNITS = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m(?:in)?)?", re.ASCII)


def parse_memory_mib(text: str) -> int:
    """Return the MiB in ``text``, rounded up. Raises ValueError when it is not an amount with a unit."""
    match = _MEMORY.fullmatch(text.strip())
    factor = _BYTES_PER_UNIT.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"must be {MEMORY_HELP}")
    mib = math.ceil(Decimal(match[1]) * factor / _MIB)
    if mib > MAX_MEMORY_MIB:
        raise ValueError("is more memory than any machine has")
    return mib


def parse_walltime_minutes(text: str) -> int:
    """Return the minutes in ``text``, rounded up. Raises ValueError when it is not a duration."""
    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        minutes += (days * 24 + hours) * 60 + (1 if seconds else 0)
    elif text and (units := _UNITS.fullmatch(text)):
        days, hours, minutes = (int(part or 0) for part in units.groups())
        minutes += (days * 24 + hours) * 60
    else:
        raise ValueError(f"must be {WALLTIME_HELP}")
    if minutes > MAX_WALLTIME_MINUTES:
        raise ValueError("is longer than a year")
    return minutes


def format_memory(memory_mib: int) -> str:
    """Return ``memory_mib`` as people read it: ``1536 MiB``, ``4 GiB``."""
    return f"{memory_mib // 1024} GiB" if memory_mib % 1024 == 0 else f"{memory_mib} MiB"


def format_walltime(walltime_minutes: int) -> str:
    """Return ``walltime_minutes`` for reading: ``24 h``, ``1 h 30 min``, ``7 d``."""
    parts = zip(_days_hours_minutes(walltime_minutes), ("d", "h", "min"), strict=True)
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 min"


def walltime_text(walltime_minutes: int) -> str:
    """Return ``walltime_minutes`` as a person types it and as `parse_walltime_minutes` reads it: ``1h30m``."""
    parts = zip(_days_hours_minutes(walltime_minutes), "dhm", strict=True)
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0m"


def _days_hours_minutes(minutes: int) -> tuple[int, int, int]:
    # Two days and less are all hours, as people at batch systems say them.
    days = minutes // (24 * 60) if minutes > 48 * 60 else 0
    hours, minutes = divmod(minutes - days * 24 * 60, 60)
    return days, hours, minutes


def slurm_time(walltime_minutes: int) -> str:
    """Return ``walltime_minutes`` as sbatch reads it: ``D-HH:MM:SS`` or ``HH:MM:SS``."""
    days, rest = divmod(walltime_minutes, 24 * 60)
    clock = f"{rest // 60:02d}:{rest % 60:02d}:00"
    return f"{days}-{clock}" if days else clock


def format_number(number: float) -> str:
    """Return ``number`` with at most three decimals and no more than it needs: ``4``, ``0.5``."""
    return f"{number:.3f}".rstrip("0").rstrip(".")
