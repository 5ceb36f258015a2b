"""Startup, readiness and liveness probes (`httpGet`, `tcpSocket`, `exec`) of one running container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import aiohttp

from rayster_testbed.kubelet.command import Process

# Called with (probe kind, message) for each failure, and whether the failure threshold is reached with it.
OnFailure = Callable[[str, str, bool], None]


class ProbeFailure(Exception):
    """One probe did not succeed; the text is what the kubelet's `Unhealthy` event says after the colon."""


async def run_handler(
    handler: Mapping, pod_ip: str, container: Mapping, process: Process, timeout_seconds: float
) -> None:
    """Run one probe or lifecycle handler.

    Args:
        handler: an object with `httpGet`, `tcpSocket` or `exec`.
        pod_ip: where to connect unless the handler names a host.
        container: for named ports.
        process: what the container runs, for the environment and directory of `exec`.
        timeout_seconds: the bound for the whole of it.
    Raises: ProbeFailure.
    """
    try:
        if get := handler.get("httpGet"):
            work = _http_get(get, pod_ip, container)
        elif socket := handler.get("tcpSocket"):
            work = _tcp_connect(socket.get("host") or pod_ip, _port(socket["port"], container))
        elif command := (handler.get("exec") or {}).get("command"):
            work = _execute(command, process)
        else:
            raise ProbeFailure("missing probe handler")
        await asyncio.wait_for(work, timeout_seconds)
    except asyncio.TimeoutError as error:
        raise ProbeFailure(f"timed out after {timeout_seconds:g}s") from error
    except (OSError, aiohttp.ClientError) as error:
        raise ProbeFailure(str(error) or type(error).__name__) from error


async def _http_get(get: Mapping, pod_ip: str, container: Mapping) -> None:
    host, port = get.get("host") or pod_ip, _port(get["port"], container)
    url = f"{(get.get('scheme') or 'HTTP').lower()}://{host}:{port}{get.get('path') or '/'}"
    headers = {h["name"]: h["value"] for h in get.get("httpHeaders") or []} | {"Connection": "close"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, ssl=False, allow_redirects=False) as response,
    ):
        if not 200 <= response.status < 400:
            raise ProbeFailure(f"HTTP probe failed with statuscode: {response.status}")


async def _tcp_connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()


async def _execute(command: Sequence[str], process: Process) -> None:
    child = await asyncio.create_subprocess_exec(
        *command,
        env=process.env,
        cwd=process.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if child.returncode:
        raise ProbeFailure(output.decode(errors="replace")[:1024] or f"exit status {child.returncode}")


def _port(port: int | str, container: Mapping) -> int:
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return declared["containerPort"]
    raise ProbeFailure(f"couldn't find port {port!r}")


class Prober:
    """Probes one run of a container until it is closed; `started` and `ready` are what its status says."""

    def __init__(
        self,
        pod_ip: str,
        container: Mapping,
        process: Process,
        on_change: Callable[[], None],
        on_failure: OnFailure,
    ) -> None:
        self.started = not container.get("startupProbe")
        self._passed_readiness = not container.get("readinessProbe")
        self._pod_ip = pod_ip
        self._container = container
        self._process = process
        self._on_change = on_change
        self._on_failure = on_failure
        self._task = asyncio.ensure_future(self._run())

    @property
    def ready(self) -> bool:
        return self.started and self._passed_readiness

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        if startup := self._container.get("startupProbe"):
            if not await self._until_started(startup):
                return
            self.started = True
            self._on_change()
        loops = []
        if readiness := self._container.get("readinessProbe"):
            loops.append(self._watch_readiness(readiness))
        if liveness := self._container.get("livenessProbe"):
            loops.append(self._watch_liveness(liveness))
        await asyncio.gather(*loops)

    async def _until_started(self, probe: Mapping) -> bool:
        failures = 0
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        while failures < (probe.get("failureThreshold") or 3):
            if await self._once("Startup", probe, failures + 1):
                return True
            failures += 1
            await asyncio.sleep(probe.get("periodSeconds") or 10)
        return False

    async def _watch_readiness(self, probe: Mapping) -> None:
        failures = successes = 0
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        while True:
            if await self._once("Readiness", probe, failures + 1):
                failures, successes = 0, successes + 1
                if not self._passed_readiness and successes >= (probe.get("successThreshold") or 1):
                    self._passed_readiness = True
                    self._on_change()
            else:
                failures, successes = failures + 1, 0
                if self._passed_readiness and failures >= (probe.get("failureThreshold") or 3):
                    self._passed_readiness = False
                    self._on_change()
            await asyncio.sleep(probe.get("periodSeconds") or 10)

    async def _watch_liveness(self, probe: Mapping) -> None:
        failures = 0
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        while failures < (probe.get("failureThreshold") or 3):
            failures = 0 if await self._once("Liveness", probe, failures + 1) else failures + 1
            await asyncio.sleep(probe.get("periodSeconds") or 10)

    async def _once(self, kind: str, probe: Mapping, failures: int) -> bool:
        try:
            await run_handler(
                probe, self._pod_ip, self._container, self._process, probe.get("timeoutSeconds") or 1
            )
        except ProbeFailure as failure:
            self._on_failure(kind, str(failure), failures >= (probe.get("failureThreshold") or 3))
            return False
        return True
