"""A real hub that can be killed and started again, and a browser's session with it."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from .processes import Api, end, free_port, own_ip, wait_until
from .spare_hub import HubProcess, SpareHub

HERE = Path(__file__).parent
HUB_TOKEN = "tests-token-0123456789"


class Hub:
    """A real hub process with a database of its own; it may be killed and started again."""

    def __init__(self, folder: Path, api: Api, profiles: Path, settings: dict[str, dict[str, Any]]):
        self.folder, self.api, self.profiles = folder, api, profiles
        self.settings = settings
        # Where the process can be made to die: see tested_hub_config.py.
        self.points: list[str] = []
        self.port = free_port()
        self.url = f"http://{own_ip()}:{self.port}/hub"
        self.log = folder / "hub.log"
        self.process: HubProcess | None = None
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "KUBECONFIG": str(api.kubeconfig)}
        self._spare = SpareHub(self._environment)

    def start(self) -> "Hub":
        """Start the process and wait until its API answers."""
        self.launch()
        wait_until(self.is_up, 90)
        return self

    def launch(self) -> None:
        """Start the process."""
        environment = {
            **self._environment,
            "HUB_ADDRESS": f"{own_ip()}:{self.port}",
            "HUB_POINTS": json.dumps(self.points),
            "HUB_FOLDER": str(self.folder),
            "HUB_PROFILES": str(self.profiles),
            "HUB_SETTINGS": json.dumps(self.settings),
        }
        arguments = ["-f", str(HERE / "tested_hub_config.py")]
        self.process = self._spare.start(arguments, environment, self.folder, self.log)

    def die_at(self, point: str) -> None:
        """Let the process die at one of its points, or at none."""
        (self.folder / "dies-at").write_text(point)

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return self.process is not None and self.process.poll() is not None

    def is_up(self) -> bool:
        """Tell whether the API answers; the process must not have ended."""
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
        self._spare.close()

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
