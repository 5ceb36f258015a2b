"""Attaches this kernel to a cluster: one at a time, and as often as one likes."""

import sys
import threading
import time
from collections.abc import Callable

from ..launcher import gcs, versions
from . import driver, errors
from .interrupt import interrupt_ray_call
from .notebook_node import NotebookNode
from .target import AttachTarget, Found, find
from .watch import Watch

_HEAD_SECONDS = 15.0
_NODE_SECONDS = 120.0
_POLL_SECONDS = 0.1

_lock = threading.RLock()
_current: "Attachment | None" = None
_prepared: NotebookNode | None = None


class Attachment:
    """This kernel as the driver of a cluster, and its own Ray node. The next one, or the kernel's end, ends it too."""

    def __init__(self, target: AttachTarget, head: Found, node: NotebookNode) -> None:
        self.target = target
        self.head_address = head.address
        self.node = node
        self.lost: str | None = None
        self._watch: Watch | None = None

    @property
    def is_attached(self) -> bool:
        """Whether this kernel is this cluster's driver, and nothing is known to be lost."""
        return _current is self and self.lost is None

    def detach(self) -> None:
        """End this kernel's part in the cluster: its connection and its node, nothing else. The cluster stays."""
        global _current
        with _lock:
            if _current is not self:
                return
            _current = None
            self._stop_watch()
            try:
                driver.disconnect()
            finally:
                self.node.stop()

    def _start_watch(self, on_lost: Callable[[str], None]) -> None:
        head = self.head_address.rpartition(":")

        def look() -> str | None:
            if not self.node.is_running:
                return f"The notebook's own Ray node has ended. {self.node.last_words()}"
            if not gcs.is_open(head[0], int(head[2])):
                return f"The head of cluster {self.target.cluster} does not answer any more."
            return None

        def lost(fault: str) -> None:
            self.lost = fault
            on_lost(
                f"{fault} Objects and tasks of this session are lost; attach() again when the cluster is up."
            )
            interrupt_ray_call()

        self._watch = Watch(look, lost)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.stop()


def prepare(share_cpus: int = 0) -> None:
    """Begin to start this notebook's node, before its cluster is there: it imports Ray meanwhile. Returns at once."""
    global _prepared
    with _lock:
        if versions.own_ray() is not None and not (_prepared and _prepared.is_running):
            _prepared = NotebookNode(share_cpus)


def attach(
    target: AttachTarget,
    share_cpus: int = 0,
    on_lost: Callable[[str], None] | None = None,
    timeout_seconds: float = _NODE_SECONDS,
) -> Attachment:
    """Make this kernel the driver of ``target``; return when tasks can be submitted.

    ``share_cpus`` CPUs of the notebook's server take part in the cluster. ``on_lost`` is told, in a thread of its own,
    when the head or the node is gone; by default it is printed. An attachment to another cluster ends.
    Raises AttachError with what is wrong and what to do.
    """
    global _current
    with _lock:
        if versions.own_ray() is None:
            raise errors.NoRay(driver.no_ray_sentence())
        if _current is not None:
            _current.detach()
        elif driver.is_connected():
            raise errors.AlreadyConnected(
                "This kernel is connected to a Ray already, which RaySTER has not started: `ray.shutdown()` ends that."
            )
        driver.prepare_environment()
        try:
            head, node = _start(target, share_cpus, timeout_seconds)
        except errors.NodeFailed:
            # Ray gives up when a node is not up within 30 s, as on a machine that does too much at once.
            head, node = _start(target, share_cpus, timeout_seconds)
        _current = Attachment(target, head, node)
        _current._start_watch(on_lost or _print)
        return _current


def detach() -> None:
    """End this kernel's attachment, if there is one."""
    with _lock:
        if _current is not None:
            _current.detach()


def current() -> Attachment | None:
    """Return this kernel's attachment, or None."""
    return _current


def _start(target: AttachTarget, share_cpus: int, timeout_seconds: float) -> tuple[Found, NotebookNode]:
    """Start the node and connect by it; nothing is left of it when that fails."""
    node = _take_node(share_cpus)
    try:
        head = _wait_for_head(target)
        node.join(target, head.address)
        # While the node starts in its own process.
        driver.import_ray()
        node.wait_until_up(timeout_seconds)
        driver.connect(head.address, target.token, node.address, node.temp_dir, target.dashboard_url)
    except BaseException:
        node.stop()
        raise
    return head, node


def _take_node(share_cpus: int) -> NotebookNode:
    global _prepared
    prepared, _prepared = _prepared, None
    if prepared is not None and prepared.is_running and prepared.cpus == share_cpus:
        return prepared
    if prepared is not None:
        prepared.stop()
    return NotebookNode(share_cpus)


def _wait_for_head(target: AttachTarget, timeout_seconds: float = _HEAD_SECONDS) -> Found:
    """Return the head once it has taken the token and its versions are right. Raises AttachError."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return _check(target)
        except errors.HeadNotThere:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _check(target: AttachTarget) -> Found:
    head = find(target)
    _compare(head.ray_version, head.python_version)
    if not gcs.is_open(head.host, head.port):
        raise errors.HeadNotThere(
            f"The head of cluster {target.cluster} does not answer at {head.address}: it has ended and is started "
            "again (try again in a minute), or this notebook's network does not reach it."
        )
    try:
        found = gcs.ask(head.address, target.token)
    except gcs.TokenRefused:
        raise errors.TokenRefused(
            f"The head at {head.address} does not take the token of cluster {target.cluster}: another cluster's head "
            "has that address now, or the cluster was made anew. Look at its state, and attach again."
        ) from None
    except gcs.NoAnswer as error:
        raise errors.HeadNotThere(
            f"The head of cluster {target.cluster} does not answer Ray's questions at {head.address} ({error})."
        ) from None
    _compare(found.ray, found.python)
    return head


def _compare(ray: str | None, python: str | None) -> None:
    differing = versions.difference(ray, python, versions.own_ray(), versions.own_python())
    if differing is not None:
        raise errors.VersionsDiffer(differing)


def _print(text: str) -> None:
    print(f"RaySTER: {text}", file=sys.stderr)
