"""A notebook's own Ray node, as the kernel sees it: started, waited for, stopped."""

import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from ..launcher.command import python_module
from ..launcher.failures import ExitCode
from . import errors
from .keeper import NODE_LINE
from .target import AttachTarget

_KEEPER = "rayster_lab.attachment.keeper"
_STARTED = "Ray runtime started."
_KEPT_LINES = 30
_STOP_SECONDS = 10.0
# A node that has lost its head waits for the kernel to say what to do; Ray would end it, loudly, after a minute.
_PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "86400"}


class NotebookNode:
    """One Ray node beside the kernel; it imports Ray at once and joins a cluster when `join` names one."""

    def __init__(self, cpus: int = 0, environ: Mapping[str, str] = os.environ) -> None:
        self.cpus = cpus
        self.address = ""
        self.temp_dir = ""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._changed = threading.Condition()
        self._is_up = False
        self._has_ended = False
        environment = {name: value for name, value in environ.items() if not name.startswith("RAY_AUTH_")}
        self._process = subprocess.Popen(
            python_module(_KEEPER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment | _PATIENCE,
            # Neither an interrupt of a cell nor the end of a terminal reaches it.
            start_new_session=True,
        )
        self._tell(parent=os.getpid(), cpus=cpus, memory_bytes=memory_of(environ))
        threading.Thread(target=self._read, name="rayster-node", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether the node's processes are there."""
        return self._process.poll() is None

    def join(self, target: AttachTarget, address: str) -> None:
        """Start the node, as a member of the cluster whose GCS is at ``address``."""
        self._tell(
            cluster=target.cluster,
            address=address,
            token=target.token,
            node_network=target.node_network,
            plasma_directory=target.plasma_directory,
        )

    def wait_until_up(self, timeout_seconds: float) -> None:
        """Return when the node is a member. Raises AttachError when it ends before, or is not one in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not self._is_up:
                if self._has_ended:
                    raise self._failure()
                if not self._changed.wait(timeout=max(0.0, deadline - time.monotonic())):
                    raise errors.NodeFailed(
                        f"The notebook's Ray node was not up within {timeout_seconds:.0f} s. {self.last_words()}"
                    )

    def last_words(self) -> str:
        """Return the end of what the node has said, for an error."""
        return "It said: " + (" | ".join(list(self._lines)[-5:]) or "nothing")

    def stop(self) -> None:
        """End the node and everything it has started. Returns when it is gone, in a few seconds at most."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self.is_running:
            self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=1)

    def _tell(self, **order: object) -> None:
        assert self._process.stdin is not None
        # A keeper that has ended says why by its output.
        with suppress(OSError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").strip()
            with self._changed:
                if line.startswith(NODE_LINE):
                    found = json.loads(line.removeprefix(NODE_LINE))
                    self.address, self.temp_dir = found["address"], found["temp_dir"]
                elif line:
                    self._lines.append(line)
                    self._is_up = self._is_up or _STARTED in line
                    self._changed.notify_all()
        self._process.wait()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _failure(self) -> errors.AttachError:
        code = self._process.returncode
        kinds: dict[int, type[errors.AttachError]] = {
            ExitCode.NO_RAY: errors.NoRay,
            ExitCode.TOKEN_REFUSED: errors.TokenRefused,
            ExitCode.VERSIONS_DIFFER: errors.VersionsDiffer,
        }
        return kinds.get(code, errors.NodeFailed)(
            f"The notebook's Ray node has ended with status {code}. {self.last_words()}"
        )


def memory_of(environ: Mapping[str, str]) -> int | None:
    """Return the memory of this server in bytes, as JupyterHub's spawner says, or None."""
    try:
        return int(environ["MEM_LIMIT"])
    except (KeyError, ValueError):
        return None
