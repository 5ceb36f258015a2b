"""What keeps a cluster from running away, and that each step is decided from the cluster's own annotations alone."""

import json

import pytest

from rayster_spawner.ray import names
from rayster_spawner.ray.facts import idle_of
from rayster_spawner.ray.policy import decide, failures_in_a_row, victims, whom_to_send_away
from rayster_spawner.ray.records import IDLE_WARNED_AT, RESTARTING, ended_of, stopped_of
from rayster_spawner.ray.rows import HEAD_GROUP
from rayster_spawner.ray.status import rows_of
from rayster_spawner.ray.steps import as_patch, restart, resume, scale

from .factories import NOW, annotated, cluster, ended, facts, job, node, pod, profile, ray, up

HEAD = pod("head", head=True)
FAILED = (ended("x", -30), ended("y", -20), ended("z", -10, why="SLURM refused the job: no such partition"))


def taken(found, step):
    """Return a cluster after KubeRay and the API server have taken a step."""
    after = annotated(found, step.annotations)
    spec = {**after["spec"]}
    if step.suspend is not None:
        spec["suspend"] = step.suspend
    if step.replicas is not None:
        group = {**spec["workerGroupSpecs"][0], "replicas": step.replicas}
        spec["workerGroupSpecs"] = [{**group, "scaleStrategy": {"workersToDelete": list(step.victims)}}]
    return {**after, "spec": spec}


# The breaker


def test_workers_that_fail_in_a_row_are_not_started_again():
    found = cluster(2)
    known = facts(found, HEAD, pod("a", phase="Pending"), pod("b", phase="Pending"), ray=up(), ended=FAILED)
    # when
    step = decide(known)
    # then: what it rests on is written with it
    assert (step.replicas, set(step.victims)) == (0, {"a", "b"})
    after = taken(found, step)
    assert [one.uid for one in ended_of(after)] == ["uid-of-x", "uid-of-y", "uid-of-z"]
    assert stopped_of(after).message == (
        "3 workers in a row have failed, so no more are started. "
        "The last one: SLURM refused the job: no such partition"
    )
    # and nothing more is to be done
    assert decide(facts(after, HEAD, ray=up())) is None


def test_fewer_failures_are_only_noted():
    step = decide(facts(cluster(2), HEAD, pod("a"), ray=up(), ended=FAILED[:2]))
    assert step.replicas is None and set(step.annotations) == {names.ENDED_WORKERS}


def test_each_pod_counts_once_however_often_it_is_seen():
    found = cluster(2, ended=FAILED[:2])
    assert decide(facts(found, HEAD, pod("a"), ray=up(), ended=FAILED[:2])) is None


def test_workers_that_work_are_kept():
    # given: one has worked for a long while, one slot keeps failing
    known = facts(cluster(2), HEAD, pod("a"), pod("b", phase="Pending"), ray=up("a", began=-80), ended=FAILED)
    step = decide(known)
    assert (step.replicas, step.victims) == (1, ["b"])
    assert "The one that joined goes on." in stopped_of(taken(cluster(2), step)).message


