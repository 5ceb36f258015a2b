"""Real SLURM and the built-in queue behave the same where the testbed leans on it."""

import os
from pathlib import Path
from typing import Any

import pytest

UNAVAILABLE = "sbatch: error: Batch job submission failed: Requested node configuration is not available\n"
TIME_LIMIT = "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)\n"
WHOLE_PADOVA = ("-p", "padova", "-N", "2", "-c", "16", "--mem=1000", "--time=30")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            ["-p", "nosuch"],
            "sbatch: error: invalid partition specified: nosuch\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
            id="partition",
        ),
        pytest.param(["-p", "padova", "--time=48:01:00"], TIME_LIMIT, id="walltime over the limit"),
        pytest.param(["--time=0"], TIME_LIMIT, id="walltime without end"),
        pytest.param(["--time=abc"], "sbatch: error: Invalid --time specification\n", id="walltime"),
        pytest.param(["--mem=abc"], "sbatch: error: Invalid --mem specification\n", id="memory"),
        pytest.param(["-p", "padova", "--gres=gpu:1"], UNAVAILABLE, id="GPUs where there are none"),
        pytest.param(["-p", "boost_usr_prod", "--gres=gpu:a100:5"], UNAVAILABLE, id="too many GPUs"),
        pytest.param(["-p", "boost_usr_prod", "--gres=gpu:v100:1"], UNAVAILABLE, id="other GPUs"),
        pytest.param(
            ["--gres=foo:1"],
            "sbatch: error: Invalid generic resource (gres) specification\n",
            id="other gres",
        ),
        pytest.param(
            ["-c", "17"],
            "sbatch: error: CPU count per node can not be satisfied\n" + UNAVAILABLE,
            id="too many cores",
        ),
        pytest.param(
            ["--mem=100G"],
            "sbatch: error: Memory specification can not be satisfied\n" + UNAVAILABLE,
            id="too much memory",
        ),
        pytest.param(
            ["-N", "3"],
            "sbatch: error: Batch job submission failed: Node count specification invalid\n",
            id="too many nodes",
        ),
        pytest.param(
            ["-n", "33"],
            "sbatch: error: Batch job submission failed: More processors requested than permitted\n",
            id="too many tasks",
        ),
        pytest.param(
            ["-c", "0"], 'sbatch: error: Invalid numeric value "0" for --cpus-per-task.\n', id="no cores"
        ),
        pytest.param(
            ["--constraint=x"],
            "sbatch: error: Batch job submission failed: Invalid feature specification\n",
            id="constraint",
        ),
        pytest.param(
            ["--reservation=x"],
            "sbatch: error: Batch job submission failed: Requested reservation is invalid\n",
            id="reservation",
        ),
    ],
)
def test_impossible_jobs_are_refused_in_slurm_s_words(
    batch_system: Any, arguments: list[str], error: str
) -> None:
    done = batch_system.call("sbatch", *arguments, "--wrap=true")
    assert (done.returncode != 0, done.stderr, done.stdout) == (True, error, "")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param("", "sbatch: error: Batch script is empty!\n", id="empty"),
        pytest.param(
            "#!/bin/bash\n#SBATCH --comment=two words\n",
            "sbatch: error: Invalid directive found in batch script: words\n",
            id="value with a space",
        ),
        pytest.param(
            "echo\n",
            "sbatch: error: This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
            "sbatch: error: For instance: #!/bin/sh\n",
            id="no interpreter",
        ),
        pytest.param(
            "#!/bin/sh\n#SBATCH --nosuch\n",
            "sbatch: unrecognized option '--nosuch'\nTry \"sbatch --help\" for more information\n",
            id="unknown option",
        ),
    ],
)
def test_bad_scripts_are_refused_in_slurm_s_words(
    batch_system: Any, tmp_path: Path, script: str, error: str
) -> None:
    path = tmp_path / "script"
    path.write_text(script)
    done = batch_system.call("sbatch", str(path))
    assert (done.returncode != 0, done.stderr) == (True, error)


def test_directives_count_up_to_the_first_command_and_the_command_line_beats_them(
    batch_system: Any, tmp_path: Path
) -> None:
    path = tmp_path / "script"
    path.write_text(
        "#!/bin/bash\n#SBATCH -J from-script --time=7 # why\n\n# words\n#SBATCH -p padova\ntrue\n#SBATCH --mem=1\n"
    )
    done = batch_system.call("sbatch", "--parsable", "--time=9", "-o", "/dev/null", str(path))
    job_id = done.stdout.strip()
    assert batch_system.squeue(job_id, "%j %l %P %m") == "from-script 9:00 padova 2000M"
    batch_system.wait_for(job_id, "CD")


