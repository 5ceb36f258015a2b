"""Keeps a notebook's Ray node: a process beside the kernel that ends the node when the kernel ends, however it does.

Standard input: a line of JSON ``{"parent": pid, "cpus": n, "memory_bytes": n | null}``, then, when the cluster is
known, ``{"cluster", "address", "token", "node_network", "plasma_directory"}``. Its end before that ends the keeper.
Standard output: a line ``rayster-node {"address", "temp_dir"}``, then what `ray start` says.
"""

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from ..launcher import command, node, processes
from ..launcher.failures import ExitCode, LaunchError
from ..launcher.settings import NodeSettings, network_of
from ..launcher.waiting import Head

NODE_LINE = "rayster-node "
_LOOK_SECONDS = 0.2


def main() -> int:
    """Run the node that standard input describes; return the exit status."""
    told = _read(lambda: None)
    parent = int(told["parent"])

    def alive() -> None:
        if os.getppid() != parent:
            processes.ignore_signals()
            raise processes.Ended("the end of the kernel")

    def find(settings: NodeSettings, alive: Callable[[], None]) -> tuple[NodeSettings, Head]:
        order = _read(alive)
        host, _, port = str(order["address"]).rpartition(":")
        found = NodeSettings(
            cluster=order["cluster"],
            cpus=settings.cpus,
            memory_bytes=settings.memory_bytes,
            node_network=network_of(order["node_network"], "node_network"),
            plasma_directory=order["plasma_directory"],
            token=order["token"],
        )
        return found, Head(host, int(port))

    def announce(what: command.Node) -> None:
        print(NODE_LINE + json.dumps({"address": what.address, "temp_dir": what.temp_dir}), flush=True)

    settings = NodeSettings(cpus=told["cpus"], memory_bytes=told["memory_bytes"])
    try:
        processes.end_on_signals()
        alive()
        return node.run(settings, _say, find, alive, announce)
    except LaunchError as error:
        _say(str(error))
        return error.code
    except processes.Ended:
        return ExitCode.ENDED


def _read(alive: Callable[[], None]) -> dict[str, Any]:
    """Return the next line of standard input. Raises Ended when there will be none."""
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        alive()
    # Byte by byte, so that the next line is left for the next `select`.
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            _end()
        line += byte
    order: dict[str, Any] = json.loads(line)
    return order


def _end() -> NoReturn:
    processes.ignore_signals()
    raise processes.Ended("the end of its orders")


def _say(text: str) -> None:
    print(f"rayster: {text}", flush=True)
