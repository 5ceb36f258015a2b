"""A Kubernetes API of the testbed, a site that does what a test says, and a real hub that can be killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_asyncio.config
import pytest
import requests
import yaml

from rayster_spawner.spawner import RaysterSpawner

HERE = Path(__file__).parent
NAMESPACE = "rayster"
HUB_TOKEN = "tests-token-0123456789"


def wait_until(what: Callable[[], Any], timeout_seconds: float = 20, every_seconds: float = 0.05) -> Any:
    """Return the first true answer of ``what``; an exception of the last try is raised at the end."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            if answer := what():
                return answer
        except (requests.RequestException, AssertionError, KeyError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"not so after {timeout_seconds} s: {what}"
        time.sleep(every_seconds)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end(process: subprocess.Popen, how: int = signal.SIGTERM) -> None:
    """End a process that a fixture started, for sure."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Api:
    """The testbed's API server as a process of its own; it keeps its objects when it is killed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kubeconfig = folder / "kubeconfig.yaml"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "tests",
                    "clusters": [{"name": "tests", "cluster": {"server": self.url}}],
                    "users": [{"name": "tests", "user": {}}],
                    "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
                }
            )
        )
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "rayster_testbed.apiserver", "--bind", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self.folder / "api")]
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        wait_until(lambda: requests.get(f"{self.url}/readyz", timeout=2).ok)

    def kill(self) -> None:
        """Kill the process where it stands."""
        assert self.process is not None
        end(self.process, signal.SIGKILL)

    def say_node(self, name: str, *, is_ready: bool) -> None:
        """Say whether a node is ready, as its kubelet does."""
        condition = {"type": "Ready", "status": "True" if is_ready else "False"}
        headers = {"Content-Type": "application/merge-patch+json"}
        body = {"status": {"conditions": [condition]}}
        answer = requests.patch(
            f"{self.url}/api/v1/nodes/{name}/status", json=body, headers=headers, timeout=5
        )
        assert answer.ok, answer.text


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

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
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
            podIP="127.0.0.1",
            hostIP="127.0.0.1",
            containerStatuses=[self._container(waiting, ready=False)],
        )
        return pod

    def serve(self, name: str, ip: str = "127.0.0.1") -> ThreadingHTTPServer:
        """Start the server of a pod at its own port, and say nothing to the API server."""
        pod = self.wait_for(name)
        notebook = pod["spec"]["containers"][0]
        environment = {entry["name"]: entry.get("value") for entry in notebook["env"]}
        return self.serve_at(
            ip, notebook["ports"][0]["containerPort"], environment["JUPYTERHUB_SERVICE_PREFIX"]
        )

    def serve_at(self, ip: str, port: int, base_url: str | None) -> ThreadingHTTPServer:
        """Start a server that knows ``base_url`` only, or nothing at all."""
        server = ThreadingHTTPServer((ip, port), Server)
        server.base_url = base_url
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._servers.append(server)
        return server

    def run(self, name: str, ip: str = "127.0.0.1") -> None:
        """Start the server and say so."""
        self.serve(name, ip)
        self.say_running(name, ip)

    def say_running(self, name: str, ip: str = "127.0.0.1") -> None:
        """Say that a pod runs."""
        running = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
        containers = [self._container(running, ready=True)]
        self.set_status(name, phase="Running", podIP=ip, containerStatuses=containers)

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