def test_a_job_knows_where_it_runs_and_with_what(empty_queue: Any) -> None:
    script = (
        'echo "$SLURM_JOB_ID $SLURM_JOB_PARTITION $SLURM_JOB_NAME $SLURM_CPUS_PER_TASK $SLURM_JOB_NODELIST'
        ' $SLURMD_NODENAME $SLURM_MEM_PER_NODE $SLURM_GPUS_ON_NODE $FROM_HERE"; echo "$SLURM_SUBMIT_DIR"; pwd'
    )
    os.environ["FROM_HERE"] = "kept"
    arguments = ("-J", "name", "-p", "boost_usr_prod", "-c", "4", "--mem=1G", "--gres=gpu:a100:2", "--time=5")
    job_id = empty_queue.submit(script, *arguments)
    del os.environ["FROM_HERE"]
    empty_queue.wait_for(job_id, "CD")
    first, submit_dir, work_dir = empty_queue.output(job_id).splitlines()
    assert first == f"{job_id} boost_usr_prod name 4 lrdn0001 lrdn0001 1024 2 kept"
    assert Path(submit_dir) == Path(work_dir) == empty_queue.work_dir


@pytest.mark.parametrize(("script", "state", "raw"), [("exit 3", "F", "768"), ("true", "CD", "0")])
def test_exit_codes_are_kept_as_raw_wait_status(batch_system: Any, script: str, state: str, raw: str) -> None:
    job_id = batch_system.submit(script)
    batch_system.wait_for(job_id, state)
    done = batch_system.call(
        "squeue", "--noheader", "-a", "--states=all", "-O", "exit_code,StateCompact", "-j", job_id
    )
    assert done.stdout.split() == [raw, state]


def test_a_full_partition_makes_jobs_wait_and_says_why(empty_queue: Any, helpers: Any) -> None:
    first = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    empty_queue.wait_for(first, "R")
    second = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    third = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    helpers.wait_until(lambda: empty_queue.squeue(second, "%r") == "Resources")
    helpers.wait_until(lambda: empty_queue.squeue(third, "%r") == "Priority")
    assert empty_queue.squeue(first, "%N %D %C") == "pd-wn[01-02] 2 32"
    empty_queue.call("scancel", first)
    empty_queue.wait_for(second, "R")
    assert empty_queue.squeue(third) == "PD"


def test_the_expected_start_is_when_the_running_job_reaches_its_walltime(
    empty_queue: Any, helpers: Any
) -> None:
    first = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    empty_queue.wait_for(first, "R")
    second = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    end = empty_queue.squeue(first, "%e")
    start = helpers.wait_until(
        lambda: (
            (text := empty_queue.call("squeue", "--start", "-h", "-o", "%S", "-j", second).stdout.strip())
            != "N/A"
            and text
        )
    )
    assert start[:16] >= end[:16]


def test_gpus_are_counted_per_node(empty_queue: Any, helpers: Any) -> None:
    flags = ("-p", "boost_usr_prod", "--gres=gpu:a100:3", "--mem=100", "--time=5")
    jobs = [empty_queue.submit("sleep 60", *flags) for _ in range(3)]
    for job_id in jobs[:2]:
        empty_queue.wait_for(job_id, "R")
    helpers.wait_until(lambda: empty_queue.squeue(jobs[2], "%r") == "Resources")
    one = empty_queue.submit("sleep 60", "-p", "boost_usr_prod", "--gres=gpu:1", "--mem=100", "--time=1")
    empty_queue.wait_for(one, "R")


def test_cancelling_a_waiting_job_leaves_exit_status_zero(empty_queue: Any) -> None:
    first = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    second = empty_queue.submit("sleep 60", *WHOLE_PADOVA)
    empty_queue.wait_for(first, "R")
    assert empty_queue.call("scancel", second).returncode == 0
    assert empty_queue.wait_for(second, "CA") == "CA"
    done = empty_queue.call(
        "squeue", "-h", "-a", "--states=all", "-O", "exit_code,StateCompact", "-j", second
    )
    assert done.stdout.split() == ["0", "CA"]


