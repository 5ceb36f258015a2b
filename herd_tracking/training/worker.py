"""What a worker of a Ray cluster does: the loop, as one of many."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import ray
import ray.train.torch
import torch
from ray.train.v2._internal.execution.callback import WorkerCallback

from herd_tracking.events import TrackingError
from herd_tracking.training.job import Job, do
from herd_tracking.training.loop import Report
from herd_tracking.training.peers import Peers

_SIOCGIFADDR = 0x8915
# glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD (32 MiB is the most it takes).
_MALLOPT = ((-1, 1 << 30), (-2, 1 << 26), (-3, 1 << 25))


def work(config: dict[str, Any]) -> str:
    """Train as one of the workers that Ray has started; return how it ended."""
    job: Job = config["job"]
    mailbox = config["mailbox"]
    context = ray.train.get_context()
    peers = Peers(context.get_world_rank(), context.get_world_size())
    device = ray.train.torch.get_device() if config["uses_gpu"] else torch.device("cpu")
    torch.set_num_threads(max(1, int(config["cpus"])))
    keep_memory()
    told = _Told(mailbox)
    try:
        check_shared(job, config["mark"])
        return do(
            job,
            peers=peers,
            device=device,
            say=told,
            wants_stop=_stop_order(mailbox).is_set if peers.is_first else _never,
        )
    except TrackingError as error:
        # What a user can mend does not mend itself by another try.
        ray.get(mailbox.give_up.remote(str(error)))
        raise
    finally:
        told.wait()


def keep_memory() -> None:
    """Let glibc keep what is freed.

    Ray runs the training in a thread of its own, from which glibc gives memory back to the system after each block of
    events and gets it again page by page: two workers on two cores were a fifth slower (`bench/scaling.py`).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT:
            mallopt(parameter, value)


class _Told:
    """Puts reports into the mailbox and does not wait, but for the last one."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._last: Any = None

    def __call__(self, report: Report) -> None:
        self._last = self._mailbox.put.remote(report)

    def wait(self) -> None:
        """Return when all have arrived."""
        if self._last is not None:
            ray.get(self._last)


def check_shared(job: Job, mark: str) -> None:
    """Raise TrackingError unless this node sees the dataset and the directory that the driver sees."""
    node = f"the node {ray.util.get_node_ip_address()}"
    if not (job.directory / mark).is_dir():
        raise TrackingError(
            f"directory: {node} does not see {job.directory} as this notebook does. Choose one that all nodes share."
        )
    if not Path(job.dataset).is_dir():
        raise TrackingError(
            f"dataset: {node} does not see {job.dataset}. Put it where all nodes can read it."
        )


def _never() -> bool:
    return False


def _stop_order(mailbox: Any) -> threading.Event:
    """Return an event that is set when the driver asks to stop."""
    asked = threading.Event()

    def wait() -> None:
        try:
            ray.get(mailbox.wait_for_stop.remote())
        except ray.exceptions.RayError:
            return  # The driver is gone, and soon so is this process.
        asked.set()

    threading.Thread(target=wait, name="herd-stop", daemon=True).start()
    return asked


class OwnInterface(WorkerCallback):
    """Lets gloo and NCCL use the network that Ray uses: by themselves they take that of the host's name.

    On the nodes of a supercomputer that is often another one, or loopback. Runs in each worker, before the process
    group is made.
    """

    def after_init_train_context(self) -> None:
        """Name the interface in the environment, where nobody has named one."""
        name = interface_of(ray.util.get_node_ip_address())
        if name:
            for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(variable, name)


def interface_of(address: str) -> str | None:
    """Return the name of the interface that has the IPv4 ``address``; None if none has it."""
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # It has no IPv4 address.
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
