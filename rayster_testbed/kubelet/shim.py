"""Runs one container's process and outlives the kubelet: a stand-alone script, started as `python -I -S shim.py DIR`.

DIR holds `spec.json` (argv, env, cwd). The shim writes `state.json` when the process runs, `log` in the container
runtime's line format, and `exit.json` when it has ended. It is the reaper of all descendants, so none escapes it: when
the first process ends, the others are killed, as in a container. SIGTERM is passed on to the first process; SIGUSR1
kills everything. Only the standard library is used, so that it starts quickly and needs no environment.
"""

# Importing pathlib would be a third of the start-up time of every container.
# ruff: noqa: PTH105, PTH118, PTH123, PTH208

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LONGEST_LINE_BYTES = 16384
DRAIN_SECONDS = 2.0

libc = ctypes.CDLL(None, use_errno=True)


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def write_json(directory: str, name: str, content: dict) -> None:
    """Whole or not at all: the kubelet may look at any moment."""
    draft = os.path.join(directory, f".{name}")
    with open(draft, "w") as file:
        json.dump(content, file)
    os.replace(draft, os.path.join(directory, name))


def start_ticks(pid: int) -> int:
    """When a process started; with its pid this names it for ever."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as file:
                parents.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(int(entry))
    found, queue = [], [root]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def start_error(argv: list, error: OSError) -> str:
    """What the container runtime says when it cannot execute a command."""
    command = argv[0]
    if isinstance(error, FileNotFoundError) and "/" not in command:
        return f'exec: "{command}": executable file not found in $PATH'
    if isinstance(error, FileNotFoundError):
        return f'exec: "{command}": stat {command}: no such file or directory'
    if isinstance(error, PermissionError):
        return f'exec: "{command}": permission denied'
    return f'exec: "{command}": {error.strerror}'


class LogWriter:
    """Turns the two output streams into lines `<time> <stream> <F|P> <text>`."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115  (open as long as the shim lives)
        self.pending = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, data: bytes) -> None:
        *lines, rest = (self.pending[stream] + data).split(b"\n")
        out = [self.line(stream, b"F", line) for line in lines]
        while len(rest) >= LONGEST_LINE_BYTES:
            out.append(self.line(stream, b"P", rest[:LONGEST_LINE_BYTES]))
            rest = rest[LONGEST_LINE_BYTES:]
        self.pending[stream] = rest
        if out:
            self.file.write(b"".join(out))

    def flush(self, stream: str) -> None:
        if self.pending[stream]:
            self.file.write(self.line(stream, b"P", self.pending[stream]))
            self.pending[stream] = b""

    def line(self, stream: str, tag: bytes, text: bytes) -> bytes:
        return b" ".join([now().encode(), stream.encode(), tag, text]) + b"\n"


class Shim:
    def __init__(self, directory: str) -> None:
        self.directory = directory
        with open(os.path.join(directory, "spec.json")) as file:
            self.spec = json.load(file)
        self.selector = selectors.DefaultSelector()
        self.log = LogWriter(os.path.join(directory, "log"))
        self.main_pid = 0
        self.main_status: int | None = None
        self.killed = False

    def start(self) -> bool:
        """Start the process; whether it runs."""
        wakeup, wakeup_write = os.pipe()
        for descriptor in (wakeup, wakeup_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.pass_on(signal.SIGTERM))
        signal.signal(signal.SIGUSR1, lambda *_: self.kill_all())
        for number in (signal.SIGHUP, signal.SIGINT):
            # A handler, not SIG_IGN: what is ignored stays ignored in the container's process.
            signal.signal(number, lambda *_: None)
        self.selector.register(wakeup, selectors.EVENT_READ, "wakeup")
        streams = {}
        for name in ("stdout", "stderr"):
            read, streams[name] = os.pipe()
            self.selector.register(read, selectors.EVENT_READ, name)
        started = now()
        try:
            process = subprocess.Popen(
                self.spec["argv"],
                env=self.spec["env"],
                cwd=self.spec["cwd"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # Should the shim itself be killed, nothing would reap the process or record its end.
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
                stdout=streams["stdout"],
                stderr=streams["stderr"],
            )
        except OSError as error:
            failure = {"start_error": start_error(self.spec["argv"], error), "finished_at": now()}
            write_json(self.directory, "exit.json", failure)
            return False
        finally:
            for descriptor in streams.values():
                os.close(descriptor)
        self.main_pid = process.pid
        process.returncode = 0  # reaped below, by pid; Popen must not wait for it too
        shim = {"shim_pid": os.getpid(), "shim_ticks": start_ticks(os.getpid())}
        write_json(self.directory, "state.json", {**shim, "pid": process.pid, "started_at": started})
        return True

    def pass_on(self, number: int) -> None:
        if self.main_pid and self.main_status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.main_pid, number)

    def kill_all(self) -> None:
        self.killed = True
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def run(self) -> None:
        while self.main_status is None:
            self.pump(None)
            self.reap()
        finished = now()
        self.end_descendants()
        deadline = time.monotonic() + DRAIN_SECONDS
        while len(self.selector.get_map()) > 1 and time.monotonic() < deadline:
            self.pump(0.1)
        for name in ("stdout", "stderr"):
            self.log.flush(name)
        code = os.waitstatus_to_exitcode(self.main_status)
        write_json(
            self.directory,
            "exit.json",
            {"exit_code": 128 - code if code < 0 else code, "finished_at": finished},
        )

    def pump(self, timeout: float | None) -> None:
        for key, _ in self.selector.select(timeout):
            data = os.read(key.fd, 65536)
            if key.data == "wakeup":
                continue
            if data:
                self.log.feed(key.data, data)
            else:
                self.selector.unregister(key.fd)
                os.close(key.fd)

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.main_pid:
                self.main_status = status

    def end_descendants(self) -> None:
        """Kill what the first process left behind, until nothing is left."""
        while True:
            self.kill_all()
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def main() -> None:
    directory = sys.argv[1]
    ready, ready_write = os.pipe()
    if os.fork() > 0:
        # The parent waits until the process runs (or could not be started), then leaves the shim on its own.
        os.close(ready_write)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    os.setsid()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    errors = os.open(os.path.join(directory, "shim.err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    shim = Shim(directory)
    running = shim.start()
    os.close(ready_write)
    if running:
        shim.run()


if __name__ == "__main__":
    main()
