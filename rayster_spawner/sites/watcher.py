"""Knows the sites: looks at nodes and agents in the background, and answers from memory, whatever they do."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from logging import Logger
from typing import Any

import aiohttp

from ..agent_client import AgentFailed, ask_agent
from ..life.cancellation import end_tasks
from ..profiles import Agent, Profile, ProfileSet
from ..site_facts import HeardJob, JobsAnswer, SiteAnswer, SiteState, SiteStatus
from .change import Change
from .judge import FRESH_SECONDS, AgentHeard, Cluster, NodesHeard, is_down, judge
from .nodes import Node, down_since, nodes_of, read_node
from .said import Said

REFRESH_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
# While a site is down: hub and service each look for themselves, and who has heard from the service that it is back
# must not be refused by a hub that has not looked again.
_DOWN_REFRESH_SECONDS = 2.0
_SAME_SECONDS = 1.0

NodeList = Callable[[], Awaitable[list[dict[str, Any]]]]


class _AgentMemory:
    """What was heard of one agent."""

    def __init__(self) -> None:
        self.site: Said[SiteAnswer] = Said()
        self.jobs: Said[JobsAnswer] = Said()
        self.by_pod: dict[str, list[Any]] = {}

    def hear_jobs(self, answer: JobsAnswer, now: float) -> None:
        self.jobs.hear(answer, answer.age_seconds, now)
        by_pod: dict[str, list[Any]] = {}
        for job in answer.jobs:
            if job.pod_uid is not None:
                by_pod.setdefault(job.pod_uid, []).append(job)
        self.by_pod = by_pod


class Sites:
    """The state of all sites, as old as it says.

    Arguments: ``get_profiles`` returns the profiles as they are now (it may raise); ``list_nodes`` the cluster's nodes
    as the API server sends them, or is None where nobody may list them. Times are seconds. Nothing that is called from
    outside waits for a site, and nothing raises because of one.
    """

    def __init__(
        self,
        get_profiles: Callable[[], ProfileSet],
        list_nodes: NodeList | None,
        log: Logger,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        self.get_profiles, self.list_nodes, self.log = get_profiles, list_nodes, log
        self.changed = Change()
        self._refresh_seconds, self._timeout_seconds = refresh_seconds, timeout_seconds
        self._clock, self._wall_clock = clock, wall_clock
        self._nodes: tuple[Node, ...] | None = None
        self._nodes_at = clock()
        self._cluster = Cluster.AWAY if list_nodes is not None else Cluster.REFUSES
        self._agents: dict[str, _AgentMemory] = {}
        # By profile: when its nodes were first seen down, and last seen up.
        self._down_seen: dict[str, float] = {}
        self._up_seen: dict[str, float] = {}
        self._complaints: dict[str, str] = {}
        # Hundreds of streams ask at the same moment. By profile: which one, when, and what it was.
        self._statuses: dict[str, tuple[Profile, float, SiteStatus]] = {}
        self._tasks: list[asyncio.Task] = []

    def start(self) -> None:
        """Begin to look, on the running loop. A second call changes nothing."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._repeat(self.look_at_nodes, self._node_pause), name="look at nodes"),
                asyncio.create_task(self._ask_agents_forever(), name="ask agents"),
            ]

    async def stop(self) -> None:
        """End looking. What is known stays, and grows old."""
        tasks, self._tasks = self._tasks, []
        await end_tasks(tasks)

    # What is known

    def status(self, profile: Profile) -> SiteStatus:
        """Return what the site of ``profile`` is, at once."""
        now, known = self._clock(), self._statuses.get(profile.name)
        if known is None or known[0] is not profile or now - known[1] >= _SAME_SECONDS:
            known = self._statuses[profile.name] = profile, now, self._judge(profile)
        return known[2]

    def _judge(self, profile: Profile) -> SiteStatus:
        try:
            return judge(
                profile, self._nodes_heard(), self._agent_heard(profile.site_name), self._down_since(profile)
            )
        except Exception:
            self.log.exception("Cannot tell the state of the site of profile %s", profile.name)
            return SiteStatus(SiteState.UNKNOWN, "Unknown")

    def statuses(self, profiles: Iterable[Profile]) -> dict[str, SiteStatus]:
        """Return what the site of each of ``profiles`` is, by the profile's name, at once."""
        return {profile.name: self.status(profile) for profile in profiles}

    def jobs_of(self, site: str, pod_uid: str) -> list[HeardJob]:
        """Return the jobs that the agent of ``site`` has for a pod; none when it does not tell, or tells none.

        Times that count down are as of now.
        """
        memory, now = self._agents.get(site), self._clock()
        if memory is None or (said := memory.jobs).answer is None:
            return []
        age_seconds = said.age_seconds(now)
        if age_seconds is None:  # the agent has never seen its batch system
            return []
        is_fresh = said.answer.error is None and age_seconds < FRESH_SECONDS
        return [
            HeardJob(_as_of_now(job, said.since_heard_seconds(now)), age_seconds, is_fresh)
            for job in memory.by_pod.get(pod_uid, ())
        ]

    def tells_jobs(self, site: str) -> bool:
        """Tell whether ``site`` has an agent that has told its jobs lately."""
        memory = self._agents.get(site)
        age_seconds = memory.jobs.age_seconds(self._clock()) if memory is not None else None
        return age_seconds is not None and age_seconds < FRESH_SECONDS

    def node_names_of(self, site: str) -> set[str]:
        """Return the names of the nodes of ``site`` that are known."""
        profiles = self._profiles()
        mine = [p for p in profiles.profiles if p.site_name == site] if profiles else []
        return {node.name for profile in mine for node in nodes_of(profile, self._nodes or ())}

    def _nodes_heard(self) -> NodesHeard:
        return NodesHeard(self._nodes, self._clock() - self._nodes_at, self._cluster)

    def _agent_heard(self, site: str) -> AgentHeard | None:
        memory = self._agents.get(site)
        if memory is None:
            return None
        said = memory.site
        return AgentHeard(said.answer, said.age_seconds(self._clock()), said.failure)

    def _down_since(self, profile: Profile) -> float | None:
        first_seen = self._down_seen.get(profile.name)
        if first_seen is None:
            return None
        return down_since(nodes_of(profile, self._nodes or ()), first_seen, self._up_seen.get(profile.name))

    def _profiles(self) -> ProfileSet | None:
        try:
            profiles = self.get_profiles()
        except Exception as error:
            self._complain("profiles", f"The profiles cannot be read: {error}")
            return None
        self._complain("profiles", "")
        return profiles

    # Looking

    def _node_pause(self) -> float:
        """Return how long to wait for the next look at nodes."""
        return min(self._refresh_seconds, _DOWN_REFRESH_SECONDS) if self._down_seen else self._refresh_seconds

    async def _repeat(
        self, look: Callable[[], Awaitable[None]], pause: Callable[[], float] | None = None
    ) -> None:
        while True:
            started = self._clock()
            try:
                await look()
            except Exception:
                self.log.exception("A look at the sites failed")
            seconds = pause() if pause is not None else self._refresh_seconds
            await asyncio.sleep(max(0.1, seconds - (self._clock() - started)))

    async def look_at_nodes(self) -> None:
        """Look at the cluster's nodes once."""
        if self.list_nodes is None:
            return
        before = self._nodes, self._cluster
        try:
            manifests = await asyncio.wait_for(self.list_nodes(), self._timeout_seconds)
            self._nodes, self._cluster = tuple(map(read_node, manifests)), Cluster.ANSWERS
            self._nodes_at = self._clock()
            self._complain("nodes", "")
        except Exception as error:
            refused = getattr(error, "status", None) in (401, 403)
            self._cluster = Cluster.REFUSES if refused else Cluster.AWAY
            said = f"HTTP {error.status}" if refused else f"{error or type(error).__name__}"  # type: ignore[attr-defined]
            self._complain("nodes", f"The cluster's nodes cannot be listed: {said}")
        else:
            self._note_outages()
        if before != (self._nodes, self._cluster):
            self._tell()

    def _note_outages(self) -> None:
        profiles, now = self._profiles(), self._wall_clock()
        for profile in profiles.profiles if profiles else ():
            if is_down(profile, self._nodes or ()):
                self._down_seen.setdefault(profile.name, now)
            else:
                self._down_seen.pop(profile.name, None)
                self._up_seen[profile.name] = now

    async def _ask_agents_forever(self) -> None:
        connector = aiohttp.TCPConnector(limit_per_host=4)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            await self._repeat(lambda: self.ask_agents(session))

    async def ask_agents(self, session: aiohttp.ClientSession) -> None:
        """Ask all agents once, at the same time."""
        profiles = self._profiles()
        if profiles is None:
            return
        agents = {name: site.agent for name, site in profiles.sites.items()}
        for name in self._agents.keys() - agents.keys():
            del self._agents[name]
        for name in agents:
            self._agents.setdefault(name, _AgentMemory())
        await asyncio.gather(*(self._ask(session, name, agent) for name, agent in agents.items()))

    async def _ask(self, session: aiohttp.ClientSession, name: str, agent: Agent) -> None:
        memory = self._agents[name]
        await asyncio.gather(
            self._ask_site(session, name, agent, memory), self._ask_jobs(session, name, agent, memory)
        )

    async def _ask_site(
        self, session: aiohttp.ClientSession, name: str, agent: Agent, memory: _AgentMemory
    ) -> None:
        try:
            answer = await ask_agent(session, agent, "/v1/site", SiteAnswer, self._timeout_seconds)
        except AgentFailed as error:
            self._fail(name, memory.site, error, "queue")
            return
        memory.site.hear(answer, answer.age_seconds, self._clock())
        named = f"The agent of site {name} says that it is the one of {answer.site}"
        self._complain(f"name of {name}", named if answer.site not in ("", name) else "")
        words = f"{answer.error.command}: {answer.error.message}" if answer.error is not None else ""
        self._complain(
            f"queue of {name}",
            f"The batch system of site {name} does not answer its agent: {words}" if words else "",
        )
        self._tell()

    async def _ask_jobs(
        self, session: aiohttp.ClientSession, name: str, agent: Agent, memory: _AgentMemory
    ) -> None:
        try:
            answer = await ask_agent(session, agent, "/v1/jobs", JobsAnswer, self._timeout_seconds)
        except AgentFailed as error:
            self._fail(name, memory.jobs, error, "jobs")
            return
        memory.hear_jobs(answer, self._clock())
        self._complain(f"jobs of {name}", "")
        self._tell()

    def _fail(self, name: str, said: Said[Any], error: AgentFailed, topic: str) -> None:
        if said.failure is not error.kind:
            said.failure = error.kind
            self._tell()
        self._complain(f"{topic} of {name}", f"The agent of site {name} does not tell the {topic}: {error}")

    def _tell(self) -> None:
        self._statuses.clear()
        self.changed.tell()

    def _complain(self, topic: str, words: str) -> None:
        """Log what is wrong when it begins and when it ends, and not each time between."""
        before = self._complaints.get(topic, "")
        if words and not before:
            self.log.warning("%s", words)
        elif before and not words:
            self.log.info("No more: %s", before)
        self._complaints[topic] = words


def _as_of_now(job: Any, seconds: float) -> Any:
    counted = {
        name: value - seconds
        for name in ("expected_start_in_seconds", "time_left_seconds")
        if (value := getattr(job, name)) is not None
    }
    return job.model_copy(update=counted) if counted else job
