"""What the plugin makes of squeue's words."""

import pytest

from rayster_testbed.slurm_plugin.status import JobState, container_statuses, read_as_found, read_ideal

TIMEOUT = ("SlurmJobTimeout", "SLURM job reached its time limit and was terminated")
CANCELLED = ("JobCancelled", "SLURM job was cancelled")


@pytest.mark.parametrize(
    ("line", "as_found", "ideal"),
    [
        ("0    PD  ", JobState("waiting"), JobState("waiting")),
        ("0    R   ", JobState("running"), JobState("running")),
        ("0    CG  ", JobState("running"), JobState("running")),
        ("0    S   ", JobState("waiting"), JobState("waiting")),
        ("0    CF  ", JobState("terminated", 0), JobState("waiting")),
        ("0    RQ  ", JobState("running"), JobState("waiting")),
        ("0    CD  ", JobState("terminated", 0), JobState("terminated", 0)),
        ("768  F   ", JobState("terminated", 68), JobState("terminated", 3)),
        ("1792 F   ", JobState("terminated", 92), JobState("terminated", 7)),
        ("9    F   ", JobState("terminated", 9), JobState("terminated", 137)),
        ("15   CA  ", JobState("terminated", 15), JobState("terminated", 143, *CANCELLED)),
        ("0    CA  ", JobState("waiting"), JobState("terminated", 143, *CANCELLED)),
        ("36608 TO ", JobState("terminated", 8, *TIMEOUT), JobState("terminated", 143, *TIMEOUT)),
        ("0    NF  ", JobState("terminated", 0), JobState("terminated", 1)),
    ],
    ids=lambda value: " ".join(value.split()) if isinstance(value, str) else None,
)
def test_states(line: str, as_found: JobState, ideal: JobState) -> None:
    assert read_as_found(line) == as_found
    assert read_ideal(line) == ideal


def test_a_line_without_exit_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="no exit code"):
        read_as_found("")


def test_the_code_a_container_wrote_counts_more_than_the_job_s() -> None:
    pod = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    codes = {"a": 3}
    statuses = container_statuses(pod, JobState("terminated", 8), codes.get, "s", "f")
    assert [status["state"]["terminated"] for status in statuses] == [
        {"exitCode": 3, "startedAt": "s", "finishedAt": "f"},
        {"exitCode": 8, "startedAt": "s", "finishedAt": "f"},
    ]


def test_all_containers_of_a_running_job_are_ready() -> None:
    pod = {"spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}}
    (status,) = container_statuses(pod, JobState("running"), {}.get, "s", None)
    assert (status["name"], status["ready"], status["state"]) == ("a", True, {"running": {"startedAt": "s"}})