def test_cancelling_a_running_job_gives_its_processes_time_to_end(batch_system: Any, helpers: Any) -> None:
    job_id = batch_system.submit(
        "bash -c 'trap \"echo bye; exit\" TERM; echo up; while :; do sleep 0.1; done'"
    )
    helpers.wait_until(lambda: batch_system.squeue(job_id) == "R" and "up" in batch_system.output(job_id))
    batch_system.call("scancel", job_id)
    batch_system.wait_for(job_id, "CA")
    helpers.wait_until(lambda: "bye" in batch_system.output(job_id), what="its processes' last word")
    words = ("squeue", "-h", "-a", "--states=all", "-O", "exit_code,StateCompact", "-j", job_id)
    # SLURM says CA a moment before it has heard how the processes ended. Signals reach them one after another: the
    # job's script is ended by signal 15, or, when its child was quicker to end well, ends well itself.
    helpers.wait_until(
        lambda: batch_system.call(*words).stdout.split() in (["15", "CA"], ["0", "CA"]),
        what="ended in its time",
    )


def test_processes_that_ignore_sigterm_are_killed(batch_system: Any, helpers: Any) -> None:
    job_id = batch_system.submit("trap '' TERM; echo $$; while :; do sleep 0.1; done")
    pid = helpers.wait_until(
        lambda: batch_system.squeue(job_id) == "R" and batch_system.output(job_id).split()
    )[0]
    batch_system.call("scancel", job_id)
    helpers.wait_until(lambda: not Path(f"/proc/{pid}").exists(), 15, what="process gone")
    batch_system.wait_for(job_id, "CA")


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        (["squeue", "-j", "99999"], 1, "slurm_load_jobs error: Invalid job id specified\n"),
        (["scancel", "99999"], 0, ""),
        (["scancel", "abc"], 1, "scancel: error: Invalid job id abc\n"),
        (["scancel"], 1, "scancel: error: No job identification provided\n"),
    ],
    ids=["squeue of an unknown job", "scancel of an unknown job", "scancel of a word", "scancel of nothing"],
)
def test_commands_say_what_is_wrong(batch_system: Any, command: list[str], status: int, error: str) -> None:
    done = batch_system.call(*command)
    assert (done.returncode, done.stderr) == (status, error)


def test_jobs_are_selected_by_name_partition_and_state(empty_queue: Any) -> None:
    flags = ("-p", "dcgp_usr_prod", "-c", "1", "--mem=100", "--time=5")
    jobs = {name: empty_queue.submit("sleep 60", "-J", name, *flags) for name in ("one", "two")}
    for job_id in jobs.values():
        empty_queue.wait_for(job_id, "R")

    def listed(*options: str) -> set[str]:
        return set(empty_queue.call("squeue", "-h", "-o", "%i", *options).stdout.split())

    assert listed("--me") == listed("-t", "R") == listed("-p", "dcgp_usr_prod") == set(jobs.values())
    assert listed("--name=two") == {jobs["two"]}
    assert listed("-p", "padova") == listed("-t", "PD") == set()
    empty_queue.call("scancel", "--name=one")
    empty_queue.wait_for(jobs["one"], "CA")
    assert listed() == {jobs["two"]}


def test_sinfo_lists_partitions_limits_and_what_is_free(empty_queue: Any) -> None:
    done = empty_queue.call("sinfo", "-h", "-o", "%P|%l|%L|%C|%G|%m|%c|%F")
    assert done.stdout.splitlines() == [
        "boost_usr_prod|1-00:00:00|30:00|0/64/0/64|gpu:a100:4|494000|32|0/2/0/2",
        "dcgp_usr_prod|1-00:00:00|30:00|0/224/0/224|(null)|494000|112|0/2/0/2",
        "padova*|2-00:00:00|1:00:00|0/32/0/32|(null)|64000|16|0/2/0/2",
    ]
    job_id = empty_queue.submit("sleep 60", "-p", "padova", "-c", "3", "--mem=100")
    empty_queue.wait_for(job_id, "R")
    assert (
        empty_queue.call("sinfo", "-h", "-p", "padova", "-o", "%C %T").stdout.splitlines()[0]
        == "3/13/0/16 mixed"
    )
    assert empty_queue.call("sinfo", "-h", "-p", "padova", "-o", "%a %D %t %N").stdout.splitlines() == [
        "up 1 mix pd-wn01",
        "up 1 idle pd-wn02",
    ]