# id, ended, Ray, annotations, failures
ROWS = [
    ("three", FAILED, up(), {}, 3),
    ("a-good-one-between", (*FAILED[:2], ended("g", -15, worked=900), FAILED[2]), up(), {}, 1),
    ("one-that-works-came-after", FAILED[:1], up("a", began=-70), {}, 1),
    ("one-that-works-came-after-them-all", FAILED, ray(node("a", began=-5)), {}, 3),
    ("dies-soon-after-joining", (ended("x", -30, worked=5), ended("y", -20, worked=9)), up(), {}, 2),
    ("walltime-is-no-failure", (ended("x", -30, code="walltime"), ended("y", -20)), up(), {}, 1),
    ("preempted-is-no-failure", (ended("x", -30, code="preempted"),), up(), {}, 0),
    ("before-a-restart", FAILED, up(), {"restarted_at": str(NOW - 15)}, 1),
    ("heads-are-not-workers", (ended("h", -3, group=HEAD_GROUP),), up(), {}, 0),
    ("their-head-was-lost", (ended("h", -90, group=HEAD_GROUP), ended("x", -30), ended("y", -10, worked=55)), up(), {}, 0),
    ("made-after-their-head-was-lost", (ended("h", -90, group=HEAD_GROUP), ended("x", -30, made=-80)), up(), {}, 1),
    ("before-their-head-was-lost", (ended("x", -130), ended("h", -90, group=HEAD_GROUP)), up(), {}, 1),
    ("what-somebody-wrote", (), up(), {"ended_workers": '[{"pod":"x"}]'}, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    "gone,told,annotations,count", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_failures_count_in_a_row(gone, told, annotations, count):
    known = facts(cluster(**annotations), HEAD, pod("a"), ray=told, ended=gone)
    assert len(failures_in_a_row(known, gone, "w")) == count


def test_a_worker_that_works_since_then_ends_the_row():
    # given: it joined after the failures, a minute ago and more
    gone = (ended("x", -300), ended("y", -290), ended("z", -280))
    known = facts(cluster(), HEAD, pod("a"), ray=up("a", began=-100), ended=gone)
    assert failures_in_a_row(known, gone, "w") == []


def test_ray_is_asked_first_whether_they_had_joined():
    # given: Ray was asked before they ended
    old = up()
    old = type(old)(**{**old.__dict__, "age_seconds": 45.0})
    assert decide(facts(cluster(), HEAD, pod("a"), ray=old, ended=FAILED)).replicas is None
    # but not for ever
    late = facts(cluster(), HEAD, pod("a"), ray=old, ended=FAILED, now=NOW + 30)
    assert decide(late).replicas == 0


def test_a_head_that_fails_in_a_row_ends_the_cluster_and_says_why():
    gone = tuple(ended(f"h{n}", -10 * n, group=HEAD_GROUP) for n in (1, 2, 3))
    found = cluster()
    step = decide(facts(found, pod("head", head=True, phase="Pending"), ended=gone))
    assert step.suspend is True
    assert stopped_of(taken(found, step)).code == "head-failures"
    assert decide(facts(taken(found, step), HEAD)) is None


def test_the_number_of_failures_is_the_profiles():
    known = facts(cluster(), HEAD, ray=up(), ended=FAILED[:1], profile=profile(failures_in_a_row=1))
    assert decide(known).replicas == 0


# Walltime


def test_a_worker_that_used_up_its_time_is_not_replaced():
    gone = (ended("a", -2, code="walltime", worked=3600),)
    found = cluster(2)
    # given: KubeRay has made another one already
    known = facts(found, HEAD, pod("b"), pod("new", phase="Pending", job=None), ray=up("b"), ended=gone)
    step = decide(known)
    assert (step.replicas, step.victims) == (1, ["new"])
    # and only once
    assert decide(facts(taken(found, step), HEAD, pod("b"), ray=up("b"))) is None


def test_the_site_may_say_later_that_it_was_the_walltime():
    gone = ended("a", -20, worked=3600)
    found = cluster(2, ended=(gone,))
    known = facts(found, HEAD, pod("b"), pod("new"), ray=up("b"), heard={"uid-of-a": job("timeout")})
    assert decide(known).replicas == 1


def test_when_all_workers_used_up_their_time_the_cluster_says_so():
    found = cluster(1)
    step = decide(facts(found, HEAD, ray=up(), ended=(ended("a", -2, code="walltime", worked=3600),)))
    assert stopped_of(taken(found, step)).message == "All workers have reached their time limit of 1 h."


def test_a_head_that_used_up_its_time_ends_the_cluster():
    found = cluster()
    gone = (ended("head-0", -2, code="walltime", group=HEAD_GROUP, worked=3600),)
    step = decide(facts(found, pod("head", head=True, phase="Pending"), pod("a"), ended=gone))
    assert step.suspend is True and stopped_of(taken(found, step)).code == "walltime"


# Idleness: every step is decided by a service that remembers nothing


def idle_ray(seconds: float | None, age: float = 1, *workers: str):
    return ray(node("head", head=True), *(node(name, began=-4000) for name in workers or ("a",)), age=age, active=False, idle=seconds)  # fmt: skip


def test_an_idle_cluster_is_warned_then_stopped():
    found, pods = cluster(1), (HEAD, pod("a"))
    # the last driver went 50 minutes ago
    step = decide(facts(found, *pods, ray=idle_ray(2999)))
    found = taken(found, step)
    assert float(found["metadata"]["annotations"][names.IDLE_SINCE]) == pytest.approx(NOW - 3000)
    assert idle_of(facts(found, *pods)).stops_in_seconds == 600
    # it is warned
    step = decide(facts(found, *pods, ray=idle_ray(2999)))
    assert set(step.annotations) == {IDLE_WARNED_AT}
    found = taken(found, step)
    assert idle_of(facts(found, *pods)).warned
    # nothing happens until the time is over
    assert decide(facts(found, *pods, ray=idle_ray(3590), now=NOW + 590)) is None
    # then it ends, keeps its object, and says why
    step = decide(facts(found, *pods, ray=idle_ray(3620), now=NOW + 620))
    found = taken(found, step)
    assert step.suspend is True and not step.delete
    assert stopped_of(found).message == "No notebook was attached for 1 h 00 min, so the cluster was stopped."
    assert decide(facts(found, now=NOW + 700)) is None


def test_nobody_is_stopped_without_a_warning_after_an_outage_of_the_service():
    # given: idle for two hours, all of which the service was away
    found = cluster(1, idle_since=str(NOW - 7200))
    step = decide(facts(found, HEAD, pod("a"), ray=idle_ray(7200)))
    assert set(step.annotations) == {IDLE_WARNED_AT} and step.suspend is None
    found = taken(found, step)
    assert decide(facts(found, HEAD, pod("a"), ray=idle_ray(7400), now=NOW + 200)) is None
    assert idle_of(facts(found, HEAD, now=NOW + 200)).stops_in_seconds == 400
    assert decide(facts(found, HEAD, pod("a"), ray=idle_ray(7801), now=NOW + 601)).suspend is True


# id, facts, step expected
NOT_IDLE = [
    ("in-use", facts(cluster(1), HEAD, pod("a"), ray=ray(node("a"), active=True))),
    ("ray-cannot-tell", facts(cluster(1), HEAD, pod("a"), ray=ray(node("a"), active=None))),
    ("ray-is-silent", facts(cluster(1), HEAD, pod("a"), ray=idle_ray(9000, 300))),
    ("workers-wait-in-the-queue", facts(cluster(1), HEAD, pod("a", phase="Pending"), ray=ray(node("head", head=True), active=False, idle=9000))),
    ("head-is-another", facts(cluster(1), HEAD, ray=ray(node("a"), head="other", active=False, idle=9000))),
]  # fmt: skip


@pytest.mark.parametrize("known", [row[1] for row in NOT_IDLE], ids=[row[0] for row in NOT_IDLE])
def test_a_cluster_is_not_idle(known):
    assert decide(known) is None


def test_a_driver_that_comes_takes_the_warning_back():
    found = cluster(1, idle_since=str(NOW - 3500), idle_warned_at=str(NOW - 100))
    step = decide(facts(found, HEAD, pod("a"), ray=ray(node("a"), active=True)))
    after = taken(found, step)["metadata"]["annotations"]
    assert names.IDLE_SINCE not in after and IDLE_WARNED_AT not in after


def test_a_driver_that_came_and_went_between_two_looks_counts():
    found = cluster(1, idle_since=str(NOW - 3500), idle_warned_at=str(NOW - 100))
    step = decide(facts(found, HEAD, pod("a"), ray=idle_ray(39)))
    after = taken(found, step)["metadata"]["annotations"]
    assert float(after[names.IDLE_SINCE]) == pytest.approx(NOW - 40) and IDLE_WARNED_AT not in after


def test_without_a_policy_nobody_is_stopped():
    found = cluster(1, idle_since=str(NOW - 90_000), idle_warned_at=str(NOW - 80_000))
    assert decide(facts(found, HEAD, pod("a"), ray=idle_ray(90_000), profile=profile(idle=None))) is None


def test_kueue_would_start_a_suspended_cluster_again_so_it_is_deleted():
    found = cluster(1, queue="q", idle_since=str(NOW - 3700), idle_warned_at=str(NOW - 700))
    assert decide(facts(found, HEAD, pod("a"), ray=idle_ray(3700))).delete


def test_idleness_begins_when_there_is_something_to_use():
    # given: a worker that came ten minutes ago after hours in the queue, and never a driver
    told = ray(node("head", head=True), node("a", began=-600), active=False, idle=None)
    step = decide(facts(cluster(1), HEAD, pod("a"), ray=told))
    assert float(step.annotations[names.IDLE_SINCE]) == pytest.approx(NOW - 600)


def test_workers_that_come_and_go_do_not_begin_it_anew():
    found = cluster(1, idle_since=str(NOW - 3500), idle_warned_at=str(NOW - 100))
    told = ray(node("head", head=True), node("a", began=-30), active=False, idle=4000)
    assert decide(facts(found, HEAD, pod("a"), ray=told)) is None


# Who goes


def test_who_does_the_least_goes_first():
    told = ray(
        node("head", head=True),
        node("busy", cpus_used=2.0),
        node("idle", cpus_used=0.0),
        node("half", cpus_used=1.0),
        node("gpu", cpus_used=0.0, gpus_used=1.0),
    )
    pods = [pod(name) for name in ("busy", "idle", "half", "gpu", "starts")]
    pods += [
        pod("third", phase="Pending"),
        pod("first", phase="Pending"),
        pod("new", phase="Pending", job=None),
    ]
    heard = {"uid-of-third": job("pending", position=3), "uid-of-first": job("pending", position=1)}
    known = facts(cluster(8), HEAD, *pods, ray=told, heard=heard)
    order = ["new", "third", "first", "starts", "idle", "half", "busy", "gpu"]
    assert victims(rows_of(known)[1], told, 0) == order
    assert victims(rows_of(known)[1], told, 6) == order[:2]
    assert victims(rows_of(known)[1], told, 9) == []


def test_who_was_chosen_before_and_is_still_there_stays_chosen():
    # given: KubeRay does nothing with a group while one of its pods ends
    found = cluster(3, victims=("b", "c"))
    known = facts(found, HEAD, pod("a"), pod("b"), pod("c", deleting=True), pod("d"), ray=up("a", "b", "d"))
    assert whom_to_send_away(known, 1) == ["b", "a"] or whom_to_send_away(known, 1) == ["b", "d"]


# Restart


def test_a_restart_goes_on_wherever_the_service_was_killed():
    found = cluster(0, stopped_because=json.dumps({"code": "worker-failures", "message": "m", "at": NOW - 9}), ended=FAILED)  # fmt: skip
    # asked for
    found = taken(found, restart(3, NOW))
    assert stopped_of(found) is None and found["spec"]["suspend"] is True
    # the old pods are still there
    assert decide(facts(found, HEAD, now=NOW + 1)) is None
    # they are gone
    step = decide(facts(found, now=NOW + 4))
    found = taken(found, step)
    assert found["spec"]["suspend"] is False and RESTARTING not in found["metadata"]["annotations"]
    assert found["spec"]["workerGroupSpecs"][0]["replicas"] == 3
    # the failures of before do not count
    assert decide(facts(found, HEAD, pod("a"), ray=up(), now=NOW + 5)) is None


def test_kueue_resumes_a_cluster_itself():
    found = taken(cluster(1, queue="q"), restart(1, NOW))
    step = resume(found, 0)
    assert step.suspend is None and step.annotations == {RESTARTING: None}


def test_scaling_ends_what_was_stopped():
    found = taken(
        cluster(0, stopped_because='{"code":"x","message":"y","at":1}', ended=FAILED), scale(2, [], NOW)
    )
    assert stopped_of(found) is None
    assert decide(facts(found, HEAD, ray=up(), now=NOW + 3)) is None


def test_a_cluster_that_is_deleted_is_left_alone():
    assert decide(facts(cluster(deleting=True), HEAD, ended=FAILED)) is None


# Patches


def test_a_patch_is_of_the_cluster_that_was_decided_on():
    found = cluster(2, idle_since=str(NOW))
    step = decide(facts(found, HEAD, pod("a"), ray=up(), ended=FAILED))
    patch = as_patch(found, step)
    assert patch[:2] == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-of-the-cluster"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
    ]
    paths = {(one["op"], one["path"]) for one in patch[2:]}
    assert ("add", "/metadata/annotations/rayster.dev~1ended-workers") in paths
    assert ("test", "/spec/workerGroupSpecs/0/groupName") in paths
    assert ("add", "/spec/workerGroupSpecs/0/scaleStrategy") in paths


def test_a_patch_removes_only_what_is_there():
    step = restart(1, NOW)
    removed = {one["path"] for one in as_patch(cluster(idle_since="1"), step) if one["op"] == "remove"}
    assert removed == {"/metadata/annotations/rayster.dev~1idle-since"}


def test_no_more_is_kept_of_who_ended_than_fits():
    many = tuple(ended(f"p{n}", -1000 + n, why="y" * 5000) for n in range(60))
    found = taken(cluster(0), decide(facts(cluster(0), HEAD, ray=up(), ended=many)))
    kept = ended_of(found)
    assert len(kept) == 20 and kept[-1].pod == "p59"
    assert len(found["metadata"]["annotations"][names.ENDED_WORKERS]) < 16_000
