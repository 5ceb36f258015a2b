"""What a row says, for every state and for what pods, sites and Ray say wrongly or late."""

import pytest

from rayster_spawner.ray.rows import amended, end_of, learned, row_of
from rayster_spawner.ray.view import RowState

from .factories import NOW, ended, job, node, pod, ray, up

REFUSAL = (
    "failed to create container (HTTP 500): HTTP InterLink session 1: Body: "
    "sbatch: error: Batch job submission failed: Requested node configuration is not available"
)

# id, pod, heard, Ray, sent away, state, reason
WORKERS = [
    ("no-job-yet", pod("a", phase="Pending", job=None), [], None, False, RowState.SUBMITTED, ""),
    ("in-the-queue-by-the-pod", pod("a", phase="Pending"), [], up(), False, RowState.QUEUED, ""),
    ("in-the-queue", pod("a", phase="Pending"), job("pending", reason="Waiting for free nodes."), up(), False, RowState.QUEUED, "Waiting for free nodes."),
    ("booting", pod("a", phase="Pending"), job("configuring"), up(), False, RowState.STARTING, ""),
    ("runs-not-joined", pod("a"), job("running"), up(), False, RowState.STARTING, "Ray is starting."),
    ("runs-without-a-head", pod("a"), job("running"), None, False, RowState.STARTING, "Waiting for the head."),
    ("running-and-ready-is-not-joined", pod("a"), [], up("b"), False, RowState.STARTING, "Ray is starting."),
    ("joined", pod("a"), job("running"), up("a"), False, RowState.JOINED, ""),
    ("joined-before-the-pod-says-running", pod("a", phase="Pending"), [], up("a"), False, RowState.JOINED, ""),
    ("ray-lost-it", pod("a"), job("running"), ray(node("a", alive=False, message="health check failed")), False, RowState.LOST, "Ray has lost the worker: health check failed"),
    ("cancelled-at-the-site", pod("a"), job("cancelled"), up("a"), False, RowState.LOST, "The job was cancelled at the site."),
    ("cancelled-in-the-queue", pod("a", phase="Pending"), job("cancelled"), up(), False, RowState.FAILED, "The job was cancelled at the site."),
    ("out-of-memory", pod("a"), job("out_of_memory"), up("a"), False, RowState.LOST, "The worker ran out of memory."),
    ("refused", pod("a", phase="Failed", job=None, reason="ProviderFailed", message=REFUSAL, ended_itself=True), [], up(), False, RowState.FAILED, "SLURM refused the job: sbatch: error: Batch job submission failed: Requested node configuration is not available"),
    ("failed", pod("a", phase="Failed", exit_code=3, ended_itself=True), [], up(), False, RowState.FAILED, "The worker ended with exit status 3."),
    ("failed-and-being-deleted", pod("a", phase="Failed", exit_code=3, ended_itself=True, deleting=True), [], up("a"), False, RowState.LOST, "The worker ended with exit status 3."),
    ("ends-because-it-is-sent-away", pod("a", phase="Failed", exit_code=143, deleting=True), [], up("a"), False, RowState.STOPPING, ""),
    ("sent-away", pod("a"), job("running"), up("a"), True, RowState.STOPPING, ""),
    ("deleted-while-ray-still-has-it", pod("a", deleting=True), job("running"), up("a"), False, RowState.STOPPING, ""),
    ("pod-says-over-site-says-booting", pod("a", phase="Succeeded", exit_code=0, ended_itself=True), job("configuring"), up(), False, RowState.STARTING, ""),
    ("what-is-old-proves-nothing", pod("a"), job("cancelled", fresh=False), up("a"), False, RowState.JOINED, ""),
]  # fmt: skip


@pytest.mark.parametrize("found,heard,told,sent_away,state,reason", [row[1:] for row in WORKERS], ids=[row[0] for row in WORKERS])  # fmt: skip
def test_a_worker_is_what_its_site_its_ray_and_its_pod_say(found, heard, told, sent_away, state, reason):
    row = row_of(found, heard, told, NOW, sent_away=sent_away)
    assert (row.state, row.reason) == (state, reason)


# id, pod, Ray, state
HEADS = [
    ("waits", pod("head", head=True, phase="Pending"), None, RowState.QUEUED),
    ("runs-and-is-silent", pod("head", head=True), None, RowState.STARTING),
    ("answers", pod("head", head=True), up(), RowState.JOINED),
    ("answers-before-its-own-node-is-there", pod("head", head=True), ray(), RowState.JOINED),
    ("another-head-answered", pod("head", head=True), ray(head="head-before"), RowState.STARTING),
    ("ended", pod("head", head=True, phase="Failed", exit_code=1, ended_itself=True), up(), RowState.LOST),
    ("never-was", pod("head", head=True, phase="Failed", exit_code=1, ended_itself=True), None, RowState.FAILED),
]  # fmt: skip


