"""Whose a token is by the word of a real hub of this line, run with the project's own configuration."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from tornado import web

from rayster_spawner.service.access import Access, Asker
from rayster_spawner.service.settings import Settings

from ..conftest import LOG, wait_until

CONFIG = Path(__file__).with_name("hub_with_servers.py")
PROFILES = Path(__file__).parents[3] / "helm-values" / "profiles.yaml"


@pytest.fixture(scope="module")
def real_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A running hub: a way to ask it as an administrator, tokens of servers, and the service's access to it."""
    folder = tmp_path_factory.mktemp("hub")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    admin_token, service_token = secrets.token_hex(16), secrets.token_hex(16)
    environment = {
        "PORT": str(port),
        "STATE": str(folder),
        "ADMIN_TOKEN": admin_token,
        "RAYSTER_PROFILES_FILE": str(PROFILES),
        "RAYSTER_HUB_STATE_DIR": str(folder),
        "RAYSTER_HUB_PORT": str(port),
        "RAYSTER_SERVICE_URL": "http://127.0.0.1:9",
        "RAYSTER_SERVICE_TOKEN": service_token,
    }
    api_url = f"http://127.0.0.1:{port}/hub/api"
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)],
            env={**os.environ, **environment},
            cwd=folder,
            stdout=log,
            stderr=log,
        )

    def ask(method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"token {admin_token}"}
        answer = requests.request(method, api_url + path, headers=headers, json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def token_of_server(user: str) -> str:
        file = folder / f"token-of-{user}"
        if not file.exists():
            ask("POST", f"/users/{user}/server")
            wait_until(file.exists, 60)
        return file.read_text()

    def is_up() -> bool:
        assert process.poll() is None, (folder / "hub.log").read_text()[-3000:]
        return requests.get(api_url, timeout=2).ok

    settings = Settings(profiles_file="", namespace="rayster", hub_api_url=api_url, token=service_token)
    try:
        wait_until(is_up, 60)
        yield SimpleNamespace(ask=ask, token_of_server=token_of_server, access=Access(settings, LOG))
    finally:
        for user in ("ada", "root"):
            with_server = requests.delete(
                f"{api_url}/users/{user}/server",
                headers={"Authorization": f"token {admin_token}"},
                timeout=20,
            )
            assert with_server.status_code < 500
        process.terminate()
        process.wait(30)


async def test_the_token_of_a_server_is_its_users(real_hub):
    # when
    asker = await real_hub.access.asker(f"token {real_hub.token_of_server('ada')}")
    # then: with the groups, which decide what ada may use
    assert asker == Asker("ada", frozenset({"physics"}))


async def test_the_token_of_an_administrators_server_is_no_administrator(real_hub):
    # a notebook must not stop everybody's clusters
    asker = await real_hub.access.asker(f"Bearer {real_hub.token_of_server('root')}")
    assert asker == Asker("root", frozenset())


async def test_the_token_of_a_server_opens_nothing_else_of_the_hub(real_hub):
    headers = {"Authorization": f"token {real_hub.token_of_server('ada')}"}
    api_url = real_hub.access._hub.api_url
    assert requests.get(f"{api_url}/users", headers=headers, timeout=20).status_code == 403
    assert requests.post(f"{api_url}/users/ada/tokens", headers=headers, timeout=20).status_code in (403, 404)


async def test_an_administrators_own_token_is_one(real_hub):
    token = real_hub.ask("POST", "/users/root/tokens", scopes=["inherit"])["token"]
    asker = await real_hub.access.asker(f"token {token}")
    assert (asker.name, asker.is_admin, asker.enters_all) == ("root", True, True)


async def test_a_users_own_token_is_no_administrators(real_hub):
    token = real_hub.ask("POST", "/users/ada/tokens", scopes=["inherit"])["token"]
    asker = await real_hub.access.asker(f"token {token}")
    assert asker == Asker("ada", frozenset({"physics"}))


@pytest.mark.parametrize(
    "scopes", [["access:servers!user=ada"], ["servers!user=ada"], ["users:activity!user=ada"]]
)
async def test_a_token_that_is_not_for_this_service_is_refused(real_hub, scopes):
    token = real_hub.ask("POST", "/users/ada/tokens", scopes=scopes)["token"]
    with pytest.raises(web.HTTPError) as refused:
        await real_hub.access.asker(f"token {token}")
    assert refused.value.status_code == 403


async def test_rights_over_one_user_are_not_those_of_an_administrator(real_hub):
    scopes = ["admin:servers!user=ada", "access:servers!user=ada", "access:services!service=rayster"]
    token = real_hub.ask("POST", "/users/root/tokens", scopes=scopes)["token"]
    assert await real_hub.access.asker(f"token {token}") == Asker("root", frozenset())
