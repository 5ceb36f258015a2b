"""A notebook of the measurements: a user's server in the testbed, and kernels in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rayster_testbed.testbed import Testbed
from tests.e2e.hub_client import HubUser, Kernel

from .parts import until

_SERVER = {"cpu": 1, "memory": "1Gi", "walltime": "2h"}


class Notebook:
    """A server of ``user`` with ``profile``; a context manager that starts and stops it."""

    def __init__(self, testbed: Testbed, user: str, profile: str):
        self._testbed = testbed
        self._server = HubUser(testbed, user).server()
        self._options = {**_SERVER, "profile": profile}

    def __enter__(self) -> Notebook:
        answer = self._server.spawn(self._options)
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"no server: HTTP {answer.status_code} {answer.text[:300]}")
        self._server.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @contextmanager
    def kernel(self) -> Iterator[Kernel]:
        """A kernel that has said something already, and is ended."""
        kernel = self._server.kernel()
        kernel.run("print('here')")
        try:
            yield kernel
        finally:
            user, path = self._server.user, f"{self._server.base_path}api/kernels/{kernel.id}"
            headers = {"X-XSRFToken": user.xsrf(self._server.base_path), "Sec-Fetch-Mode": "cors"}
            user.session.delete(user.url(path), headers=headers, timeout=20)

    def objects_of(self, cluster: str) -> tuple[dict[str, Any], str]:
        """Return a cluster's RayCluster and its token."""
        found = self._testbed.cluster.call(
            lambda api: api.get(f"/apis/ray.io/v1/namespaces/rayster/rayclusters/{cluster}")
        )
        secret = self._testbed.cluster.call(
            lambda api: api.get(f"/api/v1/namespaces/rayster/secrets/{cluster}")
        )
        return found, base64.b64decode(secret["data"]["auth_token"]).decode()

    def wait_until_alone(self) -> None:
        """Wait until no other pod than the server's is there."""
        until(lambda: len(self._testbed.cluster.pods("rayster")) == 1, 60, "a cluster's pods did not end")

    @staticmethod
    def word(output: str, name: str) -> str:
        """Return the word after ``name`` in what a kernel printed."""
        found = re.search(rf"^{name} (\S+)", output, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"the kernel did not print {name}: {output[-500:]}")
        return found[1]

    @classmethod
    def number(cls, output: str, name: str) -> float:
        """Return the first number after ``name`` in what a kernel printed."""
        return float(cls.word(output, name))
