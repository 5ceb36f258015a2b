"""The service's questions to a real hub: who has which servers, and whose a token is."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests
from tornado import web

from rayster_spawner.profile_files import validate_profiles
from rayster_spawner.service.access import Access
from rayster_spawner.service.hub_client import HubUnknown, active_servers
from rayster_spawner.service.settings import Settings
from rayster_testbed.ports import free_ports

from .conftest import LOG, profiles_data, wait_until

CONFIG = Path(__file__).with_name("real_hub_config.py")


@pytest.fixture(scope="module")
def real_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A running hub: its API's URL, the service's token, and a way to ask as an administrator."""
    folder = tmp_path_factory.mktemp("hub")
    (port,) = free_ports(1)
    service_token, admin_token = secrets.token_hex(16), secrets.token_hex(16)
    environment = {
        "PORT": str(port),
        "STATE": str(folder),
        "SERVICE_TOKEN": service_token,
        "ADMIN_TOKEN": admin_token,
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

    def is_up() -> bool:
        assert process.poll() is None, (folder / "hub.log").read_text()[-3000:]
        return requests.get(api_url, timeout=2).ok

    try:
        wait_until(is_up, 60)
        yield SimpleNamespace(api_url=api_url, token=service_token, ask=ask)
    finally:
        process.kill()
        process.wait()


async def test_the_role_of_the_service_is_enough_to_see_all_servers(real_hub):
    # given
    for name in ("ada", "bruno", "carla"):
        if name != "ada":
            real_hub.ask("POST", f"/users/{name}")
    real_hub.ask("POST", "/users/ada/server")
    real_hub.ask("POST", "/users/bruno/servers/gpu")
    # when
    async with aiohttp.ClientSession() as session:
        found = await active_servers(session, real_hub.api_url, real_hub.token)
    # then: also those that are only starting
    assert found == {("ada", ""), ("bruno", "gpu")}


async def test_a_token_without_the_role_sees_nothing(real_hub):
    # given
    token = real_hub.ask("POST", "/users/ada/tokens")["token"]
    # then
    async with aiohttp.ClientSession() as session:
        with pytest.raises(HubUnknown, match="HTTP 403"):
            await active_servers(session, real_hub.api_url, token)


@pytest.fixture
def access(real_hub, tmp_path) -> Any:
    """Return a function that tells which profiles a header opens."""
    profiles, _ = validate_profiles(profiles_data("http://127.0.0.1:9", tmp_path))
    settings = Settings(
        profiles_file="", namespace="rayster", hub_api_url=real_hub.api_url, token=real_hub.token
    )
    viewer = Access(settings, LOG).viewer
    return lambda header: viewer(header, profiles)


async def test_a_users_token_opens_the_profiles_of_the_user(real_hub, access):
    # given
    token = real_hub.ask("POST", "/users/ada/tokens", scopes=["inherit"])["token"]
    # then
    view = await access(f"token {token}")
    assert view.user == "ada"
    assert view.profiles == ("cloud", "padova", "bari")  # the last one is for her group


async def test_a_token_with_few_rights_opens_nothing(real_hub, access):
    # given
    token = real_hub.ask("POST", "/users/ada/tokens", scopes=["read:users:name!user=ada"])["token"]
    # then
    with pytest.raises(web.HTTPError) as refused:
        await access(f"token {token}")
    assert refused.value.status_code == 403


async def test_a_token_that_the_hub_does_not_know_opens_nothing(access):
    with pytest.raises(web.HTTPError) as refused:
        await access("token 0123456789abcdef")
    assert refused.value.status_code == 401
