"""Runs the script of one job to its end and writes its exit status; lives on when the queue's daemon does not.

Run as `python shim.py JOB_DIRECTORY LOCK_FD KILL_WAIT_SECONDS`: the daemon hands over a locked file that stays
locked as long as this process lives. SIGTERM asks to end the job: its processes get SIGTERM, and SIGKILL some
seconds later. Standard library only, no import from this package.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36


def descendants() -> list[int]:
    """Return all processes below this one, those of double forks too, since we are their reaper."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The command name in parentheses may contain anything, so look behind its end.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def signal_all(number: signal.Signals) -> None:
    """Send a signal to every process of the job."""
    for pid in descendants():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def expand(pattern: str, job: dict[str, Any]) -> str:
    """Return an output file name with `%j`, `%x`, `%u`, `%N` and the like filled in."""
    values = {
        **{"j": job["id"], "A": job["id"], "J": job["id"], "x": job["name"], "u": job["user"]},
        **{"N": job["node_names"][0], "n": 0, "t": 0, "a": 4294967294, "%": "%"},
    }
    parts = pattern.split("%")
    text = parts[0]
    rest = iter(parts[1:])
    for part in rest:
        if not part:
            text += "%" + next(rest, "")
            continue
        letter = part.lstrip("0123456789")[:1]
        text += f"{values[letter]}{part.lstrip('0123456789')[1:]}" if letter in values else f"%{part}"
    return text


def environment(job: dict[str, Any]) -> dict[str, str]:
    """Return the submitter's environment with SLURM's variables."""
    nodes = job["node_names"]
    tasks_per_node = max(1, -(-job["tasks"] // len(nodes)))
    variables = {
        "SLURM_CLUSTER_NAME": "rayster",
        "SLURM_JOB_ID": job["id"],
        "SLURM_JOBID": job["id"],
        "SLURM_JOB_NAME": job["name"],
        "SLURM_JOB_PARTITION": job["partition"],
        "SLURM_JOB_USER": job["user"],
        "SLURM_JOB_UID": job["uid"] if job["run_as"] is None else job["run_as"],
        "SLURM_JOB_NUM_NODES": len(nodes),
        "SLURM_NNODES": len(nodes),
        "SLURM_JOB_NODELIST": job["node_list"],
        "SLURM_NODELIST": job["node_list"],
        "SLURMD_NODENAME": nodes[0],
        "SLURM_NODEID": 0,
        "SLURM_PROCID": 0,
        "SLURM_LOCALID": 0,
        "SLURM_NTASKS": job["tasks"],
        "SLURM_NPROCS": job["tasks"],
        "SLURM_TASKS_PER_NODE": tasks_per_node if len(nodes) == 1 else f"{tasks_per_node}(x{len(nodes)})",
        "SLURM_CPUS_PER_TASK": job["cpus_per_task"],
        "SLURM_CPUS_ON_NODE": job["cpus"],
        "SLURM_JOB_CPUS_PER_NODE": job["cpus"] if len(nodes) == 1 else f"{job['cpus']}(x{len(nodes)})",
        "SLURM_MEM_PER_NODE": job["memory_mib"],
        "SLURM_SUBMIT_DIR": job["submit_dir"],
        "SLURM_SUBMIT_HOST": os.uname().nodename,
    }
    optional = {
        "SLURM_JOB_ACCOUNT": job["account"],
        "SLURM_JOB_QOS": job["qos"],
        "SLURM_GPUS_ON_NODE": job["gpus"],
    }
    variables |= {name: value for name, value in optional.items() if value}
    return {**job["environment"], **{name: str(value) for name, value in variables.items()}}


class Ending:
    """Ends the job's processes: SIGTERM at once, SIGKILL after some seconds. Asked twice, it does it once."""

    def __init__(self, kill_wait_seconds: float):
        self._kill_wait_seconds = kill_wait_seconds
        self._begun = False

    def begin(self, *_signal: object) -> None:
        """Begin to end the job; also serves as a signal handler."""
        if self._begun:
            return
        self._begun = True
        signal_all(signal.SIGTERM)
        timer = threading.Timer(self._kill_wait_seconds, signal_all, [signal.SIGKILL])
        timer.daemon = True
        timer.start()


def run(directory: Path, kill_wait_seconds: float) -> int:
    """Run the job in `directory` and return the raw wait status of its script."""
    job = json.loads((directory / "run.json").read_text())
    ending = Ending(kill_wait_seconds)
    signal.signal(signal.SIGTERM, ending.begin)
    # Written only now: whoever reads it may send a signal.
    _write(directory / "pid", str(os.getpid()))
    work_dir = job["work_dir"] if Path(job["work_dir"]).is_dir() else "/tmp"  # noqa: S108 as SLURM does
    output = (Path(work_dir) / expand(job["output"], job)).open("wb")
    error = (Path(work_dir) / expand(job["error"], job)).open("wb") if job["error"] else output
    if job["run_as"] is not None:
        os.chown(output.fileno(), job["run_as"], -1)
    script = subprocess.Popen(
        [str(directory / "slurm_script"), *job["arguments"]],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=error,
        env=environment(job),
        cwd=work_dir,
        user=job["run_as"],
        extra_groups=None if job["run_as"] is None else [],
    )
    code = script.wait()
    while descendants():
        # What the script left running ends with it; we inherit it, so we also have to collect it.
        ending.begin()
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        time.sleep(0.02)
    return code << 8 if code >= 0 else -code


def main() -> int:
    """Run the job and write its exit status."""
    directory, lock_fd, kill_wait_seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    os.set_inheritable(lock_fd, False)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        status = run(directory, kill_wait_seconds)
    except OSError as error:
        print(f"job cannot start: {error}", file=sys.stderr)
        status = 1 << 8
    _write(directory / "exit", str(status))
    return 0


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.rename(path)


if __name__ == "__main__":
    sys.exit(main())
