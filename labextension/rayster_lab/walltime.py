"""What a server can know of its own walltime: from SLURM's variables, else from what was asked for in the form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

# SLURM writes "infinite" and "not set" as the two highest numbers of 32 bits.
FIRST_RESERVED: Final = 2**32 - 2
MAX_MINUTES: Final = 366 * 24 * 60


@dataclass(frozen=True)
class Walltime:
    """What is left: ``seconds_left``, None without a walltime; ``is_exact`` is false for a guessed start."""

    seconds_left: int | None
    is_exact: bool
    source: Literal["slurm", "profile"] | None


def walltime(environment: Mapping[str, str], now: float, started: float) -> Walltime:
    """Return what is left of the walltime of the server with this ``environment``.

    ``now`` and ``started`` (of this process) are seconds since 1970. SLURM tells both ends of a job in its environment,
    but older versions (22.05 of Debian 12) tell neither; then the start of this process stands for that of its job,
    which was up to some minutes earlier. A value that is no number counts as not there, and so does an end before this
    process began: that is the end of another job.
    """
    end = _epoch(environment, "SLURM_JOB_END_TIME")
    if end is not None and end > started:
        return Walltime(_left(end, now), True, "slurm")
    minutes = _number(environment, "RAYSTER_WALLTIME_MINUTES", MAX_MINUTES)
    if minutes is None:
        return Walltime(None, False, None)
    if (start := _epoch(environment, "SLURM_JOB_START_TIME")) is not None:
        return Walltime(_left(start + 60 * minutes, now), True, "slurm")
    return Walltime(_left(started + 60 * minutes, now), False, "profile")


def _left(end: float, now: float) -> int:
    return max(0, int(end - now))


def _epoch(environment: Mapping[str, str], name: str) -> int | None:
    return _number(environment, name, FIRST_RESERVED - 1)


def _number(environment: Mapping[str, str], name: str, highest: int) -> int | None:
    text = environment.get(name, "").strip()
    # The length first: Python refuses to read endless numbers.
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return None
    return value if 1 <= (value := int(text)) <= highest else None
