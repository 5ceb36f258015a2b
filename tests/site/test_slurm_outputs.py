"""The parsers read what several versions of SLURM print."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rayster_site.commands import CommandError
from rayster_site.facts import GpuCount, Job
from rayster_site.line import positions
from rayster_site.slurm.sinfo import parse_sinfo
from rayster_site.slurm.squeue import parse_exit_codes, parse_squeue
from rayster_spawner.site_facts import JobState

VERSIONS = ["19.05", "20.11", "22.05", "22.05-arrays", "23.11", "24.05"]


@pytest.fixture
def jobs_of(site_helpers: Any) -> Any:
    def jobs(version: str) -> dict[str, Job]:
        return {job.id: job for job in parse_squeue(site_helpers.recorded(f"slurm-{version}/squeue.txt"))}

    return jobs


@pytest.mark.parametrize("version", VERSIONS)
def test_every_line_of_a_version_becomes_a_job(site_helpers: Any, version: str) -> None:
    output = site_helpers.recorded(f"slurm-{version}/squeue.txt")

    jobs = parse_squeue(output)

    # Each entry holds eleven separators after the name; names hold some, too, so this is the least.
    assert 5 <= len(jobs) <= output.count(b"\n")
    assert all(job.state is not JobState.UNKNOWN for job in jobs)
    assert len({job.key for job in jobs}) == len(jobs)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_node_of_a_version_is_counted_once(site_helpers: Any, version: str) -> None:
    output = site_helpers.recorded(f"slurm-{version}/sinfo.txt")

    partitions = parse_sinfo(output)

    assert sum(sum(p.nodes.values()) for p in partitions.values()) == output.count(b"\n")
    assert sum(p.is_default for p in partitions.values()) == 1
    assert all(0 <= p.free_cores <= p.total_cores for p in partitions.values())
    assert all(0 <= g.free <= g.total for p in partitions.values() for g in p.gpus.values())


@pytest.mark.parametrize(
    ("version", "partition", "nodes"),
    [
        ("19.05", "compute", {"idle": 1, "allocated": 1, "mixed": 1, "down": 2}),
        ("20.11", "standard", {"idle": 2, "down": 1, "other": 2}),
        ("22.05", "boost_usr_prod", {"idle": 1, "down": 1}),
        ("22.05", "dcgp_usr_prod", {"allocated": 1, "down": 1}),
        ("22.05", "padova", {"mixed": 1, "other": 1}),
        ("22.05-arrays", "dcgp_usr_prod", {"other": 1}),
        ("22.05-arrays", "padova", {"allocated": 1, "down": 1}),
        ("23.11", "boost", {"other": 2, "mixed": 1, "allocated": 1, "down": 1}),
        ("24.05", "dcgp", {"other": 2, "down": 1, "allocated": 1}),
    ],
)
def test_nodes_are_sorted_into_classes(site_helpers: Any, version: str, partition: str, nodes: Any) -> None:
    assert parse_sinfo(site_helpers.recorded(f"slurm-{version}/sinfo.txt"))[partition].nodes == nodes


@pytest.mark.parametrize(
    ("version", "partition", "gpus"),
    [
        ("19.05", "compute", {}),
        ("19.05", "gpu", {"tesla": GpuCount(free=5, total=8)}),
        ("20.11", "accel", {"": GpuCount(2, 4), "a100": GpuCount(0, 4), "v100": GpuCount(1, 2)}),
        ("22.05", "boost_usr_prod", {"a100": GpuCount(free=4, total=8)}),
        ("23.11", "boost", {"a100": GpuCount(free=3, total=20)}),
        ("23.11", "mig", {"a100_1g.5gb": GpuCount(4, 7), "a100_3g.20gb": GpuCount(2, 2)}),
        ("23.11", "old", {"": GpuCount(free=5, total=8)}),
        ("24.05", "hgx", {"nvidia_h100_80gb_hbm3": GpuCount(free=3, total=8)}),
    ],
)
def test_free_gpus_are_counted_by_type(site_helpers: Any, version: str, partition: str, gpus: Any) -> None:
    assert parse_sinfo(site_helpers.recorded(f"slurm-{version}/sinfo.txt"))[partition].gpus == gpus


@pytest.mark.parametrize(
    ("version", "partition", "minutes", "cores", "state"),
    [
        ("19.05", "debug", 30, 48, "down"),
        ("20.11", "accel", None, 64, "drain"),
        ("22.05", "padova", 2880, 16, "up"),
        ("24.05", "dcgp", None, 112, "inact"),
        ("24.05", "hgx", 3600, 192, "up"),
    ],
)
def test_limits_and_state_of_a_partition(
    site_helpers: Any, version: str, partition: str, minutes: int | None, cores: int, state: str
) -> None:
    found = parse_sinfo(site_helpers.recorded(f"slurm-{version}/sinfo.txt"))[partition]

    assert (found.walltime_minutes, found.cores_per_node, found.state) == (minutes, cores, state)


@pytest.mark.parametrize(
    ("version", "job_id", "expected"),
    [
        pytest.param(
            "19.05", "81230", {"expected_start_at": 1795177800.0, "started_at": None}, id="expected"
        ),
        pytest.param(
            "19.05", "81160+1", {"key": "81161", "time_left_seconds": 3630.0}, id="part of a hetjob"
        ),
        pytest.param("19.05", "81140", {"state": JobState.TIMEOUT, "ended_at": 1795175730.0}, id="timeout"),
        pytest.param("20.11", "700101", {"partitions": ("accel", "standard")}, id="several partitions"),
        pytest.param(
            "20.11", "700050_[5-9,12,20-30:2%4]", {"tasks": 12, "is_in_line": False}, id="waiting array"
        ),
        pytest.param("20.11", "700050_4", {"key": "700060", "time_left_seconds": None}, id="over its limit"),
        pytest.param("20.11", "700070", {"time_left_seconds": None}, id="without a limit"),
        pytest.param(
            "20.11", "700080", {"state": JobState.CONFIGURING, "started_at": None}, id="configuring"
        ),
        pytest.param("20.11", "700081", {"state": JobState.NODE_FAILED}, id="node failed"),
        pytest.param("20.11", "700082", {"state": JobState.OUT_OF_MEMORY}, id="out of memory"),
        pytest.param(
            "20.11",
            "700083",
            {"state": JobState.CANCELLED, "started_at": None, "ended_at": 1795175520.0},
            id="cancelled in the queue",
        ),
        pytest.param(
            "22.05",
            "29",
            {"state": JobState.CANCELLED, "started_at": 1795617544.0},
            id="cancelled while it ran",
        ),
        pytest.param(
            "22.05", "30", {"state": JobState.CANCELLED, "started_at": None}, id="cancelled on hold"
        ),
        pytest.param("22.05", "6", {"raw_reason": "Resources", "is_in_line": True}, id="waits for nodes"),
        pytest.param("22.05", "9", {"raw_reason": "BeginTime", "is_in_line": False}, id="has a date"),
        pytest.param("22.05", "24", {"node_list": "lrdn[4001-4002]"}, id="two nodes"),
        pytest.param(
            "22.05", "31", {"pod_uid": None, "raw_reason": "Priority"}, id="odd characters in its name"
        ),
        pytest.param(
            "22.05", "32", {"pod_uid": None, "raw_reason": "JobHeldUser"}, id="line breaks in its name"
        ),
        pytest.param(
            "22.05-arrays", "2_[0-30:2%3]", {"key": "2", "tasks": 16, "is_in_line": True}, id="array by steps"
        ),
        pytest.param("22.05-arrays", "3_[1,3,5-9]", {"key": "3", "tasks": 7}, id="array of a list"),
        pytest.param("22.05-arrays", "4+1", {"key": "5", "is_in_line": True}, id="waiting part of a hetjob"),
        pytest.param(
            "22.05-arrays", "9", {"pod_uid": None, "raw_reason": "Priority"}, id="name cut within a letter"
        ),
        pytest.param("22.05-arrays", "10", {"pod_uid": None}, id="empty name"),
        pytest.param(
            "22.05-arrays",
            "13",
            {"state": JobState.PENDING, "is_in_line": False, "expected_start_at": None},
            id="requeued and held",
        ),
        pytest.param("23.11", "9000104", {"state": JobState.NODE_FAILED}, id="boot failed"),
        pytest.param("23.11", "9000105", {"state": JobState.TIMEOUT, "started_at": None}, id="deadline"),
        pytest.param(
            "23.11", "9000106", {"state": JobState.PENDING, "is_in_line": False}, id="requeued, held"
        ),
        pytest.param("23.11", "9000001", {"state": JobState.SUSPENDED}, id="suspended"),
        pytest.param("24.05", "18", {"tasks": 30, "pod_uid": None}, id="array with a long list of tasks"),
        pytest.param("24.05", "16", {"state": JobState.COMPLETING}, id="copies its files"),
    ],
)
def test_what_is_told_of_a_job(jobs_of: Any, version: str, job_id: str, expected: dict[str, Any]) -> None:
    job = jobs_of(version)[job_id]

    assert {name: getattr(job, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("version", "job_number", "code", "signal"),
    [
        pytest.param("22.05", "28", 7, 0, id="raw wait status, exited"),
        pytest.param("22.05", "27", 0, 9, id="raw wait status, killed"),
        pytest.param("22.05", "29", 143, 0, id="raw wait status, ended by SIGTERM in a shell"),
        pytest.param("22.05-arrays", "11", 3, 0, id="raw wait status beside arrays"),
        pytest.param("20.11", "700082", 125, 0, id="out of memory"),
        pytest.param("23.11", "9000102", 0, 9, id="in two parts, killed"),
        pytest.param("24.05", "15", 3, 0, id="in two parts, exited"),
    ],
)
def test_exit_codes(site_helpers: Any, version: str, job_number: str, code: int, signal: int) -> None:
    assert parse_exit_codes(site_helpers.recorded(f"slurm-{version}/exit_codes.txt"))[job_number] == (
        code,
        signal,
    )


def test_a_job_without_an_exit_code_does_not_hide_those_of_others() -> None:
    assert parse_exit_codes(b"11".ljust(32) + b"\n" + b"12".ljust(32) + b"3:0\n") == {"12": (3, 0)}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("19.05", {"81200": 1, "81230": 2, "81231": 3}, id="by priority"),
        pytest.param(
            "22.05", {"25": 1, "26": 2, "6": 1, "10": 2, "31": 3}, id="held and dated ones stand aside"
        ),
        pytest.param(
            "22.05-arrays",
            {"2": 1, "3": 17, "4": 24, "5": 25, "9": 26, "10": 27, "14": 28, "15": 29},
            id="arrays by steps count each task",
        ),
        pytest.param("24.05", {"18": 1, "19": 1, "20": 32}, id="array tasks count, several partitions"),
    ],
)
def test_positions_in_the_line(site_helpers: Any, version: str, expected: dict[str, int]) -> None:
    assert positions(parse_squeue(site_helpers.recorded(f"slurm-{version}/squeue.txt"))) == expected


@pytest.mark.parametrize(
    ("reason", "is_held"),
    [
        ("JobHeldUser", True),
        ("JobHeldAdmin", True),
        ("JobHoldMaxRequeue", True),
        ("ReservationDeleted", True),
        ("job requeued in held state", True),
        ("job_requeued_in_special_exit_state", True),
        ("launch failed requeued held", True),
        ("launch failure limit exceeded requeued held", True),
        ("Resources", False),
        ("Reservation", False),
    ],
)
def test_a_job_on_hold_has_no_place_and_no_expected_start(reason: str, is_held: bool) -> None:
    line = GOOD.replace(b"RUNNING", b"PENDING").replace(b"|n1|None", f"||{reason}".encode())

    [job] = parse_squeue(line)

    assert (job.is_in_line, job.expected_start_at is None) == (not is_held, is_held)


def test_names_of_people_in_a_reason_are_left_out(jobs_of: Any, site_helpers: Any) -> None:
    assert b"user=somebody" in site_helpers.recorded("slurm-23.11/squeue.txt")

    assert jobs_of("23.11")["9000000"].raw_reason == "Job"


def test_a_reason_of_a_pods_job_is_kept(jobs_of: Any) -> None:
    job = jobs_of("23.11")["9000101"]

    assert job.raw_reason == "ReqNodeNotAvail, Reserved for maintenance"


GOOD = b"x".ljust(37) + b"|1|1|p|RUNNING|5|2026-11-20T10:00:00|2026-11-20T10:00:00|N/A|1:00|0|n1|None\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"slurm_load_jobs error: everything is lost\n", "entry 2", id="prose"),
        pytest.param(
            GOOD.replace(b"2026-11-20T10:00:00", b"yesterday", 1), "not a time: 'yesterday'", id="time"
        ),
        pytest.param(GOOD.replace(b"1:00|0|", b"soon|0|"), "not a duration: 'soon'", id="duration"),
        pytest.param(GOOD.replace(b"|5|", b"|high|"), "invalid literal", id="priority"),
        pytest.param(GOOD.replace(b"|1|1|", b"|1|one|"), "no job number", id="job number"),
        pytest.param(GOOD.replace(b"|1|1|", b"|1_[a]|1|"), "array tasks", id="array"),
        pytest.param(GOOD.replace(b"|0|n1", b"|root|n1"), "user number", id="user name for a number"),
        pytest.param(GOOD.replace(b"|p|", b"||"), "no partition", id="partition"),
        pytest.param(GOOD.replace(b"|n1|None", b""), "fields instead of 12", id="field missing"),
        pytest.param(GOOD[:60], "entry 2", id="cut"),
    ],
)
def test_one_bad_entry_fails_the_whole_and_is_quoted(line: bytes, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_squeue(GOOD + line)

    assert "entry 2" in caught.value.message
    assert said in caught.value.message


def test_an_error_does_not_quote_the_name_of_a_job() -> None:
    secret = b"salary-review-of-bob".ljust(37)

    with pytest.raises(CommandError) as caught:
        parse_squeue(secret + GOOD[37:].replace(b"|5|", b"|x|"))

    assert "salary" not in caught.value.message


def test_an_error_does_not_quote_the_name_of_a_user() -> None:
    reason = b"exceeds association (acc=physics/user=bob/part=gpu) group wall limit"

    with pytest.raises(CommandError) as caught:
        parse_squeue(GOOD.replace(b"None", reason).replace(b"|5|", b"|x|"))

    assert "bob" not in caught.value.message


def test_a_job_name_cannot_forge_an_entry(site_helpers: Any) -> None:
    forged = f"a\n{site_helpers.uid(7)}".encode()[:37]

    jobs = parse_squeue(forged + GOOD[37:] + GOOD)

    assert [job.pod_uid for job in jobs] == [None, None]


def test_a_name_longer_than_a_pod_uid_is_none(site_helpers: Any) -> None:
    [exact] = parse_squeue(site_helpers.uid(7).encode().ljust(37) + GOOD[37:])
    [longer] = parse_squeue((site_helpers.uid(7) + "0").encode() + GOOD[37:])

    assert (exact.pod_uid, longer.pod_uid) == (site_helpers.uid(7), None)


def sinfo_line(**changes: str) -> bytes:
    columns = {
        "partition": ("p", 128),
        "available": ("up", 16),
        "statelong": ("idle", 32),
        "cpusstate": ("0/4/0/4", 64),
        "memory": ("1000", 24),
        "time": ("1:00:00", 24),
        "gres": ("(null)", 512),
        "gresused": ("gpu:0", 512),
    }
    return (
        "".join(changes.get(name, text).ljust(width) for name, (text, width) in columns.items()).encode()
        + b"\n"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"cpusstate": "4"}, "four numbers of cores", id="cores"),
        pytest.param({"cpusstate": "a/b/c/d"}, "invalid literal", id="cores in letters"),
        pytest.param({"memory": "lots"}, "invalid literal", id="memory"),
        pytest.param({"time": "soon"}, "not a duration", id="time"),
        pytest.param({"gres": "gpu:many"}, "not a number of GPUs", id="gpus"),
        pytest.param({"gres": "gpu:a:1," * 64}, "longer than 512", id="column may be cut"),
        pytest.param({"partition": "*"}, "no partition", id="partition"),
        pytest.param({"statelong": ""}, "no partition or no state", id="state"),
        pytest.param({"gres": "gpu:a:2,gpu:b:2", "gresused": "gpu:1"}, "without their type", id="whose gpu"),
        pytest.param({"gresused": "gpu:0".ljust(520) + "more"}, "", id="more columns"),
    ],
)
def test_one_bad_node_fails_the_whole_and_is_quoted(changes: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_sinfo(sinfo_line() + sinfo_line(**changes))

    assert "line 2" in caught.value.message
    assert said in caught.value.message


def test_an_empty_queue_has_no_jobs() -> None:
    assert parse_squeue(b"") == []
    assert parse_sinfo(b"") == {}
    assert parse_exit_codes(b"") == {}


def test_ten_thousand_jobs_are_read_in_well_under_a_second() -> None:
    output = b"".join(GOOD.replace(b"|1|1|", f"|{number}|{number}|".encode()) for number in range(10_000))

    began = time.process_time()
    jobs = parse_squeue(output)
    cpu_seconds = time.process_time() - began

    assert len(jobs) == 10_000
    # Measured: 0.15 s. The bound is for slow machines.
    assert cpu_seconds < 2
