"""The plugin's HTTP side: `/create`, `/delete`, `/status` and `/getLogs` of interLink's plugin contract."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from rayster_testbed.slurm_plugin import logs
from rayster_testbed.slurm_plugin.batch import Batch, BatchError
from rayster_testbed.slurm_plugin.jobs import Jobs
from rayster_testbed.slurm_plugin.status import (
    JobState,
    container_status,
    container_statuses,
    gone_ideal,
    read_as_found,
    read_ideal,
)
from rayster_testbed.slurm_plugin.volumes import UnsupportedVolume

log = logging.getLogger(__name__)

# A ping that reports free cores would make Kubernetes count running jobs twice, so capacity is constant.
DEFAULT_PING = {"status": "ok", "resources": {"cpu": "1000", "memory": "1000Gi", "pods": "1000"}}
_FOLLOW_POLL_SECONDS = 0.5
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass
class Plugin:
    """The plugin's handlers.

    Args:
        jobs: its memory on disk.
        batch: the batch system's commands.
        ideal: answer truthfully instead of as the real plugin does.
        ping: body of the answer to a ping.
    """

    jobs: Jobs
    batch: Batch
    ideal: bool = False
    ping: Mapping[str, Any] | None = None

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/create", self.create)
        app.router.add_post("/delete", self.delete)
        app.router.add_get("/status", self.status)
        app.router.add_get("/getLogs", self.get_logs)
        return app

    async def create(self, request: web.Request) -> web.Response:
        """Write the scripts of a pod and submit them; any word of sbatch on standard error is a 504."""
        body = await _json(request)
        metadata = body["pod"]["metadata"]
        namespace, uid = _known_names(metadata["namespace"], metadata["uid"])
        try:
            job_slurm = self.jobs.write_scripts(body)
            job_id = await self.batch.submit(job_slurm)
        except (BatchError, UnsupportedVolume, OSError, ValueError) as error:
            log.warning("create %s/%s: %s", namespace, metadata["name"], str(error).strip())
            self.jobs.forget(namespace, uid)
            return web.Response(status=504, text=str(error))
        self.jobs.record(namespace, uid, job_id)
        log.info("create %s/%s: job %s", namespace, metadata["name"], job_id)
        return web.json_response({"PodUID": uid, "PodJID": job_id})

    async def delete(self, request: web.Request) -> web.Response:
        """Cancel the job of a pod and remove its directory."""
        metadata = (await _json(request))["metadata"]
        namespace, uid = _known_names(metadata["namespace"], metadata["uid"])
        job_id = self.jobs.job_id(uid)
        if job_id is None and not self.ideal:
            # The real plugin panics here, and its HTTP server drops the connection without an answer.
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        if job_id is not None:
            try:
                await self.batch.cancel(job_id)
            except BatchError as error:
                log.warning("delete job %s: %s", job_id, str(error).strip())
                if not self.ideal:
                    return web.Response(status=500, text=str(error))
        self.jobs.forget(namespace, uid)
        log.info("delete %s/%s: job %s", namespace, metadata["name"], job_id)
        return web.Response(text="All containers for submitted Pods have been deleted")

    async def status(self, request: web.Request) -> web.Response:
        """Answer for each pod of the list what its job does; an empty list is a ping."""
        pods = await _json(request)
        if not pods:
            return web.json_response(DEFAULT_PING if self.ping is None else self.ping)
        try:
            await self.batch.reachable()
            return web.json_response([await self._pod_status(pod) for pod in pods])
        except (BatchError, ValueError) as error:
            return web.Response(status=500, text=f"unable to retrieve job status: {error}")

    async def _pod_status(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        metadata = pod["metadata"]
        namespace, uid = _known_names(metadata["namespace"], metadata["uid"])
        job_id = self.jobs.job_id(uid)
        containers: list[dict[str, Any]]
        if job_id is None:
            containers = [container_status(c["name"], {}) for c in pod["spec"]["containers"]]
        else:
            answer = await self.batch.state(job_id)
            # A job that squeue lists without a line is as forgotten as one it calls invalid.
            if answer.err or not answer.out.strip():
                job = self._forgotten(pod, answer.err)
            else:
                job = (read_ideal if self.ideal else read_as_found)(answer.out)
            containers = container_statuses(
                pod,
                job,
                lambda name: self.jobs.written_exit_code(namespace, uid, name),
                self.jobs.first_seen(namespace, uid, "StartedAt", now=job.kind == "running"),
                self.jobs.first_seen(namespace, uid, "FinishedAt", now=job.kind == "terminated"),
            )
        return {
            "name": metadata["name"],
            "UID": uid,
            "namespace": namespace,
            "JID": (job_id or "") if self.ideal else "",
            "containers": containers,
            "initContainers": None,
        }

    def _forgotten(self, pod: Mapping[str, Any], error: str) -> JobState:
        """Return the state of a job squeue no longer knows.

        Raises:
            ValueError: as found, when a container wrote no exit code: the pod then stays Pending for ever.
        """
        metadata = pod["metadata"]
        namespace, uid = metadata["namespace"], metadata["uid"]
        for container in pod["spec"]["containers"]:
            if self.jobs.written_exit_code(namespace, uid, container["name"]) is None:
                if self.ideal:
                    return gone_ideal()
                raise ValueError(f"{error.strip()}: no status of container {container['name']}")
        return JobState("terminated")

    async def get_logs(self, request: web.Request) -> web.StreamResponse:
        """Send the job's and the container's output; with Follow go on until the container has ended."""
        body = await _json(request)
        namespace, uid = _known_names(body["Namespace"], body["PodUID"])
        container = _known_names(body["ContainerName"])[0]
        options = body.get("Opts") or {}
        directory = self.jobs.directory(namespace, uid)
        path = logs.output_file(directory, container)
        written = logs.read(path)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(logs.select(logs.read(directory / "job.out") + written, options))
        position = len(written)
        while options.get("Follow"):
            # Looked at before reading: what comes in between is read in this round.
            ended = self.jobs.job_id(uid) is None or (directory / f"run-{container}.status").exists()
            more = logs.read(path)[position:]
            position += len(more)
            if more:
                await response.write(more)
            elif ended:
                break
            await asyncio.sleep(_FOLLOW_POLL_SECONDS)
        await response.write_eof()
        return response


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read() or b"null")
    except ValueError as error:
        raise web.HTTPInternalServerError(text=str(error)) from None


def _known_names(*names: str) -> tuple[str, ...]:
    """Return the names unchanged; they become parts of file names, so only Kubernetes' own form passes."""
    for name in names:
        if not _NAME.fullmatch(name) or ".." in name:
            raise web.HTTPBadRequest(text=f"not a Kubernetes name: {name!r}")
    return names
