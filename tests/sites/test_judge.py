"""What a profile's site is said to be, for everything that nodes and agents can say or fail to say."""

from typing import Any

import pytest

from rayster_spawner.agent_client import Failure
from rayster_spawner.profiles import Profile
from rayster_spawner.site_facts import SiteAnswer, SiteState, SiteStatus
from rayster_spawner.sites.judge import AgentHeard, Cluster, NodesHeard, judge
from rayster_spawner.sites.nodes import Node, read_node

from .conftest import CLOUD, node_manifest, profile_data, site_answer

SINCE = 1_795_615_320.0  # 25 Nov 2026 14:02 UTC


def nodes(*manifests: dict[str, Any], age_seconds: float = 2) -> NodesHeard:
    return NodesHeard(tuple(map(read_node, manifests)), age_seconds, Cluster.ANSWERS)


def heard(age_seconds: float | None = 3, failure: Failure | None = None, **changes: Any) -> AgentHeard:
    return AgentHeard(SiteAnswer.model_validate(site_answer(**changes)), age_seconds, failure)


def partition(**changes: Any) -> list[dict[str, Any]]:
    return [{**site_answer()["partitions"][0], **changes}]


def judged(profile: dict[str, Any], seen: NodesHeard, agent: AgentHeard | None) -> SiteStatus:
    return judge(Profile.model_validate(profile), seen, agent, SINCE)


UP = nodes(node_manifest("padova"))
DOWN = nodes(node_manifest("padova", "False"))
NOT_ALLOWED = NodesHeard(None, 0, Cluster.REFUSES)
AWAY = NodesHeard(None, 0, Cluster.AWAY)
NO_CORES = {"cores": {"free": 3, "total": 128}}
NO_GPUS = {"gpus": [{"type": "a100", "free": 1, "total": 8}, {"type": "h100", "free": 8, "total": 8}]}
SLURM_DOWN = {"error": {"command": "squeue", "message": "Unable to contact slurm controller"}}
OLD = nodes(node_manifest("padova"), age_seconds=301)

