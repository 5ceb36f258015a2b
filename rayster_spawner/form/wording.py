"""How the pages say amounts and choices to people. Pure; `static/form.js` says them the same way."""

from ..options import ServerOptions
from ..profiles import Profile
from ..quantities import format_memory, format_number

_MINUTES_PER_DAY = 24 * 60


def _parts(walltime_minutes: int) -> tuple[int, int, int]:
    """Return days, hours, minutes; two days and less are all hours, as people at batch systems say them."""
    days = walltime_minutes // _MINUTES_PER_DAY if walltime_minutes > 2 * _MINUTES_PER_DAY else 0
    hours, minutes = divmod(walltime_minutes - days * _MINUTES_PER_DAY, 60)
    return days, hours, minutes


def duration_words(walltime_minutes: int) -> str:
    """Return ``walltime_minutes`` for reading: ``24 h``, ``1 h 30 min``, ``7 d``."""
    parts = zip(_parts(walltime_minutes), ("d", "h", "min"), strict=True)
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 min"


def duration_text(walltime_minutes: int) -> str:
    """Return ``walltime_minutes`` as a person types it and as `parse_walltime_minutes` reads it: ``1h30m``."""
    parts = zip(_parts(walltime_minutes), "dhm", strict=True)
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0m"


def count(number: float, thing: str) -> str:
    """Return ``number`` with its ``thing`` in the fitting form: ``1 core``, ``8 cores``."""
    return f"{format_number(number)} {thing}{'' if number == 1 else 's'}"


def devices(number: int, kind: str | None) -> str:
    """Return ``number`` devices of a ``kind``: ``4 × NVIDIA A100``, without one ``4 GPUs``."""  # noqa: RUF002
    return f"{number} \N{MULTIPLICATION SIGN} {kind}" if kind else count(number, "GPU")


def summarise(profile: Profile, options: ServerOptions) -> str:
    """Return one plain line: ``Leonardo Booster: 8 cores, 64 GiB, 1 GPU for 2 h``."""
    amounts = [count(options.cpu, "core"), format_memory(options.memory_mib)]
    if options.gpu:
        amounts.append(count(options.gpu, "GPU"))
    line = f"{profile.title}: {', '.join(amounts)}"
    if options.walltime_minutes is not None:
        line += f" for {duration_words(options.walltime_minutes)}"
    return line