@pytest.mark.parametrize("found,told,state", [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_a_head_is_up_when_its_ray_answers(found, told, state):
    assert row_of(found, [], told, NOW).state is state


def test_a_queued_worker_has_the_sites_facts():
    heard = job(
        "pending",
        raw_reason="Resources",
        position=3,
        expected_start_in_seconds=840,
        reason="Waiting for free nodes.",
    )
    row = row_of(pod("a", phase="Pending"), heard, up(), NOW, amounts=(2.0, 0.0))
    assert (row.job_id, row.raw_reason, row.position, row.expected_start_in_seconds) == (
        "12",
        "Resources",
        3,
        840,
    )
    assert (row.cpus, row.since_seconds, row.address) == (2.0, 100, None)


def test_a_joined_worker_has_rays_facts():
    row = row_of(pod("a"), job("running", time_left_seconds=1200.4), up("a"), NOW)
    assert (row.address, row.cpus, row.since_seconds, row.time_left_seconds) == ("127.60.0.9", 2.0, 80, 1200)


def test_a_worker_is_lost_since_ray_lost_it_and_not_since_it_was_asked_for():
    gone = ray(node("a", alive=False, began=-80, ended=-5))
    assert row_of(pod("a"), [], gone, NOW).since_seconds == 5
    assert row_of(pod("a"), job("cancelled"), gone, NOW).since_seconds == 5
    # Ray has not noticed yet.
    assert row_of(pod("a"), job("cancelled"), up("a"), NOW).since_seconds is None


def test_the_clock_of_the_head_may_be_wrong():
    told = ray(node("a", began=3600 - 80))
    told = type(told)(**{**told.__dict__, "clock_ahead_seconds": 3600.0})
    assert row_of(pod("a"), [], told, NOW).since_seconds == 80


def test_where_pod_and_site_differ_a_note_says_so():
    row = row_of(pod("a"), job("pending"), up(), NOW)
    assert row.note == "The cluster says that the worker is running, the site that its job is waiting."


# id, pod, heard, Ray, sent away, gone, (code, joined) or None
ENDS = [
    ("lives", pod("a"), [], up("a"), False, False, None),
    ("sent-away", pod("a", deleting=True, phase="Failed", exit_code=143), [], up("a"), False, True, None),
    ("scaled-down", pod("a"), [], up("a"), True, True, None),
    ("gone-without-a-word", pod("a"), [], up("a"), False, True, None),
    ("failed", pod("a", phase="Failed", exit_code=1, ended_itself=True), [], up(), False, False, ("failed", False)),
    ("failed-and-gone", pod("a", phase="Failed", exit_code=1, ended_itself=True, deleting=True), [], up("a"), False, True, ("failed", True)),
    ("walltime", pod("a", phase="Failed", exit_code=1, ended_itself=True, message="SLURM job reached its time limit and was terminated"), [], up("a"), False, False, ("walltime", True)),
    ("cancelled-and-not-seen-yet", pod("a"), job("cancelled"), up("a"), False, False, ("cancelled-at-site", True)),
    ("cancelled-because-it-was-sent-away", pod("a"), job("cancelled"), up("a"), True, False, None),
    ("complete-by-the-pod-alive-at-the-site", pod("a", phase="Succeeded", exit_code=0, ended_itself=True), job("running"), up(), False, False, None),
]  # fmt: skip


@pytest.mark.parametrize("found,heard,told,sent_away,gone,expected", [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])  # fmt: skip
def test_who_ends_by_itself_is_remembered_and_nobody_else(found, heard, told, sent_away, gone, expected):
    one = end_of(found, heard, told, NOW, sent_away=sent_away, is_gone=gone)
    assert (None if one is None else (one.code, one.joined)) == expected


def test_the_site_says_later_why_a_worker_ended():
    gone = ended("a", -5, why="The worker has ended and does not say why.")
    assert amended(gone, job("cancelled")).why == "The job was cancelled at the site."
    assert amended(gone, job("cancelled", fresh=False)) == gone


def test_a_plain_failure_of_the_site_does_not_hide_what_the_pod_said():
    gone = ended("a", -5, why="SLURM refused the job: sbatch: error: no")
    assert amended(gone, job("failed", exit_code=1)).why == gone.why


def test_who_joined_between_two_looks_has_joined():
    gone = ended("a", -5)
    told = ray(node("a", alive=False, began=-50, ended=-5))
    assert (learned(gone, told, NOW).joined, learned(gone, told, NOW).worked_seconds) == (True, 45)
    assert learned(gone, ray(), NOW) == gone
