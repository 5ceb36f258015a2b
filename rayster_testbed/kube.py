"""A thin asynchronous client of the Kubernetes REST API for the testbed's parts: plain dicts in, plain dicts out."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import yaml

Obj = dict[str, Any]

CORE = "api/v1"
COORDINATION = "apis/coordination.k8s.io/v1"

# One watch line holds one whole object; a pod or a config map may be larger than aiohttp's 64 KiB default.
_LINE_LIMIT_BYTES = 4 * 2**20


class ApiError(Exception):
    """The API server refused: `status` (HTTP), `reason` and `message` as in its Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


# What a call may raise while the API server is away, is coming back, or refuses.
TROUBLE = (ApiError, aiohttp.ClientError, asyncio.TimeoutError, OSError)


@dataclass(frozen=True)
class KubeConfig:
    """How to reach and convince one API server."""

    server: str
    token: str | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def load(cls, path: Path) -> KubeConfig:
        """Read the current context of a kubeconfig file.

        Raises: ValueError when the file names no cluster for its current context.
        """
        document = yaml.safe_load(path.read_text())
        try:
            context = _named(document["contexts"], document["current-context"])["context"]
            cluster = _named(document["clusters"], context["cluster"])["cluster"]
            user = _named(document.get("users") or [], context["user"])["user"] if context.get("user") else {}
            server = cluster["server"].rstrip("/")
        except (KeyError, TypeError, StopIteration) as error:
            raise ValueError(f"{path} is not a kubeconfig with a current context: {error!r}") from error
        return cls(server, (user or {}).get("token"), _tls(cluster, user or {}, path.parent))


def _named(entries: list[Obj], name: str) -> Obj:
    return next(entry for entry in entries if entry["name"] == name)


def _tls(cluster: Mapping, user: Mapping, base: Path) -> ssl.SSLContext | None:
    if not cluster["server"].startswith("https"):
        return None
    context = ssl.create_default_context()
    if data := cluster.get("certificate-authority-data"):
        context.load_verify_locations(cadata=base64.b64decode(data).decode())
    elif file := cluster.get("certificate-authority"):
        context.load_verify_locations(cafile=str(base / file))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if user.get("client-certificate-data"):
        _load_client_certificate(context, user)
    elif user.get("client-certificate"):
        context.load_cert_chain(str(base / user["client-certificate"]), str(base / user["client-key"]))
    return context


def _load_client_certificate(context: ssl.SSLContext, user: Mapping) -> None:
    """The ssl module takes client certificates from files only."""
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(user["client-certificate-data"]))
            file.write(b"\n")
            file.write(base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def path(plural: str, namespace: str = "", name: str = "", sub: str = "", *, api: str = CORE) -> str:
    """The URL path of a collection, an object or a subresource."""
    parts = [api]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    parts += [quote(part, safe="") for part in (name, sub) if part]
    return "/" + "/".join(parts)


def path_of(plural: str, obj: Mapping, sub: str = "", *, api: str = CORE) -> str:
    """The URL path of an object that one holds."""
    metadata = obj["metadata"]
    return path(plural, metadata.get("namespace", ""), metadata["name"], sub, api=api)


class KubeClient:
    """One session with an API server. Use as an async context manager."""

    def __init__(self, config: KubeConfig, *, timeout_seconds: float = 30) -> None:
        self._config = config
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> KubeClient:
        headers = {"Authorization": f"Bearer {self._config.token}"} if self._config.token else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            read_bufsize=_LINE_LIMIT_BYTES,
            connector=aiohttp.TCPConnector(limit=0, ssl=self._config.tls or True),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        url_path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Obj:
        """One call; the decoded answer.

        Raises: ApiError for an answer >= 400; aiohttp.ClientError or TimeoutError when there is none.
        """
        assert self._session is not None, "use KubeClient as an async context manager"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._session.request(
            method,
            self._config.server + url_path,
            params=params,
            data=data,
            headers=headers,
            timeout=self._timeout,
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise _api_error(response.status, text)
            return json.loads(text) if text else {}

    async def get(self, url_path: str, **params: str) -> Obj:
        return await self.request("GET", url_path, params=params)

    async def find(self, url_path: str) -> Obj | None:
        """The object, or None when there is none."""
        try:
            return await self.get(url_path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, url_path: str, body: Obj) -> Obj:
        return await self.request("POST", url_path, body=body)

    async def replace(self, url_path: str, body: Obj) -> Obj:
        return await self.request("PUT", url_path, body=body)

    async def merge(self, url_path: str, body: Obj) -> Obj:
        """JSON merge patch: dicts are merged, lists are replaced, None removes."""
        return await self.request("PATCH", url_path, body=body, content_type="application/merge-patch+json")

    async def delete(
        self, url_path: str, *, grace_seconds: int | None = None, uid: str | None = None
    ) -> None:
        """Delete if it is there (and still is the object with *uid*, when given)."""
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", url_path, body=options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def watch(
        self, url_path: str, params: Mapping[str, str], *, timeout_seconds: int = 300
    ) -> AsyncIterator[tuple[str, Obj]]:
        """Changes as (type, object), until the server ends the watch after *timeout_seconds*.

        Raises: ApiError when the server answers with an ERROR event (410: list again).
        """
        assert self._session is not None, "use KubeClient as an async context manager"
        query = {**params, "watch": "true", "timeoutSeconds": str(timeout_seconds)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=timeout_seconds + 10)
        async with self._session.get(
            self._config.server + url_path, params=query, timeout=timeout
        ) as response:
            if response.status >= 400:
                raise _api_error(response.status, await response.text())
            async for line in response.content:
                if not line.strip():
                    continue
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(
                        status.get("code", 500), status.get("reason", ""), status.get("message", "")
                    )
                yield event["type"], event["object"]


def _api_error(status: int, text: str) -> ApiError:
    try:
        answer = json.loads(text)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, "", text[:500])
