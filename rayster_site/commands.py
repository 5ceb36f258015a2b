"""Runs the batch system's commands: bounded in time and output, in an environment that makes the output predictable."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_READ_BYTES = 1 << 16
_END_SECONDS = 5
_MAX_ERROR_BYTES = 1 << 16
_MAX_MESSAGE_CHARS = 900
# These change what the commands print or ask; SLURM_CONF and the like say where the batch system is and stay.
_DROPPED_PREFIXES = ("SQUEUE_", "SINFO_", "SCANCEL_", "SCONTROL_", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")
_FIXED_ENVIRONMENT = {
    "TZ": "UTC",
    "LC_ALL": "C",
    "SLURM_TIME_FORMAT": "standard",
    # Else the tasks of a waiting array are cut at 64 characters.
    "SLURM_BITSTR_LEN": "0",
}


class CommandError(Exception):
    """A command of the batch system failed or printed what cannot be understood.

    Args:
        command: the command's name.
        message: what it said, cut to some hundred characters.
    """

    def __init__(self, command: str, message: str):
        self.command = command
        self.message = printable(message)
        super().__init__(f"{command}: {self.message}")


def printable(text: str, max_chars: int = _MAX_MESSAGE_CHARS) -> str:
    """Return text in one line without control characters, cut to `max_chars`."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= max_chars else clean[: max_chars - 1] + "…"


def command_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the commands: the agent's own, less what would change their output."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith((*_DROPPED_PREFIXES, "RAYSTER_"))
    }
    return kept | _FIXED_ENVIRONMENT


class CommandRunner:
    """Runs commands.

    Args:
        directory: where they are; None: on the PATH.
        timeout_seconds: after which a command is ended.
        max_output_bytes: of standard output; more is an error.
    """

    def __init__(
        self, directory: Path | None = None, timeout_seconds: float = 20, max_output_bytes: int = 64 << 20
    ):
        self._directory = directory
        self._timeout_seconds = timeout_seconds
        self._max_output_bytes = max_output_bytes

    async def run(self, command: str, *arguments: str) -> bytes:
        """Return what a command printed.

        Raises:
            CommandError: it is not there, failed, printed too much or did not end in time.
        """
        program = str(self._directory / command) if self._directory else command
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=command_environment(os.environ),
                # A command may be a script: what it started ends with it.
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(command, f"cannot be started: {error}") from error
        is_over = False
        try:
            output, errors = await asyncio.wait_for(self._read(process, command), self._timeout_seconds)
            is_over = True
        except asyncio.TimeoutError:
            raise CommandError(command, f"no answer within {self._timeout_seconds:g} s") from None
        finally:
            await _end(process, is_over)
        if process.returncode:
            said = errors.decode(errors="replace") or f"exit status {process.returncode}"
            raise CommandError(command, said)
        return output

    async def _read(self, process: asyncio.subprocess.Process, command: str) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        assert process.stderr is not None
        stderr = asyncio.create_task(_read_start(process.stderr, _MAX_ERROR_BYTES))
        try:
            chunks: list[bytes] = []
            size = 0
            while chunk := await process.stdout.read(_READ_BYTES):
                chunks.append(chunk)
                size += len(chunk)
                if size > self._max_output_bytes:
                    raise CommandError(command, f"more than {self._max_output_bytes} bytes of output")
            errors = await stderr
            await process.wait()
        finally:
            stderr.cancel()
            with suppress(asyncio.CancelledError):
                await stderr
        return b"".join(chunks), errors


async def _read_start(stream: asyncio.StreamReader, max_bytes: int) -> bytes:
    """Read a stream to its end; return its first bytes. Not reading on would block who writes."""
    kept = b""
    while chunk := await stream.read(_READ_BYTES):
        kept += chunk[: max_bytes - len(kept)]
    return kept


async def _end(process: asyncio.subprocess.Process, is_over: bool) -> None:
    if not is_over:
        # Also when it has ended itself: what it started may still hold its output.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # asyncio notices the end of a process only when its pipes have been read to their end.
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_discard(process), _END_SECONDS)


async def _discard(process: asyncio.subprocess.Process) -> None:
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(_READ_BYTES):
            pass
    await process.wait()
