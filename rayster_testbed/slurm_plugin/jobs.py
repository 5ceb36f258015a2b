"""The plugin's memory: one directory per pod, so that a killed plugin finds all its jobs again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rayster_testbed.slurm_plugin import script
from rayster_testbed.slurm_plugin.volumes import prepare


class Jobs:
    """Jobs by pod UID, kept in files below `root`.

    Args:
        root: short absolute directory without special characters; made when missing.
        runtime: path of the `singularity` program that job scripts call.
    """

    def __init__(self, root: Path, runtime: Path):
        self.root = root
        self.runtime = runtime
        root.mkdir(parents=True, exist_ok=True)
        # Environment files hold tokens and are world readable, as on the real plugin; nobody else shall
        # learn the directories' names. Jobs of other accounts (runAsUser) know theirs.
        root.chmod(0o711)
        self._job_ids: dict[str, str] = {}
        for record in root.glob("*/JobID.jid"):
            # The UID is written after the job id: a job without it was cut off in between, and is lost.
            uid = record.parent / "PodUID.uid"
            if uid.exists():
                self._job_ids[uid.read_text()] = record.read_text()

    def directory(self, namespace: str, uid: str) -> Path:
        """Return the directory of a pod's job, whether or not it exists."""
        return self.root / f"{namespace}-{uid}"

    def job_id(self, uid: str) -> str | None:
        """Return the SLURM job id of a pod."""
        return self._job_ids.get(uid)

    def write_scripts(self, create_request: Mapping[str, Any]) -> Path:
        """Write everything a job needs and return the path of `job.slurm`.

        Raises:
            UnsupportedVolume: a volume the plugin refuses.
        """
        pod = create_request["pod"]
        directory = self.directory(pod["metadata"]["namespace"], pod["metadata"]["uid"])
        directory.mkdir(parents=True, exist_ok=True)
        volumes = prepare(create_request, directory)
        volumes.write()
        spec = pod["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            if container.get("env"):
                path = directory / f"{container['name']}_envfile.properties"
                path.write_text(script.env_file(container), encoding="utf-8")
        containers = script.containers_script(pod, str(directory), str(self.runtime), volumes.binds)
        for name, text in (("job.slurm", script.job_script(pod, str(directory))), ("job.sh", containers)):
            (directory / name).write_text(text, encoding="utf-8")
            (directory / name).chmod(0o774)
        run_as_user = (spec.get("securityContext") or {}).get("runAsUser")
        if run_as_user is not None and run_as_user >= 0:
            for path in (directory, directory / "job.slurm", directory / "job.sh"):
                shutil.chown(path, run_as_user)
        return directory / "job.slurm"

    def record(self, namespace: str, uid: str, job_id: str) -> None:
        """Remember the job of a pod."""
        directory = self.directory(namespace, uid)
        (directory / "JobID.jid").write_text(job_id)
        (directory / "PodNamespace.ns").write_text(namespace)
        (directory / "PodUID.uid").write_text(uid)
        self._job_ids[uid] = job_id

    def forget(self, namespace: str, uid: str) -> None:
        """Remove the job's directory, logs included, and its record."""
        self._job_ids.pop(uid, None)
        shutil.rmtree(self.directory(namespace, uid), ignore_errors=True)

    def first_seen(self, namespace: str, uid: str, event: str, *, now: bool) -> str | None:
        """Return the time an event (`StartedAt`, `FinishedAt`) was first seen; with `now`, see it."""
        record = self.directory(namespace, uid) / f"{event}.time"
        if not record.exists():
            if not now or not record.parent.exists():
                return None
            record.write_text(datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
        return record.read_text()

    def written_exit_code(self, namespace: str, uid: str, container: str) -> int | None:
        """Return the exit code a container of the job wrote, None when it wrote none."""
        directory = self.directory(namespace, uid)
        for record in (directory / f"run-{container}.status", directory / f"init-{container}.status"):
            if record.exists() and (text := record.read_text().strip()).isdigit():
                return int(text)
        return None
