"""SLURM's ways to write values, and any other text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayster_site.commands import CommandError
from rayster_site.slurm.reasons import reason_text, waiting_text
from rayster_site.slurm.sinfo import parse_sinfo
from rayster_site.slurm.squeue import parse_exit_codes, parse_squeue
from rayster_site.slurm.states import job_state, node_class
from rayster_site.slurm.values import count_tasks, expand_nodes, parse_duration, parse_gpus, parse_time
from rayster_spawner.site_facts import JobState


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00", 0.0),
        ("30:00", 1800.0),
        ("02:03:04", 7384.0),
        ("1-02:03:04", 93784.0),
        ("UNLIMITED", None),
        ("infinite", None),
        ("INVALID", None),
        ("NOT_SET", None),
        ("N/A", None),
        ("", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["x", "1", "1-2", "-1:00", "1:00:00:00", "１:00", "1:0:0:0", "1-02:03:04 "])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2026-11-25T14:03:59", 1795615439.0), ("1970-01-01T00:00:00", 0.0), ("N/A", None), ("Unknown", None)],
)
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["14:03:59", "2026-11-25 14:03:59", "2026-13-25T14:03:59", "2026-11-25T14:03+01"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3", 1),
        ("3_4", 1),
        ("3_[4]", 1),
        ("3_[4-20%3]", 17),
        ("3_[1,3,5-7]", 5),
        ("3_[0-10:5]", 3),
        ("3+1", 1),
    ],
)
def test_tasks_of_an_array(text: str, count: int) -> None:
    assert count_tasks(text) == count


@pytest.mark.parametrize("text", ["3_[", "3_[1-5,...]", "3_[]", "3_[x]", "3_[1-2-3]", "3_[1:0]", "3_[1-5:0]"])
def test_no_tasks_of_an_array(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        count_tasks(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("(null)", []),
        ("n1", ["n1"]),
        ("n[01-03,07]", ["n01", "n02", "n03", "n07"]),
        ("a[1-2]-ib,b", ["a1-ib", "a2-ib", "b"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_node_lists(text: str, names: list[str]) -> None:
    assert expand_nodes(text) == names


@pytest.mark.parametrize("text", ["n[", "n[a]", "n[1-]", "n[1[2]]", "n[-1]"])
def test_no_node_lists(text: str) -> None:
    with pytest.raises(ValueError, match="not a list of nodes"):
        expand_nodes(text)


def test_a_huge_node_list_is_cut() -> None:
    assert len(expand_nodes("r[1-99999]n[1-99999]", max_nodes=50)) == 50


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("(null)", {}),
        ("gpu", {"": 1}),
        ("gpu:4", {"": 4}),
        ("gpu:8(S:0-1)", {"": 8}),
        ("gpu:(null):8(IDX:0-7)", {"": 8}),
        ("gpu:a100:3(IDX:0,2-3)", {"a100": 3}),
        ("gpu:A30:4(IDX:0-3),gpu:Q6K:4(IDX:0-3)", {"A30": 4, "Q6K": 4}),
        ("gpu:a100_1g.5gb:2,mps:800,craynetwork:4", {"a100_1g.5gb": 2}),
        ("gpu:t4:no_consume:2", {"t4": 2}),
        ("nvme:1K", {}),
    ],
)
def test_gpus(text: str, gpus: dict[str, int]) -> None:
    assert parse_gpus(text) == gpus


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PENDING", JobState.PENDING),
        ("CONFIGURING", JobState.CONFIGURING),
        ("REQUEUED", JobState.PENDING),
        ("STOPPED", JobState.SUSPENDED),
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("BRAND_NEW_STATE", JobState.UNKNOWN),
    ],
)
def test_job_states(word: str, state: JobState) -> None:
    assert job_state(word) is state


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("idle", "idle"),
        ("IDLE", "idle"),
        ("idle~", "idle"),
        ("idle#", "idle"),
        ("idle*", "down"),
        ("idle$", "other"),
        ("idle%", "other"),
        ("mixed-", "mixed"),
        ("allocated+", "allocated"),
        ("allocated*", "down"),
        ("completing", "allocated"),
        ("drained*", "down"),
        ("planned", "other"),
        ("some_day_invented", "other"),
    ],
)
def test_node_states(word: str, kind: str) -> None:
    assert node_class(word) == kind


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("Resources", "Waiting for free nodes."),
        ("Priority", "other jobs come first"),
        ("(Priority)", "other jobs come first"),
        ("QOSMaxCpuPerUserLimit", "the limit of cores per user of its quality of service is reached"),
        ("QOSMaxJobsPerUserLimit", "the limit of jobs per user"),
        ("QOSMaxGRESPerUser", "GPUs or other devices per user"),
        ("QOSGrpNodeLimit", "nodes for all jobs under its quality of service together"),
        ("QOSMinCpuNotSatisfied", "less than its quality of service demands: cores"),
        ("AssocGrpCPUMinutesLimit", "core-minutes for all jobs under its account"),
        ("AssocMaxJobsLimit", "the limit of jobs of its account"),
        ("AssocMaxWallDurationPerJobLimit", "more than its account allows a job: time"),
        ("AssocGrpBilling", "billing units for all jobs under its account"),
        ("MaxCpuPerAccount", "cores per account"),
        ("ReqNodeNotAvail", "down, drained or reserved"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "reserved: n[1-3]."),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance"),
        ("ReqNodeNotAvail, May be reserved for other job", "down, drained or reserved"),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "down",
        ),
        ("Dependency", "another job"),
        ("BeginTime", "earliest start"),
        ("PartitionDown", "closed"),
        ("PartitionTimeLimit", "more time than the partition"),
        ("PartitionNodeLimit", "more nodes than the partition"),
        ("Reservation", "reservation"),
        ("JobHeldUser", "its owner has to release"),
        ("JobHeldAdmin", "administrator"),
        ("Licenses", "licence"),
        ("launch failed requeued held", "launch on a node failed"),
        ("launch_failed_requeued_held", "launch on a node failed"),
        ("", "has not said why"),
    ],
)
def test_reasons_in_plain_words(reason: str, part: str) -> None:
    assert part in waiting_text(reason)


@pytest.mark.parametrize(
    "reason", ["SomeNewReason", "QOSMaxFoosPerBar", "Max", "GrpLimit", "because I say so"]
)
def test_an_unknown_reason_is_told_as_it_is(reason: str) -> None:
    assert waiting_text(reason) == f"Waiting: the batch system says “{reason}”."


@pytest.mark.parametrize(
    ("state", "raw_state", "raw_reason", "text"),
    [
        (JobState.RUNNING, "RUNNING", "", ""),
        (JobState.CONFIGURING, "CONFIGURING", "", "Its nodes are being made ready."),
        (JobState.CANCELLED, "CANCELLED", "Priority", "The job was cancelled at the site."),
        (JobState.TIMEOUT, "TIMEOUT", "TimeLimit", "The job reached its time limit."),
        (JobState.TIMEOUT, "DEADLINE", "DeadLine", "The job reached its deadline."),
        (JobState.FAILED, "FAILED", "JobLaunchFailure", "The job could not be launched on its node."),
        (JobState.NODE_FAILED, "BOOT_FAIL", "", "A node of the job did not boot."),
    ],
)
def test_how_a_job_stands_in_a_sentence(state: JobState, raw_state: str, raw_reason: str, text: str) -> None:
    assert reason_text(state, raw_state, raw_reason) == text


# Text that looks a little like the real thing goes deeper than any text.
LIKELY = st.text(st.sampled_from("0123456789|:-/[](),_+%*~TNAgpuIDXS. \nRUNG"), max_size=300)
ANY = st.one_of(st.binary(max_size=300), LIKELY.map(str.encode), st.text(max_size=100).map(str.encode))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY)
def test_any_output_is_a_result_or_an_error(output: bytes) -> None:
    for parse in (parse_squeue, parse_sinfo, parse_exit_codes):
        try:
            parse(output)
        except CommandError as error:
            assert len(error.message) <= 900


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(LIKELY.map(lambda text: text.replace("|", "")), min_size=12, max_size=12), st.binary(max_size=37)
)
def test_any_fields_of_a_job_are_a_result_or_an_error(fields: list[str], name: bytes) -> None:
    try:
        parse_squeue(name.ljust(37) + b"|" + "|".join(fields).encode() + b"\n")
    except CommandError as error:
        assert "entry" in error.message


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(LIKELY, st.text(max_size=60)))
def test_any_value_is_a_result_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_time, count_tasks, parse_gpus, lambda text: expand_nodes(text, 100)):
        try:
            parse(text)
        except (ValueError, OverflowError):
            continue
    assert waiting_text(text)
    assert node_class(text) in ("idle", "mixed", "allocated", "down", "other")
    assert isinstance(job_state(text), JobState)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_name_leaves_the_next_entry_alone(name: bytes) -> None:
    """squeue cuts and fills a name to 37 bytes, whatever is in it."""
    rest = b"|5|5|p|PENDING|1|2026-11-20T10:00:00|N/A|N/A|1:00|0||Priority\n"

    jobs = parse_squeue(name[:37].ljust(37) + rest + b"y".ljust(37) + rest.replace(b"|5|5|", b"|6|6|"))

    assert [job.id for job in jobs] == ["5", "6"]
