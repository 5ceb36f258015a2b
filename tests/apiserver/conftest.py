"""The API server as a process of its own, and a small raw client for it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Json = dict[str, Any]
ADMIN, JOE, HUB = "admin-token", "joe-token", "hub-token"
TOKENS = (
    f'{ADMIN},admin,1,"system:masters"\n'
    f'{JOE},joe,2,"dev,team"\n'
    f'{HUB},system:serviceaccount:rayster:hub,3,"system:serviceaccounts,system:serviceaccounts:rayster"\n'
)


class ServerProcess:
    """`python -m rayster_testbed.apiserver` with a directory of its own; may be killed and started again."""

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        self.folder = folder
        self.options = options
        self.tls = tls
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "rayster_testbed.apiserver", "--port", "0"]
        command += ["--data-dir", str(self.folder / "data"), "--port-file", str(port_file), *self.options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        deadline = time.monotonic() + 30
        while not port_file.exists():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the API server did not start in 30 s"
            time.sleep(0.02)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port_file.read_text().strip()}"

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self._process.wait(10)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "tls.crt", folder / "tls.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server without tokens, shared by all tests of the room; each test has a namespace of its own."""
    process = ServerProcess(tmp_path_factory.mktemp("apiserver"))
    process.start()
    yield process
    process.end()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with TLS, tokens and RBAC, shared by all tests of the room."""
    folder = tmp_path_factory.mktemp("secured")
    cert_file, key_file = self_signed(folder)
    (folder / "tokens").write_text(TOKENS)
    options = ["--tls-cert-file", str(cert_file), "--tls-private-key-file", str(key_file)]
    options += ["--token-auth-file", str(folder / "tokens")]
    process = ServerProcess(folder, *options, tls=True)
    process.start()
    yield process
    process.end()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers that belong to one test."""
    made: list[ServerProcess] = []

    def make(*options: str) -> ServerProcess:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        process = ServerProcess(folder, *options)
        made.append(process)
        process.start()
        return process

    yield make
    for process in made:
        if process.running:
            process.end()


@dataclass
class Answer:
    """Status, parsed body (or text) and headers of one answer."""

    status: int
    body: Any
    headers: Any = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The names of a list's items."""
        return [item["metadata"]["name"] for item in self.body["items"]]


class Api:
    """A raw client: says exactly what goes over the wire."""

    def __init__(self, session: aiohttp.ClientSession, url: str, namespace: str, token: str = "") -> None:
        self._session = session
        self.url = url
        self.namespace = namespace
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def path(self, plural: str, name: str = "", group: str = "", namespace: str | None = None) -> str:
        """`pods` → `/api/v1/namespaces/NS/pods`; `deployments`, group `apps/v1` likewise."""
        root = f"/apis/{group}" if group else "/api/v1"
        space = self.namespace if namespace is None else namespace
        return f"{root}/namespaces/{space}/{plural}" + (f"/{name}" if name else "")

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        """Send one request; `body` is JSON, or bytes as they are."""
        sent = dict(self._headers)
        data: bytes | None = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        params = {key: str(value) for key, value in query.items()}
        async with self._session.request(
            method, self.url + path, data=data, headers=sent, params=params
        ) as answer:
            text = await answer.text()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            return Answer(answer.status, json.loads(text) if is_json and text else text, answer.headers)

    async def patch(self, path: str, body: Any, form: str = "merge", **query: Any) -> Answer:
        """PATCH in one of the forms `merge`, `strategic`, `json`, `apply`."""
        kinds = {
            "merge": "application/merge-patch+json",
            "strategic": "application/strategic-merge-patch+json",
            "json": "application/json-patch+json",
            "apply": "application/apply-patch+yaml",
        }
        return await self("PATCH", path, body, {"Content-Type": kinds[form]}, **query)

    async def create(self, plural: str, obj: Json, group: str = "") -> Json:
        """POST that must work."""
        answer = await self("POST", self.path(plural, group=group), obj)
        assert answer.status == 201, answer
        return answer.body

    async def watch(
        self, path: str, count: int | None = None, seconds: float = 5, accept: str = "*/*", **query: Any
    ) -> list[Json]:
        """The events of a watch: `count` of them, or (None) those until the server ends it."""
        params = {"watch": "true", **{key: str(value) for key, value in query.items()}}
        headers = {**self._headers, "Accept": accept}
        events: list[Json] = []

        async def read() -> None:
            async with self._session.get(self.url + path, params=params, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                async for line in answer.content:
                    events.append(json.loads(line))
                    if len(events) == count:
                        return

        try:
            await asyncio.wait_for(read(), seconds)
        except asyncio.TimeoutError:
            raise AssertionError(f"only {len(events)} of {count} events came: {events}") from None
        return events


_numbers = itertools.count()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session that trusts any certificate (the tests' own)."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, limit=0)) as opened:
        yield opened


@pytest.fixture
async def api(server: ServerProcess, session: aiohttp.ClientSession) -> Api:
    """A client with a fresh namespace on the open server."""
    client = Api(session, server.url, f"test-{next(_numbers)}")
    answer = await client("POST", "/api/v1/namespaces", {"metadata": {"name": client.namespace}})
    assert answer.status == 201, answer
    return client


@pytest.fixture
def client_of(secured: ServerProcess, session: aiohttp.ClientSession) -> Callable[..., Api]:
    """Makes clients of the secured server: `client_of(token, namespace)`."""
    return lambda token="", namespace="rayster": Api(session, secured.url, namespace, token)


@pytest.fixture
def pod() -> Callable[..., Json]:
    """Makes pods: `pod("a", labels={...}, image=..., **spec)`."""

    def make(name: str = "a", labels: dict[str, str] | None = None, image: str = "x:1", **spec: Any) -> Json:
        container = {"name": "main", "image": image}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"containers": [container], **spec},
        }

    return make


async def eventually(check: Callable[[], Any], seconds: float = 5) -> Any:
    """Wait until an awaitable check gives something true; returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = await check()
        if result:
            return result
        assert time.monotonic() < deadline, "it did not come to pass in time"
        await asyncio.sleep(0.02)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually
