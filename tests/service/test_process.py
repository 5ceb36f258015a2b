"""The service as a process: what it is told, how it ends, and that it bears thousands of events without growing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml
from typer.testing import CliRunner

from rayster_spawner.service.__main__ import app
from rayster_spawner.service.settings import Settings, address_from_hub
from rayster_testbed.ports import free_ports

from .conftest import SERVICE_TOKEN, Cluster, profiles_data, ticket, wait_until


@pytest.fixture
def profiles_file(tmp_path: Path) -> Path:
    file = tmp_path / "profiles.yaml"
    file.write_text(yaml.safe_dump(profiles_data("http://127.0.0.1:9", tmp_path)))
    return file


@pytest.fixture
def run(tmp_path: Path, profiles_file: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Return a function that starts a service process. Arguments: command line, and environment variables."""
    processes = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen:
        known = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTERHUB", "RAYSTER"))
        }
        given = {
            "RAYSTER_PROFILES_FILE": str(profiles_file),
            "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "rayster_spawner.service", *arguments],
            env={**known, **given},
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def listening(process: subprocess.Popen) -> str:
    """Return the URL that the process says it listens on."""
    for line in process.stderr:
        if "Listening on " in line:
            return line.split("Listening on ")[1].strip()
    raise AssertionError("the process ended")


def test_the_service_ends_at_once_with_pages_open(cluster: Cluster, run):
    # given
    process = run("--port", "0", KUBECONFIG=str(cluster.kubeconfig))
    url = listening(process)
    wait_until(lambda: requests.get(f"{url}readyz", timeout=5).ok)
    headers = {"Authorization": ticket()}
    with requests.get(f"{url}api/sites/events", headers=headers, stream=True, timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"event: sites"
        # when
        process.send_signal(signal.SIGTERM)
        # then
        assert process.wait(15) == 0
        # and the stream has a proper end, which a proxy does not take for an error of the service
        list(lines)


def test_the_hub_tells_where_to_listen(cluster: Cluster, run):
    # given
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    # when
    process = run(
        KUBECONFIG=str(cluster.kubeconfig),
        JUPYTERHUB_SERVICE_URL=address,
        JUPYTERHUB_SERVICE_PREFIX="/base/services/live",
    )
    # then
    assert listening(process) == f"{address}/base/services/live/"


@pytest.mark.parametrize(
    "url,address",
    [("http://127.0.0.1:9999", ("127.0.0.1", 9999)), ("http://10.0.0.1", ("10.0.0.1", 8183)), ("", ("127.0.0.1", 8183)),
     ("http://x:port", ("127.0.0.1", 8183))],
    ids=["both", "host-only", "nothing", "nonsense"],
)  # fmt: skip
def test_the_address_is_the_hubs_or_a_default(monkeypatch, url, address):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", url)
    assert address_from_hub() == address


BAD = [
    ("profiles", ["--profiles", "/nowhere"], {}, "/nowhere:1: cannot be read"),
    ("namespace", ["--namespace", "A B"], {}, "namespace: "),
    ("port", ["--port", "70000"], {}, "port: "),
    ("grace", ["--orphan-grace-seconds", "1"], {}, "orphan_grace_seconds: "),
    ("prefix", ["--base-url", "/a?b/"], {}, "base_url: "),
    ("no-credential", ["--port", "0"], {"KUBECONFIG": "/nowhere"}, "no credential for Kubernetes"),
]  # fmt: skip


@pytest.mark.parametrize("arguments,environment,said", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_wrong_setting_is_said_and_nothing_starts(profiles_file, arguments, environment, said):
    # given
    known = {
        "RAYSTER_PROFILES_FILE": str(profiles_file),
        "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
        **environment,
    }
    # when
    result = CliRunner().invoke(app, arguments, env=known)
    # then
    assert result.exit_code == 1
    assert said in result.output and "Traceback" not in result.output
    assert SERVICE_TOKEN not in result.output


def test_the_token_is_in_no_text_of_the_settings():
    settings = Settings(profiles_file="x", namespace="n", token=SERVICE_TOKEN)
    assert SERVICE_TOKEN not in repr(settings)


def test_without_a_token_nobody_is_told_anything(cluster: Cluster, run):
    # given
    url = listening(run("--port", "0", KUBECONFIG=str(cluster.kubeconfig), JUPYTERHUB_API_TOKEN=""))
    # then
    for header in ("Ticket x", ticket(), "token x", "token "):
        assert (
            requests.get(f"{url}api/sites", headers={"Authorization": header}, timeout=10).status_code == 401
        )


def resident_kib(process: subprocess.Popen) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_memory_does_not_grow_with_pods_and_pages_that_come_and_go(cluster: Cluster, run):
    # given
    process = run("--port", "0", KUBECONFIG=str(cluster.kubeconfig))
    url = listening(process)
    wait_until(lambda: requests.get(f"{url}readyz", timeout=5).ok)

    def churn(rounds: int) -> None:
        for n in range(rounds):
            name, user = f"jupyter-{n % 7}", f"user-{n}"
            cluster.add_pod(name, user=user)
            headers = {"Authorization": ticket(user)}
            with requests.get(f"{url}api/server/events", headers=headers, stream=True, timeout=30) as stream:
                assert json.loads(next(line for line in stream.iter_lines() if line.startswith(b"data"))[6:])
            cluster.delete(name)

    churn(60)
    before = resident_kib(process)
    # when
    churn(240)
    # then: 240 pages with 240 pods cost less than 10 KiB each
    assert resident_kib(process) - before < 2400

    def is_quiet() -> bool:
        ready = requests.get(f"{url}readyz", timeout=5).json()
        return ready["streams"] == 0 and ready["pods"] == 0

    wait_until(is_quiet)
