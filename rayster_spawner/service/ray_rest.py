"""Asks each cluster's own Ray who has joined and whether a driver is there: often where somebody looks, else rarely."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import Logger
from typing import Any

import aiohttp

from ..life.pod_status import Pod
from ..ray import names
from ..ray.membership import (
    RayHeard,
    Summary,
    index_by_pod,
    read_activity,
    read_nodes,
    read_summary,
    read_version,
    with_memory,
    with_summary,
)
from ..ray.rows import is_head
from ..ray.tokens import cluster_token
from .cluster_cache import ClusterCache

# How often a head is asked: while somebody waits for its workers, while somebody looks, while it is young and nobody
# does, and for its idleness alone.
WAITING_SECONDS, WATCHED_SECONDS, YOUNG_SECONDS, QUIET_SECONDS = 0.7, 2.0, 10.0, 45.0
_YOUNG_FOR_SECONDS = 900
ANSWER_SECONDS = 3.0
# Session and version of one head do not change; what is in use and who drives does, but needs no second look.
_VERSION_SECONDS, _SUMMARY_SECONDS, _ACTIVITY_SECONDS = 60.0, 4.0, 4.0
_MAX_ANSWER_BYTES = 8 * 2**20
_AT_ONCE = 24
_TICK_SECONDS = 0.2
_CROWD = 40


@dataclass
class _Asked:
    """What is remembered of asking one cluster's head. Moments are of a monotonic clock."""

    head_uid: str = ""
    next_at: float = 0
    is_asking: bool = False
    heard: RayHeard | None = None
    summary: Summary = field(default_factory=Summary)
    at: dict[str, float] = field(default_factory=dict)


class RayFailed(Exception):
    """A head did not answer, or not as Ray does; the text says how."""


def head_address(cluster: Mapping[str, Any], pods: list[Pod]) -> tuple[str, str] | None:
    """Return the UID of the head's pod and its dashboard's ``host:port``; None while there is none to ask."""
    heads = [pod for pod in pods if is_head(pod) and "deletionTimestamp" not in pod["metadata"]]
    port = cluster["metadata"]["annotations"].get(names.DASHBOARD_PORT, "")
    for pod in reversed(heads):
        host = pod["status"].get("podIP")
        if host and port.isdecimal() and len(port) <= 5:
            return pod["metadata"]["uid"], f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None


