"""What a cluster is said to be, whatever KubeRay's status says of it."""

import pytest

from rayster_spawner.ray.records import Stopped, write_stopped
from rayster_spawner.ray.rows import HEAD_GROUP
from rayster_spawner.ray.status import view_cluster
from rayster_spawner.ray.view import ClusterState
from rayster_spawner.site_facts import SiteState, SiteStatus

from .factories import NOW, cluster, ended, facts, job, node, pod, ray, up

HEAD = pod("head", head=True)
AWAY = SiteStatus(SiteState.UNREACHABLE, "Unreachable since 25 Nov 2026 14:02 UTC", "", 3, NOW - 60)
CLOSED = SiteStatus(SiteState.UNREACHABLE, "Queue is closed", "", 3)


def stopped(code: str) -> str:
    return write_stopped(Stopped(code, "3 workers in a row have failed.", NOW - 10))


def silent(seconds: float):
    told = up("a")
    return type(told)(**{**told.__dict__, "age_seconds": seconds})


# id, facts, state, message
STATES = [
    ("just-made", facts(cluster()), ClusterState.STARTING, "Submitted."),
    ("head-queued", facts(cluster(), pod("head", head=True, phase="Pending"), pod("a", phase="Pending")), ClusterState.QUEUED, "The head is waiting at padova. 0 of 3 workers joined, 1 queued."),
    ("cloud-head-is-placed", facts(cluster(), pod("head", head=True, phase="Pending", site="cloud", job=None)), ClusterState.STARTING, "The head is being placed. 0 of 3 workers joined."),
    ("ready-by-kuberay-head-starts", facts(cluster(), HEAD, pod("a"), pod("b"), pod("c")), ClusterState.STARTING, "The head is starting. 0 of 3 workers joined, 3 starting."),
    ("ready-by-kuberay-nobody-joined", facts(cluster(), HEAD, pod("a"), pod("b"), pod("c"), ray=up()), ClusterState.STARTING, "0 of 3 workers joined, 3 starting."),
    ("head-up-workers-queued", facts(cluster(), HEAD, pod("a", phase="Pending"), ray=up()), ClusterState.QUEUED, "0 of 3 workers joined, 1 queued."),
    ("one-joined", facts(cluster(), HEAD, pod("a"), pod("b", phase="Pending"), ray=up("a")), ClusterState.RUNNING, "1 of 3 workers joined, 1 queued."),
    ("no-worker-wanted", facts(cluster(0), HEAD, ray=up()), ClusterState.RUNNING, "0 of 0 workers joined."),
    ("deleting-pods-are-not-counted", facts(cluster(1), HEAD, pod("a"), pod("b", deleting=True), ray=up("a", "b")), ClusterState.RUNNING, "1 of 1 worker joined, 1 stopping."),
    ("all-lost-ready-by-kuberay", facts(cluster(1), HEAD, pod("a"), ray=up("a"), heard={"uid-of-a": job("cancelled")}), ClusterState.STARTING, "0 of 1 worker joined, 1 lost."),
    ("head-failed", facts(cluster(), pod("head", head=True, phase="Failed", exit_code=2, ended_itself=True)), ClusterState.FAILED, "The head is gone. The head ended with exit status 2."),
    ("head-lost-new-one-waits", facts(cluster(ended=(ended("head-0", -9, group=HEAD_GROUP, worked=300),)), pod("head", head=True, phase="Pending")), ClusterState.FAILED, "The head was lost: The job ended with exit status 1. A new one is being started."),
    ("head-replaced", facts(cluster(ended=(ended("head-0", -60, group=HEAD_GROUP, worked=300),)), HEAD, pod("a"), ray=up("a")), ClusterState.RUNNING, "1 of 3 workers joined."),
    ("another-heads-answer-is-old", facts(cluster(), HEAD, pod("a"), ray=ray(head="head-0")), ClusterState.STARTING, "The head is starting. 0 of 3 workers joined, 1 starting."),
    ("head-silent", facts(cluster(1), HEAD, pod("a"), ray=silent(300)), ClusterState.UNKNOWN, "The head has not answered for 5 min. 1 of 1 worker joined."),
    ("site-away", facts(cluster(), HEAD, pod("a"), site=AWAY), ClusterState.UNKNOWN, "Unreachable since 25 Nov 2026 14:02 UTC. This is what was known before; nothing was cancelled."),
    ("site-away-ray-answers", facts(cluster(1), HEAD, pod("a"), site=AWAY, ray=up("a")), ClusterState.RUNNING, "1 of 1 worker joined."),
    ("queue-closed-jobs-run", facts(cluster(1), HEAD, pod("a"), site=CLOSED, ray=up("a")), ClusterState.RUNNING, "1 of 1 worker joined."),
    ("deleted", facts(cluster(deleting=True), HEAD, ray=up("a")), ClusterState.STOPPING, "Stopping."),
    ("restarting", facts(cluster(suspend=True, restarting=str(NOW)), HEAD), ClusterState.STARTING, "Restarting: its old jobs are being ended."),
    ("suspended-by-somebody", facts(cluster(suspend=True)), ClusterState.SUSPENDED, "Suspended."),
    ("kueue-holds-it", facts(cluster(suspend=True, queue="gpu-queue")), ClusterState.QUEUED, "Waiting for room in the queue gpu-queue."),
    ("idle-stop", facts(cluster(suspend=True, stopped_because=stopped("idle"))), ClusterState.SUSPENDED, "3 workers in a row have failed."),
    ("breaker-of-workers", facts(cluster(0, stopped_because=stopped("worker-failures")), HEAD, ray=up()), ClusterState.FAILED, "3 workers in a row have failed."),
    ("breaker-with-workers-left", facts(cluster(1, stopped_because=stopped("worker-failures")), HEAD, pod("a"), ray=up("a")), ClusterState.RUNNING, "1 of 3 workers joined."),
    ("breaker-of-head", facts(cluster(suspend=True, stopped_because=stopped("head-failures"))), ClusterState.FAILED, "3 workers in a row have failed."),
]  # fmt: skip


