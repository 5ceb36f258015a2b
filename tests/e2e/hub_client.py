"""A person without a browser: logs in to the hub over HTTP, starts servers over REST, and runs Python in them."""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket

from rayster_testbed.testbed import Testbed

PADOVA = {"profile": "padova-slurm", "cpu": 1, "memory": "1Gi", "walltime": "30m"}
PRINT_JOB = "import os; print(os.environ.get('SLURM_JOB_ID'), os.environ.get('SLURM_JOB_PARTITION'))"
ASK_SECONDS = 20
# While a part of the testbed is away: refused connections, 502 and 503 of the proxy, answers that never end.
AWAY = (requests.RequestException, websocket.WebSocketException, OSError)


def wait_for(ask: Callable[[], Any], what: str, timeout_seconds: float = 60) -> Any:
    """Return the first true answer of ``ask()``; fail with ``what`` was waited for, and the last answer."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}; last: {answer!r}"
        time.sleep(0.2)
    return answer


class HubUser:
    """Somebody with a session of the hub's pages; cookies as in a browser, no API token.

    Arguments: a running testbed with a hub, and one of its users.
    """

    def __init__(self, testbed: Testbed, name: str):
        self.testbed = testbed
        self.name = name
        self.session = requests.Session()
        self.session.trust_env = False  # it is this machine
        self.session.headers["Sec-Fetch-Mode"] = "navigate"
        self.log_in()

    def log_in(self) -> None:
        """Log in with the demo's password."""
        self.session.get(self.url("/hub/login"), timeout=ASK_SECONDS)
        form = {"username": self.name, "password": self.testbed.password, "_xsrf": self.xsrf("/hub/")}
        answer = self.session.post(
            self.url("/hub/login"), data=form, timeout=ASK_SECONDS, allow_redirects=False
        )
        assert answer.status_code == 302, answer.text

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"{self.testbed.hub_url}{path}"

    def xsrf(self, path: str) -> str:
        """Return the token against forged requests that was given out for ``path``."""
        return next((c.value or "" for c in self.session.cookies if c.name == "_xsrf" and c.path == path), "")

    def page(self, path: str) -> requests.Response:
        """Open a page."""
        return self.session.get(self.url(path), timeout=ASK_SECONDS)

    # The hub's REST API

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Ask the hub's REST API; ``body`` is sent as JSON, or as it is when it is text."""
        if not self.xsrf("/hub/"):
            self.page("/hub/home")
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {
            "X-XSRFToken": self.xsrf("/hub/"),
            "Sec-Fetch-Mode": "cors",
            "Referer": self.url("/hub/home"),
        }
        options.setdefault("timeout", ASK_SECONDS)
        return self.session.request(
            method, self.url(f"/hub/api{path}"), data=data, headers=headers, **options
        )

    def server(self, name: str = "") -> "Server":
        """Return a server of this user, running or not; the default one has no name."""
        return Server(self, name)