class RayWatch:
    """Asks all heads in turn, and tells the cache.

    Arguments: ``session`` is used for them alone; ``key`` is what clusters' tokens are made from (empty: nothing is
    asked); ``clock`` counts monotonic seconds, ``wall_clock`` seconds since the epoch.
    """

    def __init__(
        self,
        cache: ClusterCache,
        session: aiohttp.ClientSession,
        key: str,
        log: Logger,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        self._cache, self._session, self._key, self._log = cache, session, key, log
        self._clock, self._wall_clock = clock, wall_clock
        self._asked: dict[str, _Asked] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task] = set()
        cache.listen(self._hear_change)

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                try:
                    self._ask_who_is_due()
                except Exception:
                    self._log.exception("The clusters' Ray cannot be asked")
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear_change(self, name: str) -> None:
        """Look soon at a cluster whose pods have changed: a worker may have come or gone."""
        asked = self._asked.get(name)
        if asked is not None:
            asked.next_at = min(asked.next_at, self._clock() + WATCHED_SECONDS)

    def _ask_who_is_due(self) -> None:
        now, there = self._clock(), set()
        for cluster in self._cache.all() if self._key else ():
            name = cluster["metadata"]["name"]
            there.add(name)
            asked = self._asked.setdefault(name, _Asked())
            if asked.next_at > now + QUIET_SECONDS / 2 and self._cache.is_watched(name):
                asked.next_at = now  # somebody has begun to look
            if asked.is_asking or asked.next_at > now:
                continue
            if "deletionTimestamp" in cluster["metadata"] or cluster["spec"].get("suspend") is True:
                continue
            head = head_address(cluster, self._cache.pods_of(name))
            if head is None:
                continue
            asked.is_asking = True
            task = asyncio.create_task(self._ask(name, asked, *head), name=f"ask Ray of {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for gone in self._asked.keys() - there:
            del self._asked[gone]

    async def _ask(self, name: str, asked: _Asked, head_uid: str, address: str) -> None:
        try:
            async with self._room:
                await self._ask_head(name, asked, head_uid, address)
        except (RayFailed, ValueError) as error:
            known = asked.heard
            if known is None or known.head_uid != head_uid:
                asked.heard = RayHeard(head_uid, failure=str(error))
                self._cache.hear_ray(name, asked.heard)
        except Exception:
            self._log.exception("The Ray of %s cannot be asked", name)
        finally:
            asked.is_asking = False
            asked.next_at = self._clock() + self._pause(name)

    def _pause(self, name: str) -> float:
        """Return for how many seconds a cluster is left alone."""
        cluster = self._cache.get(name)
        is_watched = self._cache.is_watched(name)
        if cluster is None:
            return QUIET_SECONDS
        replicas = sum(group.get("replicas") or 0 for group in cluster["spec"]["workerGroupSpecs"])
        heard = self._cache.ray(name)
        members = heard.members if heard is not None else ()
        alive = sum(member.is_alive and not member.is_head and bool(member.pod) for member in members)
        is_complete = heard is not None and heard.has_answered and alive >= replicas
        if is_watched:
            # Many heads are asked no oftener than a few, together.
            crowd = max(1.0, self._cache.watched_count / _CROWD)
            return crowd * (WATCHED_SECONDS if is_complete else WAITING_SECONDS)
        asked_for = self._wall_clock() - _number(cluster["metadata"]["annotations"].get(names.REQUESTED_AT))
        return YOUNG_SECONDS if not is_complete and asked_for < _YOUNG_FOR_SECONDS else QUIET_SECONDS

    async def _ask_head(self, name: str, asked: _Asked, head_uid: str, address: str) -> None:
        if asked.head_uid != head_uid:
            asked.head_uid, asked.at, asked.summary, asked.heard = head_uid, {}, Summary(), None
        token, now = cluster_token(self._key, name), self._clock()

        async def ask(path: str) -> Any:
            return await get_json(self._session, f"http://{address}{path}", token)

        before = asked.heard or RayHeard(head_uid)
        version, session = before.ray_version, before.session
        if self._is_due(asked, "version", _VERSION_SECONDS, now):
            version, session = read_version(await ask("/api/version"))
            asked.at["version"] = now
        members = read_nodes(await ask("/api/v0/nodes?detail=1&limit=1000"))
        activity, ahead = before.activity, before.clock_ahead_seconds
        if self._is_due(asked, "activity", _ACTIVITY_SECONDS, now):
            activity, head_now = read_activity(await ask("/api/component_activities"))
            ahead = head_now - self._wall_clock() if head_now is not None else ahead
            asked.at["activity"] = now
        is_summed = self._is_due(asked, "summary", _SUMMARY_SECONDS, now)
        if is_summed or any(member.is_alive and not member.pod for member in members):
            try:
                asked.summary = read_summary(await ask("/nodes?view=summary"))
            except (RayFailed, ValueError):
                asked.summary = Summary()  # it says how much is in use, and no more
            asked.at["summary"] = now
        members = with_summary(members, asked.summary)
        if session == before.session:
            members = with_memory(members, before.members)
        heard = RayHeard(
            head_uid,
            0,
            session,
            version,
            members,
            activity,
            clock_ahead_seconds=ahead,
            by_pod=index_by_pod(members),
        )
        asked.heard = heard
        self._cache.hear_ray(name, heard)

    def _is_due(self, asked: _Asked, what: str, seconds: float, now: float) -> bool:
        return asked.heard is None or not asked.heard.session or now - asked.at.get(what, -1e9) >= seconds


async def get_json(session: aiohttp.ClientSession, url: str, token: str) -> Any:
    """Return the JSON that a head answers. Raises RayFailed."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    # Unpacked, a small answer could be any size.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    try:
        # A redirect could lead anywhere, with the token.
        async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            if answer.status != 200:
                raise RayFailed(f"HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(2**16):
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    raise RayFailed(f"an answer of more than {_MAX_ANSWER_BYTES} bytes")
    except asyncio.TimeoutError:
        raise RayFailed(f"no answer within {ANSWER_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise RayFailed(str(error) or type(error).__name__) from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RayFailed("an answer that is no JSON") from None


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0
