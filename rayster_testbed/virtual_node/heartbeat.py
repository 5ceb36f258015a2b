"""Keeps the Node object of a virtual node: registers it, pings the plugin, reports conditions and capacity."""

from __future__ import annotations

import asyncio
import json

import structlog

from rayster_testbed.kube import TROUBLE, KubeClient, Obj, path
from rayster_testbed.kube_events import timestamp
from rayster_testbed.kubelet.node import renew_lease
from rayster_testbed.virtual_node.modes import Behaviour
from rayster_testbed.virtual_node.node import (
    PING_ANNOTATION,
    VirtualNodeSettings,
    conditions,
    node_capacity,
    node_object,
    node_status,
    overridden_capacity,
    ping_message,
)
from rayster_testbed.virtual_node.plugin import Plugin, PluginError

log = structlog.get_logger()

_LEASE_SECONDS = 300
_RETRY_SECONDS = 1.0


class Heartbeat:
    """One virtual node's sign of life."""

    def __init__(
        self, client: KubeClient, plugin: Plugin, settings: VirtualNodeSettings, behaviour: Behaviour
    ) -> None:
        self._client = client
        self._plugin = plugin
        self._settings = settings
        self._behaviour = behaviour
        self._capacity = node_capacity(settings)
        self._failed_pings = 0

    async def run(self) -> None:
        """Register, then ping for ever."""
        await asyncio.gather(self._ping_loop(), self._lease_loop())

    async def _ping_loop(self) -> None:
        await self._report(conditions(timestamp(), ready=False), "", register=True)
        if not self._behaviour.first_ping_at_once:
            await asyncio.sleep(self._behaviour.ping_seconds)
        while True:
            await self._ping()
            await asyncio.sleep(self._behaviour.ping_seconds)

    async def _ping(self) -> None:
        try:
            body = await self._plugin.ping()
        except PluginError as error:
            self._failed_pings += 1
            log.error("ping failed", code=error.status, in_a_row=self._failed_pings)
            # interLink's API server answers a ping with 500 and the plugin's state as text.
            message = ping_message(False, 500, "503")
            ready = self._failed_pings < self._behaviour.failed_pings_until_not_ready
            await self._report(conditions(timestamp(), ready=ready, ping=(False, message)), "")
            return
        if self._failed_pings:
            log.info("ping succeeds again")
        self._failed_pings = 0
        try:
            self._capacity = overridden_capacity(self._capacity, json.loads(body))
        except ValueError:
            log.debug("the answer to a ping is no JSON", body=body)
        ping = (True, ping_message(True, 200, body))
        await self._report(conditions(timestamp(), ready=True, ping=ping), body)

    async def _report(self, found: list[Obj], ping_response: str, *, register: bool = False) -> None:
        """Write the node; waits for an API server that is away, since everything depends on the report."""
        where = path("nodes", "", self._settings.name)
        wanted = node_object(self._settings)
        status = node_status(self._settings, self._capacity, found)
        while True:
            try:
                node = await self._client.find(where)
                if node is None:
                    await self._client.create(path("nodes"), wanted)
                    log.info("registered", node=self._settings.name)
                elif register:
                    # As found, an existing node keeps its spec: its taints are those of its creation.
                    await self._client.merge(where, {"metadata": {"labels": wanted["metadata"]["labels"]}})
                annotations = {PING_ANNOTATION: ping_response} if not register else {}
                await self._client.merge(
                    where + "/status", {"metadata": {"annotations": annotations}, "status": status}
                )
                return
            except TROUBLE as error:
                log.warning("node not reported", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _lease_loop(self) -> None:
        while True:
            try:
                await renew_lease(self._client, self._settings.name, _LEASE_SECONDS)
            except TROUBLE as error:
                log.warning("lease not renewed", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await asyncio.sleep(_LEASE_SECONDS / 4)