@pytest.mark.parametrize("known,state,message", [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_the_state_of_a_cluster_is_derived(known, state, message):
    view = view_cluster(known)
    assert (view.state, view.message) == (state, message)


def problems(known) -> dict[str, str]:
    return {one.code: one.message for one in view_cluster(known).problems}


REFUSED = {"type": "ReplicaFailure", "status": "True", "message": 'pods "a" is forbidden: exceeded quota'}

# id, facts, code, what the message has
PROBLEMS = [
    ("quota", facts(cluster(conditions=(REFUSED,)), HEAD, ray=up()), "refused", "exceeded quota"),
    ("worker-failed", facts(cluster(ended=(ended("a", -40, why="SLURM refused the job: no"),)), HEAD, ray=up()), "worker-failed", "just now: SLURM refused the job: no"),
    ("worker-lost", facts(cluster(ended=(ended("a", -130, worked=90),)), HEAD, ray=up()), "worker-lost", "2 min ago"),
    ("site-away", facts(cluster(1), HEAD, pod("a"), site=AWAY, ray=up("a")), "site-unreachable", "nothing was cancelled"),
    ("head-replaced", facts(cluster(ended=(ended("h", -70, group=HEAD_GROUP, worked=9),)), HEAD, ray=up()), "head-lost", "lost and replaced 1 min ago"),
    ("stopped", facts(cluster(0, stopped_because=stopped("worker-failures")), HEAD, ray=up()), "worker-failures", "3 workers in a row"),
    ("warned", facts(cluster(1, idle_since=str(NOW - 3000), idle_warned_at=str(NOW - 10)), HEAD, pod("a"), ray=up("a")), "idle", "for 50 min"),
]  # fmt: skip


@pytest.mark.parametrize("known,code,said", [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_a_problem_says_what_is_wrong(known, code, said):
    assert said in problems(known)[code]


def test_a_worker_that_ended_is_no_problem_once_all_have_joined():
    found = cluster(1, ended=(ended("b", -40),))
    assert problems(facts(found, HEAD, pod("a"), ray=up("a"))) == {}


def test_who_ended_stays_visible_newest_first_and_once():
    # given: one that is gone, and one whose failed pod is still there
    found = cluster(2, ended=(ended("a", -90), ended("b", -30, worked=70)))
    view = view_cluster(
        facts(found, HEAD, pod("c", phase="Failed", exit_code=1, ended_itself=True), ray=up())
    )
    # then
    assert [(row.pod, row.state.value, row.since_seconds) for row in view.ended] == [
        ("b", "lost", 30),
        ("a", "failed", 90),
    ]
    assert [row.pod for row in view.workers] == ["c"]
    # when
    going = pod("b", phase="Failed", ended_itself=True, deleting=True)
    view = view_cluster(facts(found, HEAD, going, ray=up()))
    # then
    assert [row.pod for row in view.workers] == [] and len(view.ended) == 2


def test_of_two_heads_the_one_that_stays_is_told():
    old = pod("old", head=True, deleting=True)
    assert view_cluster(facts(cluster(), old, HEAD)).head.pod == "head"
    assert view_cluster(facts(cluster(), HEAD, old)).head.pod == "head"


def test_resources_are_those_of_all_living_nodes_the_notebooks_too():
    told = ray(
        node("head", head=True),
        node("a", cpus_used=0.5),
        node("", cpus=4.0, cpus_used=1.0),
        node("b", alive=False, cpus_used=2.0),
    )
    view = view_cluster(facts(cluster(), HEAD, pod("a"), ray=told))
    assert (view.resources.cpus_total, view.resources.cpus_used, view.resources.gpus_total) == (6.0, 1.5, 0)


def test_the_first_job_that_ends_is_the_time_left():
    heard = {f"uid-of-{n}": job("running", time_left_seconds=t) for n, t in (("a", 500), ("b", 300))}
    known = facts(
        cluster(2),
        pod("head", head=True, site="cloud", job=None),
        pod("a"),
        pod("b"),
        heard=heard,
        ray=up("a", "b"),
    )
    assert view_cluster(known).time_left_seconds == 300
    # but the head's job ends all
    heard["uid-of-head"] = job("running", time_left_seconds=200)
    assert (
        view_cluster(
            facts(cluster(2), HEAD, pod("a"), pod("b"), heard=heard, ray=up("a", "b"))
        ).time_left_seconds
        == 200
    )


def test_a_cluster_whose_annotations_and_profile_are_gone_is_still_told():
    found = cluster(
        ray_request="{", requested_at="soon", ended_workers='[{"pod": 1}, 7]', stopped_because="[]"
    )
    view = view_cluster(facts(found, HEAD, profile=None, ray=up()))
    assert (view.wanted.workers, view.workers_max, view.ended) == (3, 8, ())


def test_the_view_is_json_with_the_keys_of_the_interface():
    view = view_cluster(facts(cluster(title="My cluster"), HEAD, pod("a"), ray=up("a"))).as_json()
    assert set(view) >= {
        *(
            "id",
            "name",
            "title",
            "profile",
            "site",
            "network",
            "user",
            "server",
            "state",
            "message",
            "requested_at",
        ),
        *(
            "elapsed_seconds",
            "wanted",
            "joined",
            "head",
            "workers",
            "ended",
            "resources",
            "idle",
            "time_left_seconds",
        ),
        *("problems", "session", "ray_version", "bounds", "dashboard_url", "heard_seconds_ago"),
    }
    assert (view["name"], view["state"], view["head"]["state"], view["joined"]) == (
        "My cluster",
        "running",
        "joined",
        1,
    )
    assert view["bounds"] == {"workers": {"min": 0, "max": 8}}


def test_the_key_is_the_same_while_only_ages_change():
    known = facts(cluster(), HEAD, pod("a"), ray=up("a"))
    later = facts(cluster(), HEAD, pod("a"), ray=up("a"), now=NOW + 7)
    assert view_cluster(known).key == view_cluster(later).key
    assert view_cluster(known).key != view_cluster(facts(cluster(), HEAD, pod("a"), ray=up())).key
