"""Starts a node from its settings, keeps it, and leaves no process, file or port behind when it ends."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Network
from pathlib import Path

from . import addresses, command, gcs, logs, places, ports, processes, rendezvous, versions
from .failures import ExitCode, LaunchError
from .settings import NodeSettings
from .temp_dir import TempDir
from .waiting import Head, wait_for_head

_RAY_CLI = "rayster_lab.launcher.ray_cli"
# GCS opens within seconds; after that long it will not.
_GCS_POLL_SECONDS = 0.05
LABEL_PYTHON, LABEL_POD = "rayster.dev/python", "rayster.dev/pod"

Say = Callable[[str], None]
# Told the settings and something to call meanwhile: returns the settings completed, and the head (None for a head).
FindHead = Callable[[NodeSettings, Callable[[], None]], tuple[NodeSettings, Head | None]]


def run(
    settings: NodeSettings,
    say: Say,
    find: FindHead | None = None,
    alive: Callable[[], None] = lambda: None,
    announce: Callable[[command.Node], None] = lambda node: None,
) -> int:
    """Run one Ray node until it ends; return its exit status.

    ``find`` finds the head (default: wait as ``settings`` say), ``alive`` is called all the time and raises
    `processes.Ended` when the node is no longer wanted, ``announce`` is told what is about to start.
    Raises LaunchError when it cannot start. To be called in a process of its own: all its children end with it.
    """
    if versions.own_ray() is None:
        raise LaunchError(
            ExitCode.NO_RAY, "Ray is not installed in this environment: add ray[default] to the image."
        )
    clear_rendezvous(settings)
    processes.adopt_orphans()
    with ExitStack() as stack:
        temp_dir = stack.enter_context(TempDir())
        # It imports Ray while this process looks for the head.
        child = processes.start(
            command.python_module(_RAY_CLI),
            command.ray_environment(os.environ, settings.token),
            subprocess.PIPE,
        )
        stack.callback(processes.stop, child, settings.stop_seconds)
        stack.callback(processes.ignore_signals)

        def alive_both() -> None:
            alive()
            if (code := child.poll()) is not None:
                raise LaunchError(
                    ExitCode.NO_RAY, f"Ray cannot be imported in this environment (exit status {code})."
                )

        head: Head | None
        if find is not None:
            settings, head = find(settings, alive_both)
        else:
            head = None if settings.head else wait_for_head(settings, alive_both)
        claim = stack.enter_context(claim_for(settings))
        node = describe(settings, head, claim, temp_dir)
        say(_what(node, head))
        announce(node)
        _order(child, node, head, settings)
        code = _keep(child, node, settings, alive, say, stack)
        if code not in (0, *ExitCode):
            for line in logs.last_faults(temp_dir):
                say(line)
        return code


def claim_for(settings: NodeSettings) -> ports.Claim:
    """Claim a node's ports. Raises LaunchError when the head's own ones are taken and nobody could find others."""
    gcs_port, dashboard_port = settings.gcs_port, settings.dashboard_port
    if not settings.head:
        return ports.claim_ports(settings.cpus or 0)
    if settings.network == "site":
        # The rendezvous file tells what it really is.
        gcs_port = gcs_port if gcs_port and ports.is_free(gcs_port) else None
        dashboard_port = dashboard_port if dashboard_port and ports.is_free(dashboard_port) else None
    for port in (gcs_port, dashboard_port):
        if port is not None and not ports.is_free(port):
            raise LaunchError(
                ExitCode.NO_PORTS, f"Port {port}, chosen for this cluster's head, is in use on its machine."
            )
    return ports.claim_ports(settings.cpus or 0, gcs_port, dashboard_port)


def describe(settings: NodeSettings, head: Head | None, claim: ports.Claim, temp_dir: str) -> command.Node:
    """Return the node that ``settings`` make on this machine. Raises LaunchError."""
    chosen = addresses.choose_address(
        settings.node_network,
        settings.pod_address,
        head.host if head else None,
        addresses.local_addresses(),
        addresses.source_address(head.host) if head else addresses.source_address(),
    )
    address = addresses.address_in(chosen, claim.slot) if isinstance(chosen, IPv4Network) else chosen
    size = places.object_store_bytes(settings.object_store_bytes, settings.memory_bytes)
    return command.Node(
        head=settings.head,
        address=str(address),
        ports=claim.ports,
        temp_dir=temp_dir,
        plasma_directory=places.plasma_directory(settings.plasma_directory, size, temp_dir),
        object_store_bytes=size,
        # A head is there for its workers; tasks on it would take its GCS' memory.
        cpus=settings.cpus if settings.cpus is not None else (0 if settings.head else 1),
        # Ray would count those of the whole machine, also for a notebook's node.
        gpus=settings.gpus or 0,
        memory_bytes=settings.memory_bytes,
        dashboard_host=settings.dashboard_host or command.Node.dashboard_host,
        name=settings.pod,
        labels={LABEL_PYTHON: versions.own_python(), LABEL_POD: settings.pod or ""},
    )


def _order(
    child: "subprocess.Popen[bytes]", node: command.Node, head: Head | None, settings: NodeSettings
) -> None:
    address = head.address if head else None
    order = {
        "arguments": command.ray_start(node, address),
        "environment": {} if settings.token is None else command.ray_environment({}, settings.token),
        "head_address": address,
    }
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.close()
    except BrokenPipeError:
        pass  # It has ended, and its exit status says why.


def _keep(
    child: "subprocess.Popen[bytes]",
    node: command.Node,
    settings: NodeSettings,
    alive: Callable[[], None],
    say: Say,
    stack: ExitStack,
) -> int:
    if not node.head:
        return processes.wait(child, alive)
    announced = False

    def announce() -> None:
        nonlocal announced
        alive()
        if announced or not gcs.is_open(node.address, node.ports.gcs):
            return
        announced = True
        say(f"GCS is open at {node.address}:{node.ports.gcs}.")
        if settings.rendezvous is not None and settings.network == "site":
            path, own = Path(settings.rendezvous), rendezvous_of(node, settings, time.time())
            rendezvous.write(path, own)
            stack.callback(rendezvous.remove_if_own, path, own)

    while not announced and child.poll() is None:
        announce()
        time.sleep(_GCS_POLL_SECONDS)
    return processes.wait(child, alive)


def rendezvous_of(node: command.Node, settings: NodeSettings, now: float) -> rendezvous.Rendezvous:
    """Return what a head tells the others in its rendezvous file."""
    dashboard = node.address if node.dashboard_host in ("0.0.0.0", "::") else node.dashboard_host  # noqa: S104
    return rendezvous.Rendezvous(
        cluster=settings.cluster,
        address=f"{node.address}:{node.ports.gcs}",
        dashboard=f"{dashboard}:{node.ports.dashboard}",
        pod=settings.pod or "",
        at=now,
        ray_version=versions.own_ray() or "",
        python_version=versions.own_python(),
    )


def _what(node: command.Node, head: Head | None) -> str:
    ports_text = ", ".join(f"{name} {port}" for name, port in node.ports.as_json().items())
    role = "head" if node.head else f"worker of the head at {head.address if head else '?'}"
    return (
        f"Ray {versions.own_ray()}, Python {versions.own_python()}, {role}: address {node.address}, "
        f"{node.cpus} CPUs, temp dir {node.temp_dir}, objects {node.object_store_bytes >> 20} MiB in "
        f"{node.plasma_directory}, ports: {ports_text}"
    )


def clear_rendezvous(settings: NodeSettings) -> None:
    """Remove what a head before this one has left, so that nobody looks for that one. Raises LaunchError."""
    if settings.head and settings.network == "site" and settings.rendezvous is not None:
        path = Path(settings.rendezvous)
        rendezvous.make_private(path.parent)
        path.unlink(missing_ok=True)
