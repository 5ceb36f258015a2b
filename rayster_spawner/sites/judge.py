"""Decides what a profile's site is for somebody about to choose it: available, busy, unreachable or unknown. Pure.

| nodes of the site | its agent | state |
| --- | --- | --- |
| not one ready, or none there | whatever it says | unreachable: nothing can be submitted |
| ready, or not known | says that there is room for a default request | available |
| ready, or not known | says that there is none | busy |
| ready, or not known | says that the queue is closed | unreachable |
| ready, or not known | is old, wrong, silent, or its batch system is | unknown |
| ready | there is none for this site | available, and its queue is not known |
| not known | there is none for this site | unknown |
"""

from collections.abc import Iterable
from datetime import datetime, timezone
from enum import Enum
from typing import NamedTuple

from ..agent_client import Failure
from ..life.progress import duration
from ..profiles import Profile
from ..site_facts import Partition, SiteAnswer, SiteState, SiteStatus
from .nodes import Node, nodes_of

# Older than this, what an agent says decides nothing.
FRESH_SECONDS = 120
# Nodes change rarely, and an API server that is away for a minute is no news about a site.
NODES_FRESH_SECONDS = 300


class Cluster(Enum):
    """Why nodes are not known, if so."""

    ANSWERS = "answers"
    REFUSES = "refuses"
    AWAY = "away"


class NodesHeard(NamedTuple):
    """The cluster's nodes and how old that is (seconds); ``cluster`` tells how the last look went."""

    nodes: tuple[Node, ...] | None = None
    age_seconds: float = 0
    cluster: Cluster = Cluster.AWAY


class AgentHeard(NamedTuple):
    """An agent's last good answer, how old its contents are (seconds), and why the last request failed, if it did."""

    answer: SiteAnswer | None = None
    age_seconds: float | None = None
    failure: Failure | None = None


def judge(
    profile: Profile, nodes: NodesHeard, agent: AgentHeard | None, down_since: float | None
) -> SiteStatus:
    """Return what the site of ``profile`` is.

    Arguments: ``agent`` is None for a site without one; ``down_since`` is since when (epoch seconds) no node of the
    profile is ready, when that is known.
    """
    known = nodes.nodes if nodes.age_seconds <= NODES_FRESH_SECONDS else None
    if not profile.is_offloaded:
        return _judge_cloud(profile, known, nodes)
    node_age = int(nodes.age_seconds)
    if known is not None and (why := _why_unreachable(profile, nodes_of(profile, known))):
        return _unreachable(why, node_age, down_since)
    if agent is None:
        if known is None:
            return SiteStatus(SiteState.UNKNOWN, "Unknown", "Nothing is known of this site at the moment.")
        return SiteStatus(SiteState.AVAILABLE, "Available", "Its queue is not known.", node_age)
    return _judge_agent(profile, agent)


def is_down(profile: Profile, nodes: Iterable[Node]) -> bool:
    """Tell whether no node of ``profile`` is ready."""
    return not any(node.is_ready for node in nodes_of(profile, nodes))


def is_fresh(agent: AgentHeard) -> bool:
    """Tell whether anything may be decided by what an agent said."""
    return (
        agent.answer is not None
        and agent.answer.error is None
        and agent.age_seconds is not None
        and agent.age_seconds < FRESH_SECONDS
    )


def _judge_cloud(profile: Profile, known: tuple[Node, ...] | None, heard: NodesHeard) -> SiteStatus:
    if known is None:
        if heard.cluster is Cluster.REFUSES:
            # The hub itself runs there, and nothing speaks against it.
            return SiteStatus(
                SiteState.AVAILABLE, "Available", "The hub may not look at the cluster's nodes."
            )
        return SiteStatus(SiteState.UNKNOWN, "Unknown", "The cluster does not answer at the moment.")
    age = int(heard.age_seconds)
    open_nodes = [node for node in nodes_of(profile, known) if node.is_ready and not node.is_closed]
    if open_nodes:
        return SiteStatus(SiteState.AVAILABLE, "Available", "", age)
    # Not unreachable: many clusters start a node when somebody needs it.
    return SiteStatus(
        SiteState.UNKNOWN, "Unknown", "No node is ready; one may have to be started first.", age
    )


def _why_unreachable(profile: Profile, nodes: list[Node]) -> str:
    if not nodes:
        return "The cluster has no node for this site."
    if not any(node.is_ready for node in nodes):
        return "The site's node in the cluster does not answer."
    if all(node.is_closed for node in nodes if node.is_ready):
        return "The site's node is closed for new servers."
    return ""


