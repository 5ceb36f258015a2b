"""Finds in Ray's log files why a node did not come up, before they are removed with the node."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LINES = 20
_LONGEST_LINE = 400
_TAIL_BYTES = 64 * 1024
# Ray's C++ writes a letter for the severity: [2026-11-25 18:03:03,907 E 29160 29160] (raylet) ...
_FAULT = re.compile(r"^\[[0-9 :,.-]+ [EFC] |\b(ERROR|CRITICAL|Error|Exception)\b")


def last_faults(temp_dir: str) -> list[str]:
    """Return what the node's processes have complained of last, each line with the name of its log file."""
    found: list[str] = []
    for path in sorted(Path(temp_dir).glob("session_2*/logs/*")):
        if path.suffix in (".err", ".out", ".log") and path.is_file():
            with suppress(OSError):
                found += [f"{path.name}: {line}" for line in faults_in(_tail(path).splitlines())][
                    -_LINES // 4 :
                ]
    return found[-_LINES:]


def faults_in(lines: Iterable[str]) -> list[str]:
    """Return those of ``lines`` that tell of a fault, cut to a length that can be read."""
    return [line.strip()[:_LONGEST_LINE] for line in lines if _FAULT.search(line)]


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace")
