"""Ray's own dashboard in a real browser, in its sandbox: it works, and it reaches nothing of the hub's host."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from rayster_spawner.ray.tokens import cluster_token
from rayster_spawner.service.dashboard_access import make_ticket
from rayster_testbed.ports import free_ports

from ...chromium import LAUNCH
from ..conftest import SERVICE_TOKEN
from .ray_stub import KubeRay, eventually

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
]


@contextlib.asynccontextmanager
async def real_head(token: str, ports: list[int]) -> AsyncIterator[None]:
    """A head of the real Ray, with a token."""
    names = (
        "port",
        "dashboard-port",
        "node-manager-port",
        "object-manager-port",
        "dashboard-agent-grpc-port",
    )
    names += ("dashboard-agent-listen-port", "runtime-env-agent-port", "metrics-export-port")
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        command = [
            str(Path(sys.executable).parent / "ray"),
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
        ]
        command += [f"--{name}={port}" for name, port in zip(names, ports, strict=False)]
        command += [
            f"--worker-port-list={ports[-1]}",
            "--dashboard-host=127.0.0.1",
            "--node-ip-address=127.0.71.9",
        ]
        command += ["--num-cpus=0", "--object-store-memory=100000000", f"--temp-dir={folder}/t"]
        environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                yield
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


async def test_rays_dashboard_works_in_its_sandbox(service, ada, cluster, rays):
    # given
    kuberay = KubeRay(cluster, rays)
    cluster_id = (await ada.make(workers=1))["id"]
    ports = free_ports(9)
    annotations = {"rayster.dev/ray-dashboard-port": str(ports[1])}
    rays.patch(cluster_id, {"metadata": {"annotations": annotations}})
    async with real_head(cluster_token(SERVICE_TOKEN, cluster_id), ports):
        kuberay.run(kuberay.add(cluster_id, head=True))

        async def is_up() -> bool:
            view = (await ada.ask("GET", f"clusters/{cluster_id}"))[1]
            return view["head"] is not None and view["head"]["state"] == "joined"

        await eventually(is_up, 120)
        ticket = make_ticket(SERVICE_TOKEN, rays.get(cluster_id)["metadata"]["uid"])
        url = f"{service.url}/services/rayster/api/clusters/{cluster_id}/dashboard/~{ticket}/"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**LAUNCH)
            page = await browser.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            # when
            await page.goto(url + "#/cluster")
            # then: it shows the node that it asked its own Ray for
            await page.get_by_text("127.0.71.9").first.wait_for(timeout=60_000)
            assert errors == []
            # and is a page of no origin, that gets no cookie and no other page of the host
            assert await page.evaluate("self.origin") == "null"
            assert await page.evaluate("document.cookie") == ""
            reach = f"fetch('{service.url}/services/rayster/readyz').then(() => 'reached', () => 'refused')"
            assert await page.evaluate(reach) == "refused"
            await browser.close()