def _unreachable(why: str, age_seconds: int, since: float | None) -> SiteStatus:
    when = f" since {_utc(since)}" if since is not None else ""
    return SiteStatus(SiteState.UNREACHABLE, f"Unreachable{when}", why, age_seconds, since)


def _utc(epoch_seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(epoch_seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return moment.strftime("%d %b %Y %H:%M UTC")


def _judge_agent(profile: Profile, agent: AgentHeard) -> SiteStatus:
    age = None if agent.age_seconds is None else int(agent.age_seconds)
    if not is_fresh(agent):
        return SiteStatus(SiteState.UNKNOWN, "Unknown", _why_not_fresh(agent), age)
    assert agent.answer is not None
    partitions = _partitions(profile, agent.answer.partitions)
    if not partitions:
        return SiteStatus(
            SiteState.UNKNOWN, "Unknown", "The site does not tell of this profile's queue.", age
        )
    open_ones = [partition for partition in partitions if _is_open(partition)]
    if not open_ones:
        return SiteStatus(SiteState.UNREACHABLE, "Queue is closed", _closed_words(partitions), age)
    roomy = [partition for partition in open_ones if _has_room(profile, partition)]
    shown = (roomy or open_ones)[0]
    detail = _numbers(profile, shown, sees_all_jobs=agent.answer.sees_all_jobs is not False)
    if roomy:
        return SiteStatus(SiteState.AVAILABLE, "Available", detail, age)
    wait = _wait_seconds(shown)
    text = "Busy" if wait is None else f"Busy, typical wait {_about(wait)}"
    return SiteStatus(SiteState.BUSY, text, detail, age, wait_seconds=wait)


def _why_not_fresh(agent: AgentHeard) -> str:
    # The agent's own words may name what is nobody's business; administrators find them in the log.
    if agent.answer is not None and agent.answer.error is not None and agent.failure is None:
        return "The site's batch system does not answer; its queue is not known."
    if agent.answer is not None and agent.failure is None:
        return "What the site tells of its queue is too old."
    return "The site does not tell its queue at the moment."


def _partitions(profile: Profile, partitions: list[Partition]) -> list[Partition]:
    """Return the partitions that a job of ``profile`` may go to."""
    named = profile.slurm.partition if profile.slurm else None
    if named is not None:
        return [partition for partition in partitions if partition.name == named]
    return [partition for partition in partitions if partition.is_default] or partitions


def _is_open(partition: Partition) -> bool:
    return partition.state.lower() == "up" and not _all_nodes_down(partition)


def _all_nodes_down(partition: Partition) -> bool:
    return partition.nodes.total > 0 and partition.nodes.down >= partition.nodes.total


def _closed_words(partitions: list[Partition]) -> str:
    if all(_all_nodes_down(partition) for partition in partitions):
        return "All its nodes are down."
    return "The site takes no jobs into this queue, or starts none."


def _has_room(profile: Profile, partition: Partition) -> bool:
    """Tell whether a default request could start at once, as far as sums over nodes tell."""
    if partition.cores.free < profile.cpu.default:
        return False
    wanted = profile.gpu.default if profile.gpu is not None else 0
    if not wanted or not partition.gpus:
        return True
    return _free_gpus(profile, partition) >= wanted


def _free_gpus(profile: Profile, partition: Partition) -> int:
    kind = _gpu_type(profile)
    typed = [gpus for gpus in partition.gpus if kind and gpus.type == kind]
    # A site that does not name its types has one kind; a profile that names none takes any.
    usable = typed or [gpus for gpus in partition.gpus if not kind or not gpus.type]
    return sum(gpus.free for gpus in usable)


def _gpu_type(profile: Profile) -> str:
    parts = profile.slurm.gres.split(":") if profile.slurm else []
    return parts[1] if len(parts) == 3 else ""


def _wait_seconds(partition: Partition) -> int | None:
    typical = partition.wait_seconds.p50
    return None if typical is None else max(0, int(typical))


def _about(seconds: int) -> str:
    return "less than a minute" if seconds < 60 else f"about {duration(seconds)}"


def _numbers(profile: Profile, partition: Partition, *, sees_all_jobs: bool) -> str:
    parts = [f"{partition.cores.free} of {partition.cores.total} cores free"]
    if profile.gpu is not None and partition.gpus:
        gpus = _free_gpus(profile, partition)
        parts.append(f"{gpus} {'GPU' if gpus == 1 else 'GPUs'} free")
    if sees_all_jobs:
        waiting = partition.jobs.pending
        parts.append(f"{waiting} {'job waits' if waiting == 1 else 'jobs wait'}")
    return ", ".join(parts)
