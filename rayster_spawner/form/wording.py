"""How the pages say amounts and choices to people. Pure; `static/form.js` says them the same way."""

from ..options import ServerOptions
from ..profiles import Profile
from ..quantities import format_memory, format_number, format_walltime


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
        line += f" for {format_walltime(options.walltime_minutes)}"
    return line