class Hub:
    """A real hub process with a database of its own; it may be killed and started again."""

    def __init__(self, folder: Path, api: Api, profiles: Path, settings: dict[str, dict[str, Any]]):
        self.folder, self.api, self.profiles = folder, api, profiles
        self.settings = settings
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hub"
        self.log = folder / "hub.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> "Hub":
        """Start the process and wait until its API answers."""
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "KUBECONFIG": str(self.api.kubeconfig),
            "HUB_PORT": str(self.port),
            "HUB_FOLDER": str(self.folder),
            "HUB_PROFILES": str(self.profiles),
            "HUB_SETTINGS": json.dumps(self.settings),
        }
        command = [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "tested_hub_config.py")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        wait_until(self._is_up, 90)
        return self

    def _is_up(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()[-3000:]
        return requests.get(f"{self.url}/api", timeout=2).ok

    def kill(self) -> None:
        """Kill the process where it stands."""
        assert self.process is not None
        end(self.process, signal.SIGKILL)

    def restart(self) -> None:
        """Kill the process and start it again."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End the process if it runs; nothing of it is needed any more."""
        if self.process is not None:
            end(self.process, signal.SIGKILL)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the hub's REST API as its administrator."""
        headers = {"Authorization": f"token {HUB_TOKEN}"}
        return requests.request(method, f"{self.url}/api{path}", headers=headers, timeout=30, **options)

    def add_user(self, name: str) -> str:
        """Make a user and return the name."""
        assert self.ask("POST", f"/users/{name}").status_code in (201, 409)
        return name

    def spawn(self, user: str, options: Any = None, server: str = "") -> requests.Response:
        """Ask for a server over the REST API."""
        self.add_user(user)
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        return self.ask("POST", path, **({} if options is None else {"data": json.dumps(options)}))

    def stop(self, user: str, server: str = "") -> requests.Response:
        """Ask for the end of a server over the REST API."""
        return self.ask("DELETE", f"/users/{user}/servers/{server}" if server else f"/users/{user}/server")

    def server(self, user: str, name: str = "") -> dict[str, Any] | None:
        """Return the hub's model of an active server, or None."""
        answer = self.ask("GET", f"/users/{user}")
        return answer.json()["servers"].get(name) if answer.ok else None

    def is_ready(self, user: str, name: str = "") -> bool:
        """Tell whether the hub says that a server is ready."""
        model = self.server(user, name)
        return bool(model and model["ready"])

    def tokens(self, user: str) -> list[dict[str, Any]]:
        """Return the tokens of a user."""
        return self.ask("GET", f"/users/{user}/tokens").json()["api_tokens"]

    def progress(self, user: str, until_event: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the events of a spawn's progress stream, to the first one that the caller asks for."""
        headers = {"Authorization": f"token {HUB_TOKEN}"}
        events = []
        path = f"{self.url}/api/users/{user}/server/progress"
        with requests.get(path, headers=headers, stream=True, timeout=20) as stream:
            assert stream.status_code == 200, stream.text
            for line in stream.iter_lines():
                if line.startswith(b"data: "):
                    events.append(json.loads(line[6:]))
                    if until_event(events[-1]):
                        break
        return events

    def login(self, user: str) -> "Browser":
        """Return a logged-in browser session."""
        return Browser(self.url, user)


class Browser:
    """A session of the hub's pages."""

    def __init__(self, url: str, user: str):
        self.url = url
        self.session = requests.Session()
        page = self.session.get(f"{url}/login", timeout=10)
        answer = self.session.post(
            f"{url}/login",
            data={"username": user, "password": "let me in", "_xsrf": self._xsrf()},
            timeout=10,
            allow_redirects=False,
        )
        assert page.ok and answer.status_code == 302, answer.text

    def _xsrf(self) -> str:
        return next(cookie.value for cookie in self.session.cookies if cookie.name == "_xsrf" and cookie.path)

    def get(self, path: str) -> requests.Response:
        """Open a page, as a click on a link does."""
        headers = {"Sec-Fetch-Mode": "navigate"}
        return self.session.get(f"{self.url}{path}", headers=headers, timeout=20, allow_redirects=False)

    def submit(self, path: str, **fields: str) -> requests.Response:
        """Submit the spawn form of a page."""
        page = self.get(path)
        xsrf = re.search(r"_xsrf=([^\"&]+)", page.text)
        assert xsrf, page.text
        data = {name: (None, value) for name, value in fields.items()}
        url = f"{self.url}{path}?_xsrf={xsrf[1]}"
        return self.session.post(url, files=data, timeout=20, allow_redirects=False)


def profiles_data() -> list[dict[str, Any]]:
    """Return the profiles of these tests: one for the cloud, two for a site, one of them for a group only."""
    amounts = {
        "cpu": {"min": 1, "max": 8, "default": 2},
        "memory": {"min": "1Gi", "max": "16Gi", "default": "2Gi"},
        "images": [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}],
    }
    padova = {
        **amounts,
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "scheduler": "slurm",
        "walltime": {"min": "10m", "max": "48h", "default": "4h"},
        "slurm": {"partition": "padova"},
        "hub_url": "http://127.0.0.1:1",
        "environment": {"BRACES": "{username:>300000000} ${HOME}"},
    }
    physics = {**padova, "name": "physics", "title": "Physics", "access": {"groups": ["physics"]}}
    closing = {**padova, "name": "closing", "title": "Closing"}
    return [{**amounts, "name": "cloud", "title": "Cloud", "site": "cloud"}, padova, physics, closing]


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Return a function that waits for something to become true."""
    return wait_until


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API server of the session."""
    api = Api(tmp_path_factory.mktemp("api"))
    api.start()
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert requests.post(f"{api.url}/api/v1/namespaces", json=body, timeout=5).status_code in (201, 409)
    for name in ("padova", "cloud-1"):
        labels = {"kubernetes.io/hostname": name}
        if name == "padova":
            labels["virtual-node.interlink/type"] = "virtual-kubelet"
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        assert requests.post(f"{api.url}/api/v1/nodes", json=body, timeout=5).status_code == 201
        api.say_node(name, is_ready=True)
    yield api
    api.kill()


def _empty_site(api: Api) -> Iterator[Site]:
    site = Site(api)
    for pod in site.pods():
        site.delete(pod["metadata"]["name"])
    yield site
    site.close()


@pytest.fixture
def site(api: Api) -> Iterator[Site]:
    """A site without servers, on an API server without pods."""
    yield from _empty_site(api)


@pytest.fixture(scope="module")
def module_site(api: Api) -> Iterator[Site]:
    """A site that tells one story through all tests of a module."""
    yield from _empty_site(api)


@pytest.fixture(scope="session")
def make_hub(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Hub]]:
    """Return a factory of running hubs. Arguments: the profiles, an agent of the site, and traits by class name."""
    hubs = []

    def make(
        profiles: list[dict[str, Any]] | None = None, agent: Agent | None = None, **settings: dict[str, Any]
    ) -> Hub:
        folder = tmp_path_factory.mktemp("hub")
        content: dict[str, Any] = {"profiles": profiles_data() if profiles is None else profiles}
        if agent is not None:
            token_file = folder / "token"
            token_file.write_text(agent.token)
            content["sites"] = {"padova": {"agent": {"url": agent.url, "token_file": str(token_file)}}}
        file = folder / "profiles.yaml"
        file.write_text(yaml.safe_dump(content))
        hub = Hub(folder, api, file, settings)
        hubs.append(hub)
        return hub.start()

    yield make
    for hub in hubs:
        hub.close()


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """The agent of a site."""
    agent = Agent()
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def hub(make_hub: Callable[..., Hub]) -> Iterator[Hub]:
    """The hub of one test module."""
    hub = make_hub()
    yield hub
    hub.close()


