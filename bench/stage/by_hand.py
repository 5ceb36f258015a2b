"""Ray nodes as somebody starts them by hand: `ray start` with every port given, on loopback addresses of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .parts import until

HERE = Path(__file__).parent
_PORTS_OF_A_NODE = 30
_FIRST_PORT = 14000


@contextmanager
def node(folder: Path, number: int, token: str, cpus: int, address: str | None) -> Iterator[dict[str, Any]]:
    """One Ray node: a head when there is no ``address`` to join; yields its own IP address and GCS port."""
    ip, port = f"127.93.7.{number}", _FIRST_PORT + _PORTS_OF_A_NODE * number
    ports = {
        name: port + offset
        for offset, name in enumerate(
            (
                "node-manager-port",
                "object-manager-port",
                "dashboard-agent-grpc-port",
                "dashboard-agent-listen-port",
                "runtime-env-agent-port",
                "metrics-export-port",
            ),
            start=1,
        )
    }
    words = [f"--{name}={value}" for name, value in ports.items()]
    words += [f"--min-worker-port={port + 10}", f"--max-worker-port={port + _PORTS_OF_A_NODE - 1}"]
    if address is None:
        words += ["--head", f"--port={port}", f"--dashboard-port={port + 8}", f"--dashboard-host={ip}"]
    else:
        words += [f"--address={address}"]
    # Sockets need short paths.
    with (
        tempfile.TemporaryDirectory(prefix="rh-", dir="/tmp") as temp,
        (folder / f"node-{number}.log").open("w") as log,
    ):
        process = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "ray"), "start", *words, f"--node-ip-address={ip}"),
                *(
                    f"--num-cpus={cpus}",
                    "--object-store-memory=134217728",
                    "--block",
                    "--disable-usage-stats",
                ),
                f"--temp-dir={temp}",
            ],
            stdout=log,
            stderr=log,
            env=environment(token),
            start_new_session=True,
        )
        try:
            yield {"ip": ip, "port": port, "log": Path(log.name)}
        finally:
            end(process)


def environment(token: str) -> dict[str, str]:
    """Return what Ray needs to know of the token, with what there is."""
    return {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }


def end(process: subprocess.Popen) -> None:
    """End a node and all that it has started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)


def cluster(folder: Path) -> float:
    """Return the seconds from nothing to the first result: a head, a worker and the notebook's node side by side."""
    token = secrets.token_urlsafe(33)
    started = time.time()
    with ExitStack() as nodes:
        head = nodes.enter_context(node(folder, 1, token, 0, None))
        address = f"{head['ip']}:{head['port']}"
        driver = nodes.enter_context(waiting_driver(token))
        until(lambda: is_open(head["ip"], head["port"]), 60, "the head by hand did not start")
        nodes.enter_context(node(folder, 2, token, 1, address))
        return first_result(driver, address, token, folder) - started


def attach(address: str, token: str, folder: Path) -> float:
    """Return the seconds from nothing to the first result on a cluster that runs."""
    with waiting_driver(token) as driver:
        time.sleep(3)  # a notebook's kernel is there before
        started = time.time()
        return first_result(driver, address, token, folder) - started


def first_result(driver: subprocess.Popen, address: str, token: str, folder: Path) -> float:
    """Start the notebook's node, connect, run a task; return when its result was there (epoch seconds)."""
    with node(folder, 3, token, 0, address) as own:
        until(
            lambda: "Ray runtime started" in own["log"].read_text(), 120, "the notebook's node did not start"
        )
        assert driver.stdin is not None and driver.stdout is not None
        driver.stdin.write(f"{json.dumps({'address': address, 'ip': own['ip']})}\n")
        driver.stdin.flush()
        for line in driver.stdout:
            if line.startswith("RESULT "):
                return float(line.split()[1])
    raise RuntimeError("the driver by hand ended without a result")


@contextmanager
def waiting_driver(token: str) -> Iterator[subprocess.Popen]:
    """A notebook's kernel, so to speak: it imports Ray when it is told where the cluster is."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "hand_driver.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(token),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def is_open(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def read_rendezvous(manifest: dict[str, Any]) -> str:
    """Return the address of the head of a cluster, from the file in which it says where it is."""
    head = manifest["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    file = next(one["value"] for one in head["env"] if one["name"] == "RAYSTER_RAY_RENDEZVOUS")
    until(Path(file).exists, 90, "the head did not say where it is")
    return str(json.loads(Path(file).read_text())["address"])
