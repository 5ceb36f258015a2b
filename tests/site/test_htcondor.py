"""The agent on HTCondor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayster_site.commands import CommandError, CommandRunner
from rayster_site.facts import GpuCount, Job
from rayster_site.htcondor.ads import JobAd, SlotAd, job_of, parse_ads
from rayster_site.htcondor.pool import pool_of
from rayster_site.htcondor.scheduler import HtCondor
from rayster_spawner.site_facts import JobState


def pod(number: int) -> str:
    return f"7d1f0c2e-{str(number) * 4}-4c6d-8e7f-0123456789a0"


@pytest.fixture
def jobs(site_helpers: Any) -> dict[str, Job]:
    ads = parse_ads(JobAd, "condor_q", site_helpers.recorded("htcondor-23/condor_q.json"))
    return {job.id: job for job in map(job_of, ads)}


@pytest.mark.parametrize(
    ("job_id", "expected"),
    [
        pytest.param("4101", {"state": JobState.PENDING, "pod_uid": pod(1), "started_at": None}, id="idle"),
        pytest.param(
            "4099",
            {"state": JobState.RUNNING, "started_at": 1795599000.0, "node_list": "wn-204.example.org"},
            id="running",
        ),
        pytest.param("4085", {"state": JobState.PENDING, "raw_state": "Held", "ended_at": None}, id="held"),
        pytest.param(
            "4090",
            {"state": JobState.OUT_OF_MEMORY, "ended_at": 1795602000.0, "node_list": "wn-201.example.org"},
            id="held for its memory",
        ),
        pytest.param(
            "4080",
            {"state": JobState.FAILED, "exit_code": 3, "ended_at": 1795603000.0},
            id="completed with 3",
        ),
        pytest.param("3000.17", {"state": JobState.RUNNING, "pod_uid": None}, id="somebody else's"),
    ],
)
def test_what_is_told_of_a_job(jobs: dict[str, Job], job_id: str, expected: dict[str, Any]) -> None:
    assert {name: getattr(jobs[job_id], name) for name in expected} == expected


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (34, JobState.OUT_OF_MEMORY),
        (46, JobState.TIMEOUT),
        (47, JobState.TIMEOUT),
        (1, JobState.PENDING),
        (None, JobState.PENDING),
        ("34", JobState.PENDING),
    ],
)
def test_a_hold_that_ended_the_job_says_how(code: Any, state: JobState) -> None:
    ad = {"ClusterId": 1, "ProcId": 0, "JobStatus": 5, "Owner": "a", "HoldReasonCode": code}

    [held] = parse_ads(JobAd, "condor_q", json.dumps([ad]).encode())

    assert job_of(held).state is state


def test_nobody_has_a_place_in_a_queue_that_is_shared_out(jobs: dict[str, Job]) -> None:
    assert not any(job.is_in_line for job in jobs.values())


def test_the_pool_sums_up_machines(site_helpers: Any) -> None:
    slots = parse_ads(SlotAd, "condor_status", site_helpers.recorded("htcondor-23/condor_status.json"))

    pool = pool_of(slots)

    assert pool.nodes == {"idle": 1, "mixed": 1, "allocated": 1, "down": 1, "other": 1}
    assert (pool.free_cores, pool.total_cores, pool.cores_per_node) == (84, 152, 64)
    assert pool.gpus == {"NVIDIA A100-SXM4-40GB": GpuCount(free=1, total=4)}


def test_an_empty_queue_prints_nothing(site_helpers: Any) -> None:
    assert parse_ads(JobAd, "condor_q", site_helpers.recorded("htcondor-9/condor_q.json")) == []


def test_what_people_write_into_their_own_jobs_hides_no_other_job(site_helpers: Any) -> None:
    output = site_helpers.recorded("htcondor-25/condor_q.json").replace(b"/bin/caf", b"/bin/caf\xe9")

    jobs = {job.id: job for job in map(job_of, parse_ads(JobAd, "condor_q", output))}

    assert {job_id: job.pod_uid for job_id, job in jobs.items()} == {
        "5101": pod(1),
        "5102": pod(2),
        "5103.3": None,
        "5104": pod(3),
    }
    assert jobs["5102"].node_list == "wn-204.example.org"
    assert (jobs["5103.3"].started_at, jobs["5103.3"].node_list) == (None, "")
    assert (jobs["5104"].submitted_at, jobs["5104"].priority) == (None, -5.0)


def test_a_pool_may_cut_cores_into_parts_and_write_names_in_any_case(site_helpers: Any) -> None:
    pool = pool_of(
        parse_ads(SlotAd, "condor_status", site_helpers.recorded("htcondor-25/condor_status.json"))
    )

    assert pool.nodes == {"idle": 1, "mixed": 1, "allocated": 1}
    assert (pool.free_cores, pool.total_cores) == (69, 88)
    assert pool.gpus == {"NVIDIA L40S": GpuCount(free=1, total=2)}


@pytest.mark.parametrize(
    "output",
    [
        b"Failed to fetch ads from: <10.0.0.1:9618>",
        b"[",
        b"{}",
        b'[{"ClusterId": "4101"}]',
        b'[{"ClusterId": 1, "ProcId": 0, "JobStatus": "/Expr(time())/", "Owner": "a"}]',
        b'[{"ClusterId": 1, "ProcId": 0, "JobStatus": null, "Owner": "a"}]',
        b'[{"ClusterId": 1, "ProcId": 0, "JobStatus": 1.5, "Owner": "a", "QDate": 1}]',
    ],
)
def test_output_that_is_not_understood_is_an_error(output: bytes) -> None:
    with pytest.raises(CommandError, match="not understood"):
        parse_ads(JobAd, "condor_q", output)


def test_an_error_quotes_no_values_of_ads() -> None:
    output = json.dumps(
        [{"ClusterId": 1, "ProcId": 0, "JobStatus": 1, "Owner": ["alice"], "QDate": 1}]
    ).encode()

    with pytest.raises(CommandError) as caught:
        parse_ads(JobAd, "condor_q", output)

    assert "0.Owner" in caught.value.message
    assert "alice" not in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*JobAd.model_fields, *SlotAd.model_fields]), inner, max_size=8)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=200),
        JSON.map(json.dumps).map(str.encode),
        JSON.map(lambda j: json.dumps([j]).encode()),
    )
)
def test_any_output_is_a_result_or_an_error(output: bytes) -> None:
    for model in (JobAd, SlotAd):
        try:
            parse_ads(model, "condor_q", output)
        except CommandError as error:
            assert error.message


@pytest.fixture
def condor(site_helpers: Any, tmp_path: Path) -> Any:
    """HTCondor whose commands print files; `history` may be `False`: it fails."""
    recorded = site_helpers.RECORDED / "htcondor-23"
    site_helpers.write_command(tmp_path, "condor_status", f"cat {recorded}/condor_status.json")
    site_helpers.write_command(tmp_path, "condor_q", f"cat {tmp_path}/queue")
    site_helpers.write_command(
        tmp_path, "condor_history", f'echo "$@" >> {tmp_path}/asked; cat {tmp_path}/history'
    )
    site_helpers.write_command(tmp_path, "condor_rm", f'echo "$@" >> {tmp_path}/removed')
    (tmp_path / "queue").write_bytes((recorded / "condor_q.json").read_bytes())
    (tmp_path / "history").write_bytes((recorded / "condor_history.json").read_bytes())
    return HtCondor(CommandRunner(tmp_path))


async def test_a_job_that_left_the_queue_is_asked_for_in_the_history(condor: Any, tmp_path: Path) -> None:
    await condor.look()
    ads = [ad for ad in json.loads((tmp_path / "queue").read_text()) if ad["ClusterId"] != 4101]
    (tmp_path / "queue").write_text(json.dumps(ads))

    look = await condor.look()
    again = await condor.look()

    [job] = [job for job in look.jobs if job.id == "4101"]
    assert (job.state, job.pod_uid, job.ended_at) == (JobState.CANCELLED, pod(1), 1795603700.0)
    assert condor.reason_text(job) == "The job was cancelled at the site."
    assert job.raw_reason == "via condor_rm"
    assert "4101" not in {job.id for job in again.jobs}
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


async def test_a_history_that_fails_fails_nothing_else(condor: Any, tmp_path: Path) -> None:
    await condor.look()
    (tmp_path / "queue").write_text("")
    (tmp_path / "history").unlink()

    assert (await condor.look()).jobs == ()


async def test_held_jobs_say_why(condor: Any) -> None:
    look = await condor.look()

    texts = {job.id: condor.reason_text(job) for job in look.jobs if job.raw_state == "Held"}
    assert texts == {
        "4085": "On hold: The image does not start.",
        "4090": "The job used more memory than it had asked for and was ended.",
    }


async def test_a_job_is_cancelled_by_its_id(condor: Any, tmp_path: Path, jobs: dict[str, Job]) -> None:
    await condor.cancel(jobs["4101"])

    assert (tmp_path / "removed").read_text() == "4101.0\n"
