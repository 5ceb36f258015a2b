"""Runs a private SLURM: prepares its directory, keeps its daemons alive, ends them and only them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pwd
import secrets
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rayster_testbed.partitions import KILL_WAIT_SECONDS, PARTITIONS, Partition
from rayster_testbed.ports import free_ports, take_again
from rayster_testbed.short_path import short_path
from rayster_testbed.slurm import programs
from rayster_testbed.slurm.config import gpu_files, gres_conf, nodes_of, slurm_conf
from rayster_testbed.slurm.daemons import Daemon

log = logging.getLogger(__name__)

_UP_STATES = {"idle", "mixed", "allocated", "completing"}
_LIVE_JOB_STATES = "PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING"


class SlurmError(RuntimeError):
    """The private SLURM cannot run; the message says why and what to do."""


class Supervisor:
    """A private SLURM in one directory.

    Args:
        state_dir: holds everything: configuration, munge key, state, logs, `bin/`; made when missing.
        partitions: partitions and nodes to offer.

    Raises:
        SlurmError: programs are missing, or another supervisor holds the directory.
    """

    def __init__(self, state_dir: Path, partitions: Sequence[Partition] = PARTITIONS):
        if absent := programs.missing():
            raise SlurmError(f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)")
        state_dir.mkdir(parents=True, exist_ok=True)
        self.partitions = partitions
        self.dir = short_path(state_dir)
        for name in ("bin", "ctld", "gpus", "log", "munge", "run", "spool"):
            (self.dir / name).mkdir(mode=0o755, exist_ok=True)
        # Who reaches munged's socket may submit jobs: the owner alone.
        (self.dir / "munge").chmod(0o700)
        self._lock = (self.dir / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SlurmError(f"another supervisor runs in {state_dir}") from None
        self.daemons = [self._munged(), self._slurmctld(), *self._slurmds()]
        self._restart_at: dict[str, float] = {}

    def start(self) -> None:
        """Write the configuration, replace what an earlier supervisor left, start every daemon."""
        for daemon in reversed(self.daemons):
            daemon.end_leftovers()
        key = self.dir / "munge/key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(128))
        conf = slurm_conf(
            self.dir,
            hostname=socket.gethostname().split(".")[0],
            user=_user_name(),
            ports=self._ports(),
            partitions=self.partitions,
        )
        (self.dir / "slurm.conf").write_text(conf)
        (self.dir / "gres.conf").write_text(gres_conf(self.dir, self.partitions))
        for device in gpu_files(self.dir, self.partitions):
            device.touch()
        self._write_commands()
        munged, *others = self.daemons
        # A munged that was killed leaves its socket and refuses to start over it.
        for stale in (self.dir / "munge").glob("socket*"):
            stale.unlink()
        munged.start()
        self._wait_for_socket(munged)
        for daemon in others:
            daemon.start()

    def wait_ready(self, timeout_seconds: float = 60) -> None:
        """Wait until every node is up.

        Raises:
            SlurmError: not within the time; the message holds what sinfo says.
        """
        expected = {node.name for node in nodes_of(self.partitions)}
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.restart_dead()
            answer = self._command("sinfo", "-h", "-N", "-o", "%N %T", check=False)
            states = dict(line.split() for line in answer.splitlines() if len(line.split()) == 2)
            if {name for name, state in states.items() if state in _UP_STATES} == expected:
                return
            if time.monotonic() > deadline:
                raise SlurmError(f"nodes not up after {timeout_seconds} s: {states or answer.strip()}")
            time.sleep(0.1)

    def run(self, stop: threading.Event) -> None:
        """Keep the daemons alive until `stop` is set."""
        while not stop.wait(0.3):
            self.restart_dead()

    def restart_dead(self) -> None:
        """Start again every daemon that ended, at most once per second each."""
        for daemon in self.daemons:
            code = daemon.exit_code()
            if code is None or time.monotonic() < self._restart_at.get(daemon.name, 0):
                continue
            log.warning("%s ended with %s: started again", daemon.name, code)
            self._restart_at[daemon.name] = time.monotonic() + 1
            if daemon is self.daemons[0]:
                for stale in (self.dir / "munge").glob("socket*"):
                    stale.unlink()
            daemon.start()

    def cancel_jobs(self) -> None:
        """Cancel every job and wait until its processes have ended."""
        live = ("squeue", "-h", "-t", _LIVE_JOB_STATES, "-o", "%A")
        deadline = time.monotonic() + KILL_WAIT_SECONDS + 15
        while jobs := self._command(*live).split():
            if time.monotonic() > deadline:
                log.error("jobs did not end: %s", " ".join(jobs))
                return
            self._command("scancel", *jobs, check=False)
            time.sleep(0.3)

    def stop(self) -> None:
        """End the daemons; running jobs go on under their slurmstepd and are taken up at the next start."""
        # The nodes together; then the controller and munged, which the nodes still talk to while they end.
        for daemon in self.daemons[2:]:
            daemon.ask_to_end()
        for daemon in reversed(self.daemons):
            daemon.stop()

    def _munged(self) -> Daemon:
        munge = self.dir / "munge"
        argv = [
            str(programs.find("munged")),
            "--foreground",
            # Accepts a state directory below a group-writable home; the key itself is 0600.
            "--force",
            "--num-threads=2",
            f"--key-file={munge}/key",
            f"--socket={munge}/socket",
            f"--pid-file={munge}/pid",
            f"--log-file={munge}/log",
            f"--seed-file={munge}/seed",
        ]
        return Daemon("munged", argv, self.dir / "log/munged.log")

    def _slurmctld(self) -> Daemon:
        argv = [str(programs.find("slurmctld")), "-D", "-f", f"{self.dir}/slurm.conf"]
        return Daemon("slurmctld", argv, self.dir / "log/slurmctld.out")

    def _slurmds(self) -> list[Daemon]:
        slurmd = str(programs.find("slurmd"))
        daemons = []
        for node in nodes_of(self.partitions):
            (self.dir / "spool" / node.name).mkdir(exist_ok=True)
            argv = [slurmd, "-D", "-N", node.name, "-f", f"{self.dir}/slurm.conf"]
            daemons.append(Daemon(f"slurmd {node.name}", argv, self.dir / f"log/{node.name}.out"))
        return daemons

    def _ports(self) -> dict[str, int]:
        """Return a port per daemon; those of the last run while they are free, since running jobs know them."""
        names = ["slurmctld", *(node.name for node in nodes_of(self.partitions))]
        record = self.dir / "ports.json"
        ports: dict[str, int] = json.loads(record.read_text()) if record.exists() else {}
        if set(ports) != set(names) or not take_again(ports.values()):
            ports = dict(zip(names, free_ports(len(names)), strict=True))
            record.write_text(json.dumps(ports))
        return ports

    def _write_commands(self) -> None:
        for name in programs.COMMANDS:
            wrapper = self.dir / "bin" / name
            wrapper.write_text(
                "#!/bin/sh\n"
                f"export SLURM_CONF={shlex.quote(f'{self.dir}/slurm.conf')}\n"
                f'exec {shlex.quote(str(programs.find(name)))} "$@"\n'
            )
            wrapper.chmod(0o755)

    def _wait_for_socket(self, munged: Daemon, timeout_seconds: float = 10) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not (self.dir / "munge/socket").exists():
            if munged.exit_code() is not None or time.monotonic() > deadline:
                tail = "\n".join(munged.log_file.read_text(errors="replace").splitlines()[-5:])
                raise SlurmError(f"munged does not start:\n{tail}")
            time.sleep(0.02)

    def _command(self, *argv: str, check: bool = True) -> str:
        program, *arguments = argv
        done = subprocess.run(
            [str(self.dir / "bin" / program), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if check and done.returncode:
            raise SlurmError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout or done.stderr


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
