"""What is believed when a pod and its site's agent differ, by one big table of pods against jobs."""

import itertools

import pytest

from rayster_spawner.life.belief import believe
from rayster_spawner.life.endings import EndCode
from rayster_spawner.life.pod_status import PodView, State
from rayster_spawner.site_facts import HeardJob, JobState, SiteJob

PODS = {
    "submitted": PodView(State.SUBMITTED),
    "queued": PodView(State.QUEUED, job_id="42"),
    "starting": PodView(State.STARTING, "ErrImagePull", "42"),
    "running": PodView(State.RUNNING, job_id="42"),
    "ended": PodView(State.ENDED, "", "42", 0, EndCode.COMPLETED),
    "failed": PodView(State.FAILED, "The job ended with exit status 15.", "42", 15, EndCode.FAILED),
}
ALIVE = {
    JobState.PENDING: State.QUEUED,
    JobState.SUSPENDED: State.QUEUED,
    JobState.CONFIGURING: State.STARTING,
    JobState.RUNNING: State.RUNNING,
}
OVER = {
    JobState.COMPLETED: (EndCode.COMPLETED, State.ENDED, "The job is complete."),
    JobState.CANCELLED: (EndCode.CANCELLED_AT_SITE, State.FAILED, "The job was cancelled at the site."),
    JobState.TIMEOUT: (EndCode.WALLTIME, State.FAILED, "The job reached its time limit."),
    JobState.OUT_OF_MEMORY: (EndCode.OUT_OF_MEMORY, State.FAILED, "The server ran out of memory."),
    JobState.NODE_FAILED: (EndCode.NODE_FAILED, State.FAILED, "A compute node of the job failed."),
    JobState.PREEMPTED: (
        EndCode.PREEMPTED,
        State.FAILED,
        "The site ended the job to make room for another one.",
    ),
    JobState.FAILED: (EndCode.FAILED, State.FAILED, "The job failed."),
}


def heard(state, *, fresh=True, age=4.0, id="42", **facts):
    """Return what an agent says of a job."""
    return HeardJob(SiteJob(id=id, state=state, **facts), age, fresh)


def ids(case):
    """Return how a case is called."""
    return getattr(case, "value", case)


@pytest.mark.parametrize(("pod", "job"), list(itertools.product(PODS, ALIVE)), ids=ids)
def test_job_that_lives_means_alive_whatever_the_pod_says(pod, job):
    belief = believe(PODS[pod], [heard(job)])
    assert (belief.view.state, belief.view.is_over, belief.end, belief.told) == (
        ALIVE[job],
        False,
        None,
        True,
    )
    assert belief.view.exit_code is None and belief.view.end is None


@pytest.mark.parametrize(("pod", "job"), list(itertools.product(PODS, OVER)), ids=ids)
def test_job_that_is_over_means_over_with_its_reason_whatever_the_pod_says(pod, job):
    end, state, why = OVER[job]
    belief = believe(PODS[pod], [heard(job)])
    assert belief.view.is_over and belief.told
    assert (belief.end, belief.view.end, belief.view.state, belief.view.reason) == (end, end, state, why)
    assert belief.view.exit_code == (0 if job is JobState.COMPLETED else 1)


PROVES_NOTHING = {
    "job not told": [],
    "stale and over": [heard(JobState.CANCELLED, fresh=False)],
    "stale and running": [heard(JobState.RUNNING, fresh=False)],
    "unknown state": [heard(JobState.UNKNOWN)],
}


@pytest.mark.parametrize(("pod", "said"), list(itertools.product(PODS, PROVES_NOTHING)), ids=ids)
def test_what_proves_nothing_changes_nothing(pod, said):
    view = PODS[pod]
    belief = believe(view, PROVES_NOTHING[said])
    assert belief.view._replace(job_id=view.job_id) == view
    assert (belief.end, belief.told, belief.note, belief.position) == (None, False, "", None)


@pytest.mark.parametrize("pod", PODS)
def test_job_that_is_ending_keeps_the_reason_of_an_end_open(pod):
    # SLURM says CG while the processes end; the reason (time limit, cancelled, …) comes with the next word.
    belief = believe(PODS[pod], [heard(JobState.COMPLETING)])
    expected = State.RUNNING if PODS[pod].is_over else PODS[pod].state
    assert (belief.view.state, belief.view.is_over, belief.end) == (expected, False, None)


@pytest.mark.parametrize("job", [*ALIVE, *OVER], ids=ids)
def test_deleted_pod_is_deleted_whatever_the_job_does(job):
    deleted = PodView(State.DELETED, "", "42", end=EndCode.DELETED)
    assert believe(deleted, [heard(job)]).view == deleted


