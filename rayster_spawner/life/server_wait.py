"""Waits for a server that may queue for hours, and believes the server itself before what its pod says."""

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.utils import url_path_join
from traitlets import Integer

from .belief import Belief
from .endings import EndCode
from .last_end import EndMemory
from .pod_address import notebook_port, pod_host
from .pod_status import Pod, State
from .server_probe import server_answers
from .spawn_errors import PodUnknown, server_ended, spawn_failed
from .wait_clocks import Patience, Wait

# A running server may be too busy to answer for a while; this long in silence, after its pod said that it is over,
# and it is believed to be.
SILENCE_SECONDS = 90
# The site knows better than the pod why a job has ended; it is waited for this long: an agent's look and ours.
WORD_SECONDS = 45


class ServerWait(EndMemory):
    """KubeSpawner that waits natively and after a restart in the same way, and polls with the same eyes."""

    answer_timeout = Integer(
        900,
        min=1,
        config=True,
        help="""
        Timeout (in seconds) for the server of a virtual node to answer after its job was seen running.

        It covers pulling the image and starting JupyterLab at the site. `http_timeout` begins only when the server
        has answered once, so it can stay short.
        """,
    )

    boot_timeout = Integer(
        600,
        min=1,
        config=True,
        help="""
        Timeout (in seconds) for the server of a virtual node to answer although its pod says *Succeeded*.

        interLink says so of a SLURM job whose nodes are still booting (state CF).
        """,
    )

    _silent_since: float | None = None
    _spawn_future: Any

    def is_pod_running(self, pod: Pod | None) -> bool:
        """Tell whether ``pod`` says that its server runs. Gaps in its status mean no."""
        return self.view(pod).state is State.RUNNING

    def _get_pod_url(self, pod: Pod) -> str:
        """Return the server's URL without its path, also for a pod whose status has gaps or a host name."""
        if self.get_pod_url:
            return self.get_pod_url(self, pod)
        behind_name = self.internal_ssl or self.services_enabled
        host = self.dns_name if behind_name else (pod_host(pod) or "")
        if self.pod_connect_ip:
            host = ".".join(
                self._expand_user_properties(part) if "{" in part else part
                for part in self.pod_connect_ip.split(".")
            )
        return f"{'https' if self.internal_ssl else 'http'}://{host}:{notebook_port(pod) or self.port}"

    async def answers(self, pod: Pod | None) -> bool:
        """Tell whether the server of ``pod`` answers at its address. No answer proves nothing."""
        if pod is None or self.server is None or self.internal_ssl:
            return False
        # An admin's `get_pod_url` may not expect a pod without an address either.
        if pod_host(pod) is None and not self.pod_connect_ip:
            return False
        return await server_answers(url_path_join(self._get_pod_url(pod), self.server.base_url, "/"))

    async def wait_for_server(self, spawn_began: float, deadline: float) -> str:
        """Return the server's URL once it is up.

        Arguments: times are seconds since the epoch. Raises the error that its user reads when the server is lost or
        the deadline has passed; an API server that is away is no reason to give a place in a queue up.
        """
        wait = Wait(Patience(self.answer_timeout, self.boot_timeout), spawn_began)
        while True:
            is_soon = False
            try:
                pod = await self._own_pod()
            except PodUnknown as error:
                if wait.may_warn():
                    self.log.warning("Waiting for %s without news: %s", self._log_name, error)
            else:
                belief = self.believe(pod)
                is_soon = wait.is_soon(belief)
                if pod is None or belief.view.state is State.DELETED:
                    raise self._lost(pod)
                if await self._is_up(pod, belief, wait):
                    return self._get_pod_url(pod)
                if reason := wait.why_hopeless(belief):
                    raise self._failure(reason, "server-failed", belief.view.end)
            if time.time() > deadline:
                raise self._failure(self._too_late(spawn_began, deadline), "timeout")
            await asyncio.sleep(max(0.0, min(wait.look_seconds(is_soon), deadline - time.time())))

    async def _own_pod(self) -> Pod | None:
        """Return the pod of the present spawn, None when it is gone or another's. Raises PodUnknown."""
        pod = await self.find_pod()
        if pod is not None and not self.is_ours(pod):
            pod = await self.read_pod()
        return pod if self.is_ours(pod) else None

    async def _is_up(self, pod: Pod, belief: Belief, wait: Wait) -> bool:
        if not self.is_offloaded or self.internal_ssl:
            return self.view(pod).state is State.RUNNING
        return wait.may_ask(belief) and await self.answers(pod)

    async def poll(self) -> int | None:
        """Return None while the server runs or nothing is known, else its exit code (1 when nobody tells).

        Only what the API server and the site themselves say counts as stopped: a pod that is gone, one that is over
        and whose server has been silent for a while, or a job that is over. A server that answers runs.
        """
        if not self._may_have_pod:
            return 1
        try:
            # A stop asks the API server itself: it must not wait for a watch that is just being started.
            pod = await (self.read_pod() if self._stop_pending else self.find_pod())
        except PodUnknown as error:
            self.log.warning("Cannot tell whether %s runs: %s", self._log_name, error)
            return None
        if pod is None and self._may_appear and self._stop_pending:
            return None
        if pod is None:
            self._tell_end(
                EndCode.DELETED, "The server's pod is gone: somebody deleted it, or its node was lost."
            )
            return 1
        belief = self.believe(pod)
        view = belief.view
        if view.is_over and not await self._lives_on(pod, belief):
            self._tell_end(view.end or EndCode.FAILED, view.reason)
            if self.delete_stopped_pods:
                await self.stop(now=True)
            return view.exit_code if view.exit_code is not None else 1
        if view.state is State.RUNNING:
            self._follow_address(pod)
        return None

    def _tell_end(self, end: EndCode, why: str) -> None:
        """Remember why a server ended by itself, and let its page say so where it says why one could not start.

        The hub forgets a spawner that it stops, unless its last spawn has failed.
        """
        if self.server is None or self._spawn_future is not None or self._stop_pending:
            return
        if self.orm_spawner is not None and not self.orm_spawner.server.ip:
            return  # a hub was killed before it had begun to start it
        self.remember_end(end, why)
        if end is EndCode.COMPLETED:
            return  # as its user wished, who shut it down
        self._spawn_future = asyncio.get_running_loop().create_future()
        self._spawn_future.set_exception(server_ended(why))
        self._spawn_future.exception()  # asyncio complains of one that nobody has looked at

    async def _lives_on(self, pod: Pod, belief: Belief) -> bool:
        """Tell whether a server may still run although its pod or its site says that it is over."""
        if not self.is_offloaded:
            return False
        if await self.answers(pod):
            self._silent_since = None
            return True
        if belief.told:
            return False
        patience_seconds = SILENCE_SECONDS
        if belief.view.state is State.FAILED:
            patience_seconds = WORD_SECONDS if self.site_tells(pod) else 0
        self._silent_since = self._silent_since or time.monotonic()
        return time.monotonic() - self._silent_since < patience_seconds

    def _follow_address(self, pod: Pod) -> None:
        """Write a changed address into the hub's database, as KubeSpawner does."""
        server = self.server
        if server is None or pod_host(pod) is None:
            return
        url = self._get_pod_url(pod)
        if _parts(url) != (server.proto, server.ip, server.port):
            self.log.warning("Server %s moved to %s", self._log_name, url)
            self.take_url(url)

    def take_url(self, url: str) -> None:
        """Write the address into the hub's database.

        At once: the hub rolls back at the end of any request what nobody has committed, and the `Server` object would
        go on as if its row had the address.
        """
        server = self.server
        server.proto, server.ip, server.port = _parts(url)
        self.user.db.commit()

    def _lost(self, pod: Pod | None) -> Exception:
        said = self.view(pod).reason if pod is not None else ""
        return self._failure(
            f"The server's pod was deleted before it was up{f' ({said})' if said else ''}.",
            "pod-deleted",
            EndCode.DELETED,
        )

    def _too_late(self, spawn_began: float, deadline: float) -> str:
        pod = self.pod_reflector.pods.get(self.pod_key) if self.pod_reflector else None
        view = self.believe(pod).view
        why = f": {view.reason.rstrip('.')}" if view.reason else ""
        return (
            f"The server was not up {round(deadline - spawn_began)} seconds after it was asked for; it was still "
            f"{view.state.value}{why}."
        )

    def _failure(self, message: str, reason: str, end: EndCode | None = None) -> Any:
        return spawn_failed(message, reason=reason, counted=not self.is_offloaded, end=_end_of_wait(end))


def _end_of_wait(end: EndCode | None) -> EndCode:
    """Return how a server ended that was not up yet: what a running one would have *failed* or *completed* by."""
    return EndCode.START_FAILED if end in (None, EndCode.FAILED, EndCode.COMPLETED) else end


def _parts(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
