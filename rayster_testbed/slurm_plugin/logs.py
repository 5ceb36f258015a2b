"""Container logs as the plugin serves them: the job's own output first, then the container's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def output_file(directory: Path, container: str) -> Path:
    """Return the file that a container, or an init container, writes to."""
    run, init = directory / f"run-{container}.out", directory / f"init-{container}.out"
    return init if init.exists() and not run.exists() else run


def read(path: Path) -> bytes:
    """Return the content of a log file; a file that is not there yet is empty."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def select(content: bytes, options: Mapping[str, Any]) -> bytes:
    """Return the part of the log that was asked for.

    Tail comes before Bytes and both together are not supported; timestamps and since are ignored.
    """
    if tail := options.get("Tail"):
        lines = content.split(b"\n")
        # A log that ends with a newline has an empty last piece, which does not count.
        kept = lines if tail >= len(lines) else lines[-tail - 1 :]
        return b"\n".join(kept)
    if limit := options.get("Bytes"):
        return content[-limit:]
    return content
