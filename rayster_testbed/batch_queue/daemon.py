"""The queue's daemon: answers the commands over a unix socket and looks after the jobs."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import pwd
import shlex
import socket
import struct
import sys
from pathlib import Path

from rayster_testbed.batch_queue import client
from rayster_testbed.batch_queue.commands import Caller, Reply, answer
from rayster_testbed.batch_queue.controller import Queue

log = logging.getLogger(__name__)

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
_TICK_SECONDS = 0.1
_MAX_REQUEST_BYTES = 4 * 1024**2


class Daemon:
    """Serves one queue in one directory.

    Args:
        queue: the queue.
        directory: short absolute directory for the socket and `bin/`.

    Raises:
        OSError: another daemon serves this directory.
    """

    def __init__(self, queue: Queue, directory: Path):
        self._queue = queue
        self._directory = directory
        self._lock = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another batch queue runs in {directory}") from None

    async def serve(self, stop: asyncio.Event, ready_file: Path | None) -> None:
        """Serve until `stop` is set."""
        path = self._directory / "socket"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connection, path, limit=_MAX_REQUEST_BYTES)
        path.chmod(0o600)
        self._write_commands(path)
        self._announce(ready_file)
        async with server:
            await self._tick_until(stop)

    async def cancel_jobs(self, timeout_seconds: float = 30) -> None:
        """Cancel every job and wait until its processes have ended."""
        for job in self._queue.live():
            self._queue.cancel(job)
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self._queue.live() and asyncio.get_running_loop().time() < deadline:
            self._queue.tick()
            await asyncio.sleep(_TICK_SECONDS)

    async def _tick_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._queue.tick()
            try:
                await asyncio.wait_for(stop.wait(), _TICK_SECONDS)
            except asyncio.TimeoutError:
                continue

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            uid = _peer_uid(writer.get_extra_info("socket"))
            caller = Caller(uid, _user(uid), request["directory"], request["environment"])
            reply = answer(self._queue, request["command"], request["argv"], caller)
        except (ValueError, KeyError) as error:
            log.warning("unreadable request: %r", error)
            reply = Reply(err=f"error: unreadable request: {error}\n", status=1)
        writer.write(json.dumps(vars(reply)).encode() + b"\n")
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            log.info("a caller did not wait for its answer")

    def _announce(self, ready_file: Path | None) -> None:
        log.info("ready: commands in %s", self._directory / "bin")
        if ready_file:
            ready_file.write_text("ready\n")

    def _write_commands(self, path: Path) -> None:
        (self._directory / "bin").mkdir(exist_ok=True)
        for name in COMMANDS:
            words = [sys.executable, "-I", "-S", str(Path(client.__file__).resolve()), str(path), name]
            program = self._directory / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            program.chmod(0o755)


def _peer_uid(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
