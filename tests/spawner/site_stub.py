"""A site that does what a test says: its pods' servers, its virtual node, its agent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from .processes import Api, own_ip, wait_until

NAMESPACE = "rayster"


class Server(BaseHTTPRequestHandler):
    """A Jupyter server as far as the hub can tell: its API answers under its base URL."""

    def do_GET(self) -> None:
        known = self.server.base_url is not None and self.path == f"{self.server.base_url}api"
        body = b'{"version": "2.0"}' if known else b"not here"
        self.send_response(200 if known else 404)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Agent:
    """A site's agent that says what a test says of the jobs of pods, by the pod's name."""

    token = "agents-token-0123456789"

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        agent = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = {"version": 1, "site": "padova", "age_seconds": 1.0, "error": None}
                if self.path == "/v1/jobs":
                    said["jobs"] = list(agent.jobs.values())
                body = json.dumps(said).encode()
                known = self.headers.get("Authorization") == f"Bearer {agent.token}"
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((own_ip(), 0), Answer)
        self.url = f"http://{own_ip()}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def say(self, pod: dict[str, Any], state: str, **facts: Any) -> None:
        """Say what the job of a pod does."""
        metadata = pod["metadata"]
        job = {"id": metadata["annotations"].get("JobID", "42"), "pod_uid": metadata["uid"], "state": state}
        self.jobs[metadata["name"]] = {**job, **facts}

    def close(self) -> None:
        """Be down."""
        self._server.shutdown()
        self._server.server_close()


class Site:
    """Plays scheduler, kubelet and virtual node, one step at a time, over the API server's REST interface."""

    def __init__(self, api: Api):
        self.pods_url = f"{api.url}/api/v1/namespaces/{NAMESPACE}/pods"
        self.events_url = f"{api.url}/api/v1/namespaces/{NAMESPACE}/events"
        self._servers: list[ThreadingHTTPServer] = []

    def pods(self) -> list[dict[str, Any]]:
        """Return all pods."""
        return requests.get(self.pods_url, timeout=5).json()["items"]

    def pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod, or None."""
        answer = requests.get(f"{self.pods_url}/{name}", timeout=5)
        return answer.json() if answer.ok else None

    def wait_for(self, name: str) -> dict[str, Any]:
        """Return a pod when it exists."""
        return wait_until(lambda: self.pod(name))

    def set_status(self, name: str, **status: Any) -> None:
        """Merge ``status`` into a pod's status, as a node does."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = requests.patch(
            f"{self.pods_url}/{name}/status", json={"status": status}, headers=headers, timeout=5
        )
        assert answer.ok, answer.text

    def annotate(self, name: str, **annotations: str) -> None:
        """Write annotations, as the virtual node does with `JobID`."""
        headers = {"Content-Type": "application/merge-patch+json"}
        body = {"metadata": {"annotations": annotations}}
        answer = requests.patch(f"{self.pods_url}/{name}", json=body, headers=headers, timeout=5)
        assert answer.ok, answer.text

    def bind(self, name: str, node: str) -> None:
        """Put a pod on a node. The pod then terminates until the node lets it go."""
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": node}}
        answer = requests.post(f"{self.pods_url}/{name}/binding", json=body, timeout=5)
        assert answer.ok, answer.text

    def delete(self, name: str) -> None:
        """Delete a pod at once."""
        requests.delete(f"{self.pods_url}/{name}", params={"gracePeriodSeconds": 0}, timeout=5)

    def queue(self, name: str, job_id: str = "42") -> dict[str, Any]:
        """Do what a virtual node does when the job was submitted: as found, with the default address."""
        pod = self.wait_for(name)
        self.annotate(name, JobID=job_id)
        waiting = {"waiting": {"reason": "Remote pod submitted", "message": "The pod has been submitted"}}
        self.set_status(
            name,
            phase="Pending",
            podIP=own_ip(),
            hostIP=own_ip(),
            containerStatuses=[self._container(waiting, ready=False)],
        )
        return pod

    def serve(self, name: str, ip: str | None = None) -> ThreadingHTTPServer:
        """Start the server of a pod at its own port, and say nothing to the API server."""
        pod = self.wait_for(name)
        notebook = pod["spec"]["containers"][0]
        environment = {entry["name"]: entry.get("value") for entry in notebook["env"]}
        return self.serve_at(
            ip or own_ip(), notebook["ports"][0]["containerPort"], environment["JUPYTERHUB_SERVICE_PREFIX"]
        )

    def serve_at(self, ip: str, port: int, base_url: str | None) -> ThreadingHTTPServer:
        """Start a server that knows ``base_url`` only, or nothing at all."""
        server = ThreadingHTTPServer((ip, port), Server)
        server.base_url = base_url
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._servers.append(server)
        return server

    def run(self, name: str, ip: str | None = None) -> None:
        """Start the server and say so."""
        self.serve(name, ip)
        self.say_running(name, ip)

    def say_running(self, name: str, ip: str | None = None) -> None:
        """Say that a pod runs."""
        running = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
        containers = [self._container(running, ready=True)]
        self.set_status(name, phase="Running", podIP=ip or own_ip(), containerStatuses=containers)

    def say_failed(self, name: str, reason: str, message: str = "", exit_code: int = 1) -> None:
        """Say that a pod failed, as interLink does."""
        terminated = {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}
        containers = [self._container(terminated, ready=False)]
        self.set_status(name, phase="Failed", reason=reason, message=message, containerStatuses=containers)

    def say_succeeded(self, name: str) -> None:
        """Say that a pod is complete, as interLink does of a job whose nodes are still booting."""
        terminated = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        containers = [self._container(terminated, ready=False)]
        self.set_status(name, phase="Succeeded", reason="Completed", containerStatuses=containers)

    def close(self) -> None:
        """End all servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _container(self, state: dict[str, Any], *, ready: bool) -> dict[str, Any]:
        return {
            "name": "notebook",
            "image": "lab",
            "imageID": "",
            "restartCount": 0,
            "ready": ready,
            "state": state,
        }
