"""A browser that has logged in at a real hub of this line opens its own dashboard, and nobody else's."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from rayster_testbed.ports import free_ports

from ..conftest import SERVICE_TOKEN, wait_until
from .conftest import ACCESS, user
from .ray_stub import Head, KubeRay, eventually

CONFIG = """
from jupyterhub.proxy import Proxy
from traitlets import default
import os

class NoProxy(Proxy):
    @default("should_start")
    def _never_started(self):
        return False
    async def add_route(self, routespec, target, data): pass
    async def delete_route(self, routespec): pass
    async def get_all_routes(self): return {}

port = int(os.environ["PORT"])
c.JupyterHub.hub_port = port
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["PASSWORD"]
c.Authenticator.allow_all = True
c.JupyterHub.services = [
    {"name": "rayster", "api_token": os.environ["SERVICE_TOKEN"], "url": "http://127.0.0.1:9", "oauth_no_confirm": True}
]
c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "access:services!service=rayster"]}]
"""


@pytest.fixture
def login_hub(tmp_path) -> Iterator[SimpleNamespace]:
    """A hub where everybody logs in with one password."""
    (port,), password = free_ports(1), secrets.token_hex(8)
    (tmp_path / "hub.py").write_text(CONFIG)
    environment = {"PORT": str(port), "PASSWORD": password, "SERVICE_TOKEN": SERVICE_TOKEN}
    with (tmp_path / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(tmp_path / "hub.py")],
            env={**os.environ, **environment},
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        assert process.poll() is None, (tmp_path / "hub.log").read_text()[-3000:]
        return requests.get(f"{url}/hub/api", timeout=2).ok

    try:
        wait_until(is_up, 60)
        yield SimpleNamespace(url=url, password=password)
    finally:
        process.kill()
        process.wait()


class Browser:
    """Follows redirects on one host, behind which are the hub and the service."""

    def __init__(self, hub: str, service: str):
        self.hub, self.service, self.session, self.went = hub, service, requests.Session(), []

    def get(self, url: str) -> requests.Response:
        """Open a page."""
        for _ in range(12):
            path = urlsplit(url).path
            where = self.service if path.startswith("/services/") else self.hub
            url = where + path + (f"?{query}" if (query := urlsplit(url).query) else "")
            self.went.append(url)
            answer = self.session.get(
                url, allow_redirects=False, headers={"Sec-Fetch-Mode": "navigate"}, timeout=30
            )
            if answer.status_code not in (301, 302, 303):
                return answer
            url = answer.headers["Location"]
        raise AssertionError(f"sent round and round: {self.went}")

    def log_in(self, name: str, password: str) -> None:
        """Log in at the hub."""
        self.get(f"{self.hub}/hub/login")
        data = {
            "username": name,
            "password": password,
            "_xsrf": self.session.cookies.get("_xsrf", path="/hub/"),
        }
        answer = self.session.post(f"{self.hub}/hub/login", data=data, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text[:500]


async def test_who_logged_in_opens_their_own_dashboard(
    login_hub, hub, cluster, rays, start_service, monkeypatch
):
    # given: a cluster of ada's
    hub.users["of-ada"] = user("ada", [ACCESS])
    kuberay = KubeRay(cluster, rays)
    async with start_service(cluster) as first:
        from .conftest import Api, knows_clusters

        await knows_clusters(first)
        cluster_id = (await Api(first, "of-ada").make(workers=1))["id"]
    head = await Head(cluster_id).start()
    head.spoil = lambda request: page(request)
    kuberay.reach(cluster_id, head)
    kuberay.run(kuberay.add(cluster_id, head=True))
    async with start_service(cluster, hub_api_url=f"{login_hub.url}/hub/api") as service:
        await eventually(lambda: asyncio.sleep(0, bool(head.asked)))
        dashboard = f"{service.url}/services/rayster/api/clusters/{cluster_id}/dashboard/"
        # when
        ada = Browser(login_hub.url, service.url)
        await asyncio.to_thread(ada.log_in, "ada", login_hub.password)
        answer = await asyncio.to_thread(ada.get, dashboard)
        # then
        assert (answer.status_code, "Ray Dashboard" in answer.text) == (200, True), (answer.text, ada.went)
        asked = next(parse_qs(urlsplit(url).query) for url in ada.went if "oauth2/authorize" in url)
        assert asked["state"] and asked["redirect_uri"] == ["/services/rayster/oauth_callback"]
        cookie = next(one for one in ada.session.cookies if one.name == "service-rayster")
        assert cookie.path == "/services/rayster/" and cookie.has_nonstandard_attr("HttpOnly")
        # a second time without the hub
        before = len(ada.went)
        assert (await asyncio.to_thread(ada.get, dashboard)).status_code == 200
        assert not any("oauth2" in url for url in ada.went[before:])
        # and bruno finds nothing there
        bruno = Browser(login_hub.url, service.url)
        await asyncio.to_thread(bruno.log_in, "bruno", login_hub.password)
        assert (await asyncio.to_thread(bruno.get, dashboard)).status_code == 404
        # nor anybody with a callback that was not begun here
        forged = f"{service.url}/services/rayster/oauth_callback?code=x&state=y"
        assert (await asyncio.to_thread(Browser(login_hub.url, service.url).get, forged)).status_code == 403
    await head.stop()


async def page(request):
    from aiohttp import web

    is_page = request.path == "/"
    return (
        web.Response(text="<head><title>Ray Dashboard</title></head>", content_type="text/html")
        if is_page
        else None
    )
