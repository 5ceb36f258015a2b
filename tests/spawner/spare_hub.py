"""A process that has imported the hub and waits: each order on its standard input lets a copy of it be a hub.

Importing is most of a hub's start, and these tests start hubs by the dozen. A copy is a process of its own that runs
the hub's own main function, with its own arguments, environment and log, and can be killed like any other.

An order is a line of JSON (arguments, environment, folder, log); told are lines of JSON (pid; later also its code).
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HUB = ("jupyterhub.app", "jupyterhub.orm", "kubespawner", "rayster_spawner.spawner", "rayster_spawner.form")


class SpareHub:
    """The waiting process, for hubs with one ``environment``: some of it is read while the hub is imported."""

    def __init__(self, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._copies: list[HubProcess] = []
        self._told = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self, arguments: list[str], environment: dict[str, str], folder: Path, log: Path
    ) -> "HubProcess":
        """Let a copy run; return when it does."""
        copy = HubProcess(self._told)
        with self._told:
            self._copies.append(copy)
            order = {
                "arguments": arguments,
                "environment": environment,
                "folder": str(folder),
                "log": str(log),
            }
            assert self._process.stdin
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            assert self._told.wait_for(lambda: copy.pid, 90), "the hub could not be imported"
        return copy

    def close(self) -> None:
        """End the waiting process; copies go on."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            told = json.loads(line)
            with self._told:
                waiting = next((copy for copy in self._copies if copy.pid in (0, told["pid"])), None)
                if waiting:
                    waiting.pid = told["pid"]
                    waiting.returncode = told.get("code", waiting.returncode)
                    if waiting.returncode is not None:
                        self._copies.remove(waiting)
                self._told.notify_all()


class HubProcess:
    """A hub that runs, with what the tests use of `subprocess.Popen`."""

    def __init__(self, told: threading.Condition):
        self._told = told
        self.pid = 0
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it has ended, None if it has not."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        with self._told:
            if self.returncode is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        with self._told:
            if not self._told.wait_for(lambda: self.returncode is not None, timeout):
                raise subprocess.TimeoutExpired(["jupyterhub"], timeout or 0)
        assert self.returncode is not None
        return self.returncode


def tell(**what: Any) -> None:
    """Write a line for the tests' process."""
    os.write(sys.stdout.fileno(), (json.dumps(what) + "\n").encode())


def tell_ended(*_: Any) -> None:
    """Say which copies have ended, and how; as Popen does, a signal is a negative code."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        tell(pid=pid, code=os.waitstatus_to_exitcode(status))


def become(order: dict[str, Any]) -> None:
    """Let this process have the arguments, environment, folder and log of an order."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = ["jupyterhub", *order["arguments"]]
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for new, old in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(new, old)


def main() -> None:
    """Import the hub, wait for orders, let a copy be a hub for each."""
    import importlib

    for name in HUB:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, tell_ended)
    for line in sys.stdin:
        # Nobody may be told that a copy has ended before that it runs.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid:
            tell(pid=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        if not pid:
            become(json.loads(line))
            sys.modules["jupyterhub.app"].main()
            return


if __name__ == "__main__":
    # The tests' folder must not be where the hub finds modules.
    sys.path[0] = str(Path(__file__).parents[2])
    main()
