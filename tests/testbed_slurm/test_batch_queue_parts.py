"""The pure parts of the built-in queue: planning, units, tables."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_testbed.batch_queue import show
from rayster_testbed.batch_queue.job import Job
from rayster_testbed.batch_queue.plan import Placement, plan, reasons
from rayster_testbed.batch_queue.shim import expand
from rayster_testbed.batch_queue.units import (
    UNLIMITED,
    parse_memory,
    parse_walltime,
    show_duration,
    show_hosts,
    show_memory,
)
from rayster_testbed.partitions import Node, Partition

NODES = (
    Node("n1", cpus=8, memory_mib=8000, gpu_type="a100", gpu_count=2),
    Node("n2", cpus=8, memory_mib=8000),
)
PARTITIONS = (Partition("p", NODES, max_walltime_minutes=60, default_walltime_minutes=10, default=True),)
NOW = 1000.0


def job(job_id: int, cpus: int = 1, minutes: int = 10, **fields: Any) -> Job:
    values: dict[str, Any] = {
        **{"name": "j", "uid": 0, "user": "root", "partition": "p", "nodes": 1, "memory_mib": 10, "gpus": 0},
        **{
            "submit_time": 0,
            "submit_dir": "/",
            "work_dir": "/",
            "script": "",
            "arguments": [],
            "output": "o",
        },
        **{"environment": {}},
    }
    return Job(**{**values, "id": job_id, "cpus": cpus, "walltime_minutes": minutes, **fields})


def running(job_id: int, node: str, cpus: int = 8, minutes: int = 10, **fields: Any) -> Job:
    return job(job_id, cpus, minutes, state="R", start_time=NOW, node_names=[node], **fields)


@pytest.mark.parametrize(
    ("jobs", "placements"),
    [
        pytest.param([job(1)], {1: (0, "n1")}, id="an empty node starts it at once"),
        pytest.param(
            [job(1, 8), job(2, 8), job(3, 8)], {1: (0, "n1"), 2: (0, "n2"), 3: (10, "n1")}, id="in order"
        ),
        pytest.param(
            [running(1, "n1"), running(2, "n2", minutes=5), job(3)], {3: (5, "n2")}, id="first to end"
        ),
        pytest.param(
            [running(1, "n1"), running(2, "n2", cpus=7, minutes=30), job(3, 8), job(4, 1, 10)],
            {3: (10, "n1"), 4: (0, "n2")},
            id="a small job fills a gap",
        ),
        pytest.param(
            [running(1, "n1"), running(2, "n2", cpus=7), job(3, 8), job(4, 8), job(5, 1, 60)],
            {3: (10, "n1"), 4: (10, "n2"), 5: (20, "n1")},
            id="but never delays an earlier one",
        ),
        pytest.param([job(1, gpus=2), job(2, gpus=1)], {1: (0, "n1"), 2: (10, "n1")}, id="GPUs"),
        pytest.param(
            [job(1, memory_mib=8000), job(2, memory_mib=1)], {1: (0, "n1"), 2: (0, "n2")}, id="memory"
        ),
        pytest.param([running(1, "n2"), job(2, nodes=2)], {2: (10, "n1,n2")}, id="two nodes"),
    ],
)
def test_plan(jobs: list[Job], placements: dict[int, tuple[int, str]]) -> None:
    found = plan(jobs, PARTITIONS, NOW)
    assert {
        key: ((p.start_time - NOW) / 60, ",".join(p.node_names)) for key, p in found.items()
    } == placements


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(1, 8000), st.integers(0, 2), st.integers(1, 60)), max_size=12
    )
)
def test_no_plan_overfills_a_node(shapes: list[tuple[int, int, int, int]]) -> None:
    jobs = {
        number: job(number, cpus, minutes, memory_mib=memory, gpus=gpus)
        for number, (cpus, memory, gpus, minutes) in enumerate(shapes, 1)
    }
    placements = plan(jobs.values(), PARTITIONS, NOW)
    for moment in {placement.start_time for placement in placements.values()}:
        for node in NODES:
            here = [
                jobs[number]
                for number, placement in placements.items()
                if node.name in placement.node_names
                and placement.start_time <= moment < placement.start_time + jobs[number].walltime_minutes * 60
            ]
            assert sum(j.cpus for j in here) <= node.cpus
            assert sum(j.memory_mib for j in here) <= node.memory_mib
            assert sum(j.gpus for j in here) <= node.gpu_count


def test_the_first_blocked_job_waits_for_resources_the_next_for_its_turn() -> None:
    jobs = {number: job(number) for number in (1, 2, 3)}
    placements = {1: Placement(NOW, ("n1",)), 2: Placement(NOW + 9, ("n1",)), 3: Placement(NOW + 9, ("n1",))}
    assert reasons(placements, jobs, NOW) == {1: "None", 2: "Resources", 3: "Priority"}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("5", 5),
        ("00:05:00", 5),
        ("4:00:00", 240),
        ("5:30", 6),
        ("00:00:30", 1),
        ("1-0", 1440),
        ("1-02:03", 1563),
        ("1-02:03:04", 1564),
        ("0", UNLIMITED),
        ("00:00:00", UNLIMITED),
        ("UNLIMITED", UNLIMITED),
    ],
)
def test_walltime(text: str, minutes: int) -> None:
    assert parse_walltime(text) == minutes


@pytest.mark.parametrize("text", ["", "abc", "1:2:3:4", "-5", "5m", "1-"])
def test_not_a_walltime(text: str) -> None:
    with pytest.raises(ValueError):
        parse_walltime(text)


@pytest.mark.parametrize(
    ("text", "mib"), [("300", 300), ("4G", 4096), ("4gb", 4096), ("2048K", 2), ("1T", 2**20)]
)
def test_memory(text: str, mib: int) -> None:
    assert parse_memory(text) == mib


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8, "0:08"), (1800, "30:00"), (3600, "1:00:00"), (86400, "1-00:00:00"), (-1, "0:00")],
)
def test_durations_are_shown_as_slurm_does(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["lrdn0001"], "lrdn0001"),
        (["lrdn0001", "lrdn0002"], "lrdn[0001-0002]"),
        (["n1", "n3", "n4", "m1"], "n[1,3-4],m1"),
        (["login"], "login"),
        ([], ""),
    ],
)
def test_nodes_are_folded_as_slurm_does(names: list[str], shown: str) -> None:
    assert show_hosts(names) == shown


def test_memory_is_shown_as_slurm_does() -> None:
    assert [show_memory(mib) for mib in (0, 2000, 4096)] == ["0", "2000M", "4G"]


def test_job_table() -> None:
    view = show.JobView(job(7, 4, state="R", start_time=NOW, node_names=["n1"]), NOW + 8, None, 60)
    assert show.jobs_table([view], show.SQUEUE_FORMAT, header=True) == (
        "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n"
        "                 7         p        j     root  R       0:08      1 n1\n"
    )
    assert (
        show.jobs_fields([view], "exit_code,StateCompact", header=False)
        == "0                   R" + 19 * " " + "\n"
    )
    assert show.jobs_fields([view], "JobID:5,Name:.8", header=False) == "7           j\n"


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid job format specification: nosuch"):
        show.jobs_fields([], "nosuch", header=False)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("slurm-%j.out", "slurm-7.out"),
        ("%x/%u", "j/root"),
        ("%4j", "7"),
        ("100%%", "100%"),
        ("%z", "%z"),
        ("a", "a"),
    ],
)
def test_output_file_names(pattern: str, name: str) -> None:
    assert expand(pattern, {"id": 7, "name": "j", "user": "root", "node_names": ["n1"]}) == name


def test_a_job_survives_its_file() -> None:
    original = running(3, "n1")
    assert Job.from_json(original.to_json()) == original