class FakeUser(SimpleNamespace):
    """As much of the hub's user as a spawner without a database asks for."""

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture
async def make_spawner(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RaysterSpawner]:
    """Return a factory of spawners without a hub, on the testbed's API server. Arguments are traits."""
    await kubernetes_asyncio.config.load_kube_config(config_file=str(api.kubeconfig))
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("rayster_spawner.life.site_view.hub_sites", lambda spawner: None)

    def make(user: str = "ada", groups: tuple[str, ...] = (), **traits: Any) -> RaysterSpawner:
        traits.setdefault("profiles", {"profiles": profiles_data()})
        hub = SimpleNamespace(api_url="http://hub:8081/hub/api", base_url="/hub/", public_host="", url="/")
        fake = FakeUser(
            name=user,
            id=1,
            url=f"/user/{user}/",
            escaped_name=user,
            groups=[SimpleNamespace(name=group) for group in groups],
            settings={},
            db=SimpleNamespace(commit=lambda: None),
        )
        defaults = {"namespace": NAMESPACE, "cmd": ["jupyterhub-singleuser"], "storage_pvc_ensure": False}
        spawner = RaysterSpawner(_mock=True, user=fake, hub=hub, **{**defaults, **traits})
        spawner.server = SimpleNamespace(base_url=f"/user/{user}/", proto="http", ip="", port=0)
        spawner.api_token = "secret"
        spawner.clear_state()
        return spawner

    return make