NOTES = {
    (
        "ended",
        JobState.CONFIGURING,
    ): "The cluster says that the server has ended, the site that its job is starting.",
    (
        "failed",
        JobState.RUNNING,
    ): "The cluster says that the server has failed, the site that its job is running.",
    (
        "running",
        JobState.PENDING,
    ): "The cluster says that the server is running, the site that its job is waiting.",
    ("queued", JobState.CANCELLED): "The cluster still says that the server waits.",
    ("running", JobState.TIMEOUT): "The cluster still says that the server is running.",
    ("queued", JobState.RUNNING): "",
    ("submitted", JobState.PENDING): "",
    ("queued", JobState.PENDING): "",
    ("failed", JobState.TIMEOUT): "",
    ("ended", JobState.COMPLETED): "",
}


@pytest.mark.parametrize(("case", "note"), NOTES.items(), ids=lambda c: "-".join(map(ids, c)) if c else "")
def test_note_says_where_they_differ_and_not_that_the_cluster_is_late(case, note):
    pod, job = case
    assert believe(PODS[pod], [heard(job)]).note == note


def test_news_of_the_queue():
    belief = believe(
        PODS["queued"],
        [
            heard(
                JobState.PENDING,
                reason="Waiting for free nodes.",
                raw_reason="Resources",
                partition="padova",
                position=3,
                expected_start_in_seconds=839.6,
            )
        ],
    )
    assert belief == (
        PodView(State.QUEUED, "Waiting for free nodes.", "42"),
        None,
        True,
        "Resources",
        "padova",
        3,
        840,
        4,
        "",
    )


def test_queue_facts_are_of_the_queue_only_and_never_negative():
    late = believe(PODS["queued"], [heard(JobState.PENDING, expected_start_in_seconds=-30)])
    assert late.expected_start_in_seconds == 0
    running = believe(PODS["queued"], [heard(JobState.RUNNING, position=1, expected_start_in_seconds=5)])
    assert (running.position, running.expected_start_in_seconds) == (None, None)


def test_pods_own_words_stay_while_the_server_starts_and_go_while_it_queues():
    assert believe(PODS["starting"], [heard(JobState.RUNNING)]).view.reason == "ErrImagePull"
    assert believe(PODS["starting"], [heard(JobState.PENDING)]).view.reason == ""
    assert believe(PODS["failed"], [heard(JobState.RUNNING)]).view.reason == ""


def test_age_is_told_also_of_stale_news():
    assert believe(PODS["queued"], [heard(JobState.PENDING, fresh=False, age=613.4)]).heard_seconds_ago == 613


def test_job_id_comes_from_the_site_while_the_pod_has_none():
    assert believe(PODS["submitted"], [heard(JobState.PENDING, id="7")]).view.job_id == "7"


PENDING, RUNNING = JobState.PENDING, JobState.RUNNING
DOUBLED = {
    "the pod's own of two that live": (
        [heard(PENDING, id="24"), heard(PENDING, id="42")],
        "42",
        State.QUEUED,
    ),
    "one that lives before the pod's own": (
        [heard(RUNNING, id="24"), heard(JobState.CANCELLED, id="42")],
        "24",
        State.RUNNING,
    ),
    "the pod's own of two that are over": (
        [heard(JobState.TIMEOUT, id="42"), heard(JobState.COMPLETED, id="24", ended_at=9.0)],
        "42",
        State.FAILED,
    ),
    "fresh before stale": (
        [heard(RUNNING, id="42", fresh=False), heard(JobState.TIMEOUT, id="24")],
        "24",
        State.FAILED,
    ),
    "the later of two strangers": (
        [heard(PENDING, id="7", submitted_at=1.0), heard(RUNNING, id="8", submitted_at=2.0)],
        "8",
        State.RUNNING,
    ),
}


@pytest.mark.parametrize(("said", "job_id", "state"), DOUBLED.values(), ids=DOUBLED)
def test_of_two_jobs_of_one_pod(said, job_id, state):
    view = PodView(State.QUEUED)
    for order in (said, said[::-1]):
        belief = believe(view, order, "42")
        assert (belief.view.job_id, belief.view.state) == (job_id, state)


FAILURES = {
    "exit status": ({"exit_code": 3}, "The job ended with exit status 3.", 3),
    "signal": ({"signal": 9, "exit_code": 0}, "The job was ended by signal 9.", 137),
    "site's own words": (
        {"signal": 53, "reason": "The job could not be launched on its node."},
        "The job could not be launched on its node.",
        181,
    ),
    "nothing": ({}, "The job failed.", 1),
}


@pytest.mark.parametrize(("facts", "why", "exit_code"), FAILURES.values(), ids=FAILURES)
def test_failed_job_says_how(facts, why, exit_code):
    view = believe(PODS["running"], [heard(JobState.FAILED, **facts)]).view
    assert (view.reason, view.exit_code) == (why, exit_code)
