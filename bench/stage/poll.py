"""A RayCluster as a client without a service makes it: create the object, ask for its state every few seconds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rayster_testbed.testbed import Testbed

from . import by_hand
from .parts import until

# codeflare-sdk 0.38, `Cluster.wait_ready`.
POLL_SECONDS = 5
_READY_SECONDS = 180
_CLUSTERS = "/apis/ray.io/v1/namespaces/rayster/rayclusters"


def create_and_poll(testbed: Testbed, manifest: dict[str, Any], token: str, folder: Path) -> float:
    """Return the seconds from the creation to the first result, for the same cluster under another name."""
    old = manifest["metadata"]["name"]
    new = f"poll-{old[4:]}"
    copied = _renamed(manifest, old, new)
    body = {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {"name": new, "annotations": {"ray.io/overwrite-container-cmd": "true"}},
        "spec": copied["spec"],
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": new},
        "type": "Opaque",
        "stringData": {"auth_token": token},
    }
    with by_hand.waiting_driver(token) as driver:
        time.sleep(3)  # a notebook's kernel is there before
        started = time.time()
        testbed.cluster.call(lambda api: api.create("/api/v1/namespaces/rayster/secrets", secret))
        testbed.cluster.call(lambda api: api.create(_CLUSTERS, body))
        try:
            while _state(testbed, new) != "ready":
                if time.time() > started + _READY_SECONDS:
                    raise RuntimeError("the polled cluster was not ready in time")
                time.sleep(POLL_SECONDS)
            return by_hand.first_result(driver, by_hand.read_rendezvous(body), token, folder) - started
        finally:
            testbed.cluster.call(lambda api: api.delete(f"{_CLUSTERS}/{new}"))
            testbed.cluster.call(lambda api: api.delete(f"/api/v1/namespaces/rayster/secrets/{new}"))
            until(lambda: not _pods(testbed, new), 60, "the polled cluster's pods did not end")


def _state(testbed: Testbed, name: str) -> str:
    found = testbed.cluster.call(lambda api: api.get(f"{_CLUSTERS}/{name}"))
    return str((found.get("status") or {}).get("state") or "")


def _pods(testbed: Testbed, name: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in testbed.cluster.pods("rayster")
        if pod["metadata"]["labels"].get("ray.io/cluster") == name
    ]


def _renamed(value: Any, old: str, new: str) -> Any:
    """Return ``value`` with one name for another in every text."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_renamed(one, old, new) for one in value]
    if isinstance(value, dict):
        return {key: _renamed(one, old, new) for key, one in value.items()}
    return value