S = SiteState
CASES = [
    # nodes
    ("node-up-and-no-agent", UP, None, S.AVAILABLE, "Available", "Its queue is not known."),
    ("node-down", DOWN, None, S.UNREACHABLE, "Unreachable since 25 Nov 2026 14:02 UTC", "does not answer"),
    ("node-lost", nodes(node_manifest("padova", "Unknown")), heard(), S.UNREACHABLE, "Unreachable since", ""),
    ("node-down-whatever-the-agent-says", DOWN, heard(), S.UNREACHABLE, "Unreachable since", ""),
    ("no-such-node", nodes(node_manifest("other")), heard(), S.UNREACHABLE, "Unreachable since", "has no node"),
    ("no-nodes-at-all", nodes(), None, S.UNREACHABLE, "Unreachable since", "has no node"),
    ("node-without-conditions", nodes({**node_manifest("padova"), "status": {}}), None, S.UNREACHABLE, "", ""),
    ("node-closed", nodes(node_manifest("padova", spec={"unschedulable": True})), heard(), S.UNREACHABLE, "",
     "closed for new servers"),
    ("may-not-list-and-no-agent", NOT_ALLOWED, None, S.UNKNOWN, "Unknown", ""),
    ("may-not-list-but-agent", NOT_ALLOWED, heard(), S.AVAILABLE, "Available", "64 of 128 cores free"),
    ("cluster-away-and-nothing-known", AWAY, None, S.UNKNOWN, "Unknown", ""),
    ("cluster-away-for-a-minute", nodes(node_manifest("padova"), age_seconds=60)._replace(cluster=Cluster.AWAY), None,
     S.AVAILABLE, "Available", ""),
    ("cluster-away-for-long", OLD, None, S.UNKNOWN, "Unknown", ""),
    ("cluster-away-for-long-but-agent", OLD, heard(), S.AVAILABLE, "Available", ""),
    # agent and queue
    ("room", UP, heard(), S.AVAILABLE, "Available", "64 of 128 cores free, 4 GPUs free, 3 jobs wait"),
    ("jobs-of-others-hidden", UP, heard(sees_all_jobs=False), S.AVAILABLE, "Available", "4 GPUs free"),
    ("no-cores", UP, heard(partitions=partition(**NO_CORES)), S.BUSY, "Busy, typical wait about 25 min", "3 of 128"),
    ("no-gpus-of-the-type", UP, heard(partitions=partition(**NO_GPUS)), S.BUSY, "Busy, typical wait about 25 min", "1 GPU free"),
    ("busy-and-no-wait-known", UP, heard(partitions=partition(**NO_CORES, wait_seconds={})), S.BUSY, "Busy", ""),
    ("busy-for-moments", UP, heard(partitions=partition(**NO_CORES, wait_seconds={"p50": 20})), S.BUSY,
     "Busy, typical wait less than a minute", ""),
    ("types-not-named", UP, heard(partitions=partition(gpus=[{"type": "", "free": 2, "total": 2}])), S.AVAILABLE, "", ""),
    ("gpus-not-told", UP, heard(partitions=partition(gpus=[])), S.AVAILABLE, "Available", "64 of 128 cores free, 3 jobs wait"),
    ("queue-down", UP, heard(partitions=partition(state="down")), S.UNREACHABLE, "Queue is closed", ""),
    ("queue-drained", UP, heard(partitions=partition(state="drain")), S.UNREACHABLE, "Queue is closed", ""),
    ("queue-up-in-capitals", UP, heard(partitions=partition(state="UP")), S.AVAILABLE, "Available", ""),
    ("all-its-nodes-down", UP, heard(partitions=partition(nodes={"down": 4, "total": 4})), S.UNREACHABLE,
     "Queue is closed", "All its nodes are down."),
    ("another-queue-only", UP, heard(partitions=partition(name="cpu")), S.UNKNOWN, "Unknown", "this profile's queue"),
    ("no-queues", UP, heard(partitions=[]), S.UNKNOWN, "Unknown", ""),
    # an agent that cannot be believed
    ("agent-never-heard", UP, AgentHeard(None, None, Failure.SILENT), S.UNKNOWN, "Unknown", "does not tell"),
    ("agent-down-for-long", UP, heard(121, Failure.SILENT), S.UNKNOWN, "Unknown", "does not tell"),
    ("agent-down-for-a-minute", UP, heard(60, Failure.SILENT), S.AVAILABLE, "Available", ""),
    ("agent-never-heard-yet", UP, AgentHeard(), S.UNKNOWN, "Unknown", ""),
    ("garbage", UP, AgentHeard(None, None, Failure.GARBAGE), S.UNKNOWN, "Unknown", ""),
    ("wrong-token", UP, AgentHeard(None, None, Failure.TOKEN_REFUSED), S.UNKNOWN, "Unknown", ""),
    ("no-token", UP, AgentHeard(None, None, Failure.NO_TOKEN), S.UNKNOWN, "Unknown", ""),
    ("old-age", UP, heard(600), S.UNKNOWN, "Unknown", "too old"),
    ("no-age", UP, heard(None), S.UNKNOWN, "Unknown", ""),
    ("controller-down", UP, heard(**SLURM_DOWN), S.UNKNOWN, "Unknown", "batch system does not answer"),
    ("never-collected", UP, heard(None, **SLURM_DOWN, partitions=[]), S.UNKNOWN, "Unknown", "batch system"),
    ("clock-hours-ahead", UP, heard(now=1.9e9, collected_at=1.9e9), S.AVAILABLE, "Available", ""),
    ("clock-hours-behind", UP, heard(now=1.0, collected_at=1.0), S.AVAILABLE, "Available", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    "seen,agent,state,text,detail", [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_a_site_is_what_its_nodes_and_its_agent_say(seen, agent, state, text, detail):
    # when
    status = judged(profile_data(), seen, agent)
    # then
    assert status.state is state
    assert status.text.startswith(text) and detail in status.detail, status


def test_jobs_are_not_counted_where_the_site_hides_them():
    assert "wait" not in judged(profile_data(), UP, heard(sees_all_jobs=False)).detail


def test_a_busy_site_tells_its_typical_wait_as_a_number_too():
    assert judged(profile_data(), UP, heard(partitions=partition(**NO_CORES))).wait_seconds == 1500


def test_a_state_is_as_old_as_what_it_was_judged_by():
    assert judged(profile_data(), UP, heard(40)).age_seconds == 40
    assert judged(profile_data(), UP, None).age_seconds == 2


def test_an_unreachable_site_tells_since_when():
    assert judged(profile_data(), DOWN, None).since == SINCE


def test_what_a_batch_system_said_stays_with_the_administrators():
    # given
    said = {"error": {"command": "squeue", "message": "root@10.0.0.1: no route"}}
    # then
    assert "10.0.0.1" not in str(judged(profile_data(), UP, heard(**said)))


WITHOUT_PARTITION = {"slurm": {"gres": "gpu:{n}"}}
FULL, ROOMY = partition(name="a", **NO_CORES)[0], partition(name="b")[0]
PARTITIONS = [
    ("only-one", [FULL], S.BUSY),
    ("any-of-several", [FULL, ROOMY], S.AVAILABLE),
    ("the-default", [{**FULL, "is_default": True}, ROOMY], S.BUSY),
    ("any-of-those-open", [{**ROOMY, "state": "down"}, FULL], S.BUSY),
]


@pytest.mark.parametrize(
    "partitions,state", [row[1:] for row in PARTITIONS], ids=[row[0] for row in PARTITIONS]
)
def test_a_profile_without_a_partition_goes_where_the_site_sends_it(partitions, state):
    assert judged(profile_data(**WITHOUT_PARTITION), UP, heard(partitions=partitions)).state is state


def test_a_profile_that_names_no_gpu_type_takes_any():
    # given
    types = [{"type": "a100", "free": 1, "total": 4}, {"type": "h100", "free": 1, "total": 4}]
    # when
    status = judged(profile_data(slurm={"partition": "gpu"}), UP, heard(partitions=partition(gpus=types)))
    # then
    assert status.state is S.AVAILABLE


@pytest.mark.parametrize(
    "default,state", [(4, S.AVAILABLE), (5, S.BUSY)], ids=["fits-exactly", "one-too-many"]
)
def test_room_is_for_a_default_request(default, state):
    # given
    profile = profile_data(cpu={"max": 16, "default": default}, gpu=None)
    # then
    assert judged(profile, UP, heard(partitions=partition(cores={"free": 4, "total": 8}))).state is state


def test_a_site_chosen_by_labels_is_reachable_while_one_of_its_nodes_is():
    # given
    profile = profile_data(site={"example.org/cluster": "x"})
    manifests = [node_manifest("one", "False"), node_manifest("two")]
    for manifest in manifests:
        manifest["metadata"]["labels"]["example.org/cluster"] = "x"
    # then
    assert judged(profile, nodes(*manifests), None).state is S.AVAILABLE
    assert judged(profile, nodes(manifests[0]), None).state is S.UNREACHABLE


def test_a_node_without_the_profiles_labels_is_not_its_node():
    assert judged(profile_data(node_labels={"zone": "a"}), UP, None).state is S.UNREACHABLE


CLOUD_CASES = [
    ("a-node-ready", nodes(node_manifest("w", virtual=False)), S.AVAILABLE, ""),
    ("virtual-nodes-only", UP, S.UNKNOWN, "may have to be started"),
    ("not-one-ready", nodes(node_manifest("w", "False", virtual=False)), S.UNKNOWN, "may have to be started"),
    ("closed", nodes(node_manifest("w", virtual=False, spec={"unschedulable": True})), S.UNKNOWN, ""),
    ("may-not-list", NOT_ALLOWED, S.AVAILABLE, "may not look"),
    ("cluster-away", AWAY, S.UNKNOWN, "does not answer"),
    ("cluster-away-for-long", nodes(node_manifest("w", virtual=False), age_seconds=301), S.UNKNOWN, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    "seen,state,detail", [row[1:] for row in CLOUD_CASES], ids=[row[0] for row in CLOUD_CASES]
)
def test_the_cloud_is_what_its_nodes_say(seen, state, detail):
    # when
    status = judged(CLOUD, seen, None)
    # then
    assert status.state is state and detail in status.detail


DOWN_SINCE = [
    ("nodes-own-word", 1000.0, None, 1500.0, None, 1000.0),
    ("word-from-the-future", 9000.0, None, 1500.0, None, 1500.0),
    ("word-from-when-it-was-up", 1000.0, None, 1500.0, 1400.0, 1400.0),
    ("word-from-before-it-was-made", -1e9, 1200.0, 1500.0, None, 1200.0),
    ("no-word", None, None, 1500.0, None, 1500.0),
    ("no-word-but-seen-up", None, None, 1500.0, 1490.0, 1500.0),
    ("a-minute-of-skew-is-let-pass", 1530.0, None, 1500.0, 1490.0, 1500.0),
]


@pytest.mark.parametrize(
    "changed_at,created_at,first_seen,last_up,since",
    [row[1:] for row in DOWN_SINCE],
    ids=[row[0] for row in DOWN_SINCE],
)
def test_a_clock_that_is_wrong_cannot_date_an_outage(changed_at, created_at, first_seen, last_up, since):
    from rayster_spawner.sites.nodes import down_since

    node = Node("padova", {}, is_ready=False, changed_at=changed_at, created_at=created_at)
    assert down_since([node], first_seen, last_up) == since


@pytest.mark.parametrize(
    "manifest",
    [{}, {"status": None}, {"metadata": {"labels": None}, "status": {"conditions": None}},
     {"status": {"conditions": [{"type": "Ready", "lastTransitionTime": "yesterday"}]}}],
    ids=["empty", "nulls", "null-lists", "odd-time"],
)  # fmt: skip
def test_a_node_with_gaps_is_not_ready(manifest):
    assert read_node(manifest).is_ready is False