@dataclass
class Server:
    """One server of a user, as the hub's API and its own tell of it."""

    user: HubUser
    name: str = ""

    @property
    def api_path(self) -> str:
        return f"/users/{self.user.name}/{f'servers/{self.name}' if self.name else 'server'}"

    @property
    def base_path(self) -> str:
        return f"/user/{self.user.name}/{f'{self.name}/' if self.name else ''}"

    def spawn(self, options: Any = None) -> requests.Response:
        """Ask for the server, with ``options`` of any shape."""
        return self.user.ask("POST", self.api_path, options)

    def model(self) -> dict[str, Any] | None:
        """Return what the hub says of the server, None when it has none."""
        answer = self.user.ask("GET", f"/users/{self.user.name}")
        assert answer.ok, answer.text
        return answer.json()["servers"].get(self.name)

    @property
    def pending(self) -> str | None:
        """What is pending: spawn, stop, check or nothing."""
        return (self.model() or {}).get("pending")

    def is_ready(self) -> bool:
        """Whether the hub says that people can use it."""
        return bool((self.model() or {}).get("ready"))

    def wait_ready(self, timeout_seconds: float = 90) -> None:
        """Wait until people can use it; say why when it has failed."""
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready():
            assert self.model() is not None, f"it failed: {self.progress(5)[-1:]}"
            assert time.monotonic() < deadline, f"not ready in {timeout_seconds} s: {self.progress(5)[-1:]}"
            time.sleep(0.2)

    def progress(self, seconds: float = 10) -> list[dict[str, Any]]:
        """Return what the progress stream tells until it ends, or for so many seconds."""
        return list(self.follow(seconds))

    def follow(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the events of the progress stream as they come, for at most so many seconds."""
        with self.user.ask("GET", f"{self.api_path}/progress", stream=True) as answer:
            if not answer.ok:
                return
            # The stream has a line every 8 s at least; somebody who hangs up ends it for sure.
            timer = threading.Timer(seconds, answer.raw._fp.fp.raw._sock.shutdown, [2])
            timer.start()
            try:
                for line in answer.iter_lines():
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
            except AWAY:
                return
            finally:
                timer.cancel()

    def told(self, wanted: str, timeout_seconds: float = 60) -> dict[str, Any]:
        """Return the first event of the progress stream whose message has ``wanted`` in it."""
        seen = []
        for event in self.follow(timeout_seconds):
            if wanted in event["message"]:
                return event
            seen.append(event["message"])
        raise AssertionError(f"{wanted!r} was not told in {timeout_seconds} s, but: {seen}")

    def stop(self, timeout_seconds: float = 60) -> None:
        """Stop or cancel it, and wait until the hub has."""
        answer = self.user.ask("DELETE", self.api_path, timeout=timeout_seconds)
        assert answer.status_code in (202, 204), (answer.status_code, answer.text)
        wait_for(lambda: self.model() is None, f"{self.base_path} is stopped", timeout_seconds)

    # The server itself, through the hub's proxy

    def enter(self) -> None:
        """Open it as a browser does: over the hub's OAuth, to the server's own cookies. Fails when it does not answer."""
        page = self.user.page(f"{self.base_path}lab")
        assert page.ok and "JupyterLab" in page.text, (page.status_code, page.url, page.text[:500])
        assert self.answers(), f"{self.base_path} lets nobody in"

    def answers(self) -> bool:
        """Whether the server answers somebody who is in already."""
        try:
            answer = self.user.session.get(
                self.user.url(f"{self.base_path}api/status"), timeout=5, allow_redirects=False
            )
        except AWAY:
            return False
        return answer.status_code == 200

    def kernel(self) -> "Kernel":
        """Start a kernel."""
        self.enter()
        answer = self.user.session.post(
            self.user.url(f"{self.base_path}api/kernels"),
            json={"name": "python3"},
            headers={"X-XSRFToken": self.user.xsrf(self.base_path), "Sec-Fetch-Mode": "cors"},
            timeout=ASK_SECONDS,
        )
        assert answer.status_code == 201, (answer.status_code, answer.text)
        return Kernel(self, answer.json()["id"])

    def run(self, code: str) -> str:
        """Run code in a kernel of its own, and return what it prints."""
        return self.kernel().run(code)


@dataclass
class Kernel:
    """A kernel of a server; its variables live as long as it does."""

    server: Server
    id: str
    session: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(
        self, code: str, timeout_seconds: float = 60, hear: Callable[[dict[str, Any]], Any] | None = None
    ) -> str:
        """Run code over a connection of its own, and return what it prints; ``hear`` gets each message meanwhile."""
        user = self.server.user
        address = urlsplit(user.url(f"{self.server.base_path}api/kernels/{self.id}/channels"))
        request = requests.Request("GET", address.geturl(), cookies=user.session.cookies)
        cookies = user.session.prepare_request(request).headers.get("Cookie")
        channels = websocket.create_connection(
            address._replace(scheme="ws").geturl() + f"?session_id={self.session}",
            cookie=cookies,
            timeout=timeout_seconds,
            http_no_proxy=["127.0.0.1"],
        )
        with contextlib.closing(channels):
            return self._run(
                channels, code, time.monotonic() + timeout_seconds, hear or (lambda message: None)
            )

    def _run(
        self,
        channels: websocket.WebSocket,
        code: str,
        deadline: float,
        hear: Callable[[dict[str, Any]], Any],
    ) -> str:
        header = {
            "msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": self.session,
            "username": self.server.user.name, "version": "5.3",
        }  # fmt: skip
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {
            "header": header, "parent_header": {}, "metadata": {}, "content": content,
            "channel": "shell", "buffers": [],
        }  # fmt: skip
        channels.send(json.dumps(message))
        printed = ""
        while True:
            assert time.monotonic() < deadline, (
                f"the kernel has not finished {code!r}, but printed: {printed!r}"
            )
            answer = json.loads(channels.recv())
            hear(answer)
            if answer.get("parent_header", {}).get("msg_id") != header["msg_id"]:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                raise AssertionError(f"{content['ename']}: {content['evalue']}")
            elif kind == "status" and content["execution_state"] == "idle":
                return printed.strip()
