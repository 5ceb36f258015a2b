"""Kubernetes events: recorded in the background, repeated ones counted instead of piled up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone

import structlog

from rayster_testbed.kube import TROUBLE, ApiError, KubeClient, Obj, path

log = structlog.get_logger()

_REMEMBERED = 4096


def timestamp(*, micro: bool = False) -> str:
    """Now, as `metav1.Time` (whole seconds) or `metav1.MicroTime`."""
    now = datetime.now(timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with any number of fractional digits."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    fraction = f".{fraction[:6]:0<6}" if fraction else ""
    return datetime.fromisoformat(f"{whole}{fraction}+00:00").timestamp()


def reference(obj: Mapping, kind: str, field_path: str = "") -> Obj:
    """The `involvedObject` that points to *obj*."""
    metadata = obj["metadata"]
    ref = {
        "apiVersion": "v1",
        "kind": kind,
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "uid": metadata.get("uid", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {key: value for key, value in ref.items() if value}


class EventRecorder:
    """Writes events for one component, in order, never in the way of its caller.

    *series* selects the newer form (`eventTime`, `series`, no `source`), which the real scheduler writes; otherwise
    the older one (`source`, `firstTimestamp`, `lastTimestamp`, `count`), which kubelets and controllers write.
    Without *by_message*, an event with other words but of the same reason, about the same version of an object, counts
    as a repeated one and its words are lost: so do controllers on controller-runtime.
    """

    def __init__(
        self,
        client: KubeClient,
        component: str,
        *,
        host: str = "",
        series: bool = False,
        by_message: bool = True,
    ) -> None:
        self._by_message = by_message
        self._client = client
        self._component = component
        self._host = host
        self._series = series
        self._queue: asyncio.Queue[Obj] = asyncio.Queue()
        self._seen: dict[tuple, tuple[Obj, int]] = {}

    def record(self, ref: Obj, kind: str, reason: str, message: str, *, action: str = "") -> None:
        """Note that *reason* happened to *ref*; *kind* is `Normal` or `Warning`."""
        self._queue.put_nowait(
            {"ref": ref, "type": kind, "reason": reason, "message": message[:1024], "action": action}
        )

    async def run(self) -> None:
        while True:
            note = await self._queue.get()
            try:
                await self._write(note)
            except TROUBLE as error:
                # As with the real parts, events are best effort: losing one never holds up the work.
                log.info("event lost", reason=note["reason"], error=str(error))
            finally:
                self._queue.task_done()

    async def drain(self, timeout_seconds: float = 2) -> None:
        """Give what was recorded a moment to be written (used at the end of a process)."""
        try:
            await asyncio.wait_for(self._queue.join(), timeout_seconds)
        except asyncio.TimeoutError:
            log.info("events lost at exit", count=self._queue.qsize())

    async def _write(self, note: Obj) -> None:
        ref = note["ref"]
        what = note["message"] if self._by_message else ref.get("resourceVersion")
        identity = (ref.get("uid"), ref.get("fieldPath"), note["reason"], what)
        if (seen := self._seen.get(identity)) is not None:
            event, count = seen
            try:
                await self._client.merge(_event_path(event), self._repeat(count + 1))
                self._seen[identity] = (event, count + 1)
                return
            except ApiError as error:
                if error.status != 404:
                    raise
        event = self._first(note)
        await self._client.create(path("events", event["metadata"]["namespace"]), event)
        if len(self._seen) >= _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[identity] = (event, 1)

    def _first(self, note: Obj) -> Obj:
        ref = note["ref"]
        instance = self._host or f"{self._component}-testbed"
        times: Obj
        if self._series:
            times = {
                "eventTime": timestamp(micro=True),
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
            }
        else:
            now = timestamp()
            source = {"component": self._component, **({"host": self._host} if self._host else {})}
            times = {
                "source": source,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "eventTime": None,
            }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{ref['name']}.{secrets.token_hex(8)}",
                "namespace": ref.get("namespace", "default"),
            },
            "involvedObject": ref,
            "type": note["type"],
            "reason": note["reason"],
            "message": note["message"],
            "reportingComponent": self._component,
            "reportingInstance": instance,
            **({"action": note["action"]} if note["action"] else {}),
            **times,
        }

    def _repeat(self, count: int) -> Obj:
        if self._series:
            return {"series": {"count": count, "lastObservedTime": timestamp(micro=True)}}
        return {"count": count, "lastTimestamp": timestamp()}


def _event_path(event: Obj) -> str:
    return path("events", event["metadata"]["namespace"], event["metadata"]["name"])
