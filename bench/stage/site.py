"""A site that says what a measurement wants: pods that queue, and an agent that knows their jobs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .parts import NAMESPACE, ask

_MERGE = "application/merge-patch+json"


def pods(url: str) -> list[dict[str, Any]]:
    """Return all pods of the servers."""
    return ask(f"{url}/api/v1/namespaces/{NAMESPACE}/pods")["items"]


def say_queued(url: str, number: int, name: str) -> None:
    """Say of a pod what a virtual node says of a job that waits."""
    pod = f"{url}/api/v1/namespaces/{NAMESPACE}/pods/{name}"
    ask(pod, {"metadata": {"annotations": {"JobID": str(number)}}}, "PATCH", _MERGE)
    container = {
        "name": "notebook",
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {}},
    }
    status = {"phase": "Pending", "podIP": "127.0.0.1", "containerStatuses": [container]}
    ask(f"{pod}/status", {"status": status}, "PATCH", _MERGE)


class _Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: dict[str, Any] = {}
    jobs: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        common = {
            "version": 1,
            "site": "padova",
            "scheduler": "slurm",
            "now": time.time(),
            "age_seconds": 1.0,
        }
        common |= {"collected_at": time.time() - 1, "error": None}
        what = {"jobs": self.jobs} if self.path.startswith("/v1/jobs") else {"partitions": [self.site]}
        body = json.dumps(common | what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def agent(uids: list[str]) -> Iterator[str]:
    """A site agent that knows a waiting job of each pod in ``uids``, which may grow; yields its URL."""

    class Handler(_Agent):
        site = {
            "name": "padova",
            "nodes": {"allocated": 2, "total": 2},
            "cores": {"free": 0, "total": 32},
            "jobs": {"pending": 1000, "running": 2},
            "wait_seconds": {"hours": 6, "jobs": 40, "p50": 1500, "p90": 4000},
        }

        @property
        def jobs(self) -> list[dict[str, Any]]:
            return [
                {
                    "id": str(number),
                    "pod_uid": uid,
                    "partition": "padova",
                    "state": "pending",
                    "raw_state": "PENDING",
                    "reason": "Waiting for free nodes.",
                    "raw_reason": "Resources",
                    "position": number,
                    "expected_start_in_seconds": 60 * number,
                }
                for number, uid in enumerate(uids, 1)
            ]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
