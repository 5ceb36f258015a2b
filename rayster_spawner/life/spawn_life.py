"""A spawn's life in the hub that began it: written down before its pod exists, and cleaned up at its end.

The names of the hub that this leans on are guarded by tests/spawner/test_leaned_on.py.
"""

import asyncio
import time
from abc import abstractmethod
from dataclasses import replace
from typing import Any

from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future, url_escape_path, url_path_join, utcnow
from tornado import web

from .cancellation import cancelled_for_sure
from .failure_count import FailureCount
from .server_wait import ServerWait
from .spawn_errors import PodUnknown, end_of_spawn, spawn_failed
from .spawn_mark import SpawnMark
from .trait_overrides import TraitOverrides


class _Queued(str):
    """Equal to "spawn" everywhere, but `UserDict.count_active_users` (``counts[pending + "_pending"]``) files it apart.

    So servers in a site's queue do not use up `JupyterHub.concurrent_spawn_limit`.
    """

    def __add__(self, other: str) -> str:
        return "queued" + other


class SpawnLife(ServerWait):
    """KubeSpawner that saves what a restarted hub needs before it creates the pod, and leaks nothing of a spawn."""

    mark: SpawnMark | None = None
    _is_creating = False
    _is_waiting = False
    _began_at = 0.0
    _count: FailureCount | None = None
    _told_failure: BaseException | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        self.overrides = TraitOverrides(self)
        super().__init__(*args, **kwargs)

    @property
    def spawn_id(self) -> str | None:
        """The id of the present spawn, also written on its pod."""
        return self.mark.spawn_id if self.mark else None

    @property
    def is_offloaded(self) -> bool:
        """Whether the present server belongs on a virtual node."""
        if self.profile is None:
            return self.mark is not None and self.mark.offloaded
        return self.profile.is_offloaded

    @abstractmethod
    def profile_traits(self) -> dict[str, Any]:
        """Return the traits that the present profile sets for one spawn."""

    def get_state(self) -> dict[str, Any]:
        """Add what a restarted hub needs of the spawn."""
        state = super().get_state()
        if self.mark is not None:
            state["spawn"] = self.mark.as_state()
        return state

    def clear_state(self) -> None:
        """Forget the spawn, and put back everything that it changed."""
        super().clear_state()
        self.mark = self.profile = self.options = None
        self._is_creating = self._is_waiting = self._may_have_pod = self._may_appear = False
        self._silent_since = None
        self.overrides.undo()

    def save_mark(self, **changes: Any) -> None:
        """Change the mark and write it to the hub's database."""
        if self.mark is None:
            return
        self.mark = replace(self.mark, **changes)
        self.save_state()

    @property
    def pending(self) -> str | None:
        """What is pending, as the hub says it; a server in a site's queue is pending apart from the others."""
        pending = Spawner.pending.fget(self)
        if pending == "spawn" and self._is_waiting and self.is_offloaded:
            return _Queued(pending)
        return pending

    def take_options(self) -> None:
        """Begin the spawn, or refuse it: the first thing of ours in `User.spawn`, and again after the admin's hooks."""
        self._follow_spawn()
        try:
            super().take_options()
        except web.HTTPError:
            self._forgive()
            raise
        if self.is_offloaded:
            self._forgive()
        assert self.options is not None
        self.overrides.undo()
        self.overrides.set(**self.profile_traits())
        is_new = self.mark is None
        if is_new:
            self._began_at = time.time()
        # A little before the hub gives up, because the hub cannot say why.
        deadline = self._began_at + max(self.start_timeout - 1, 0.9 * self.start_timeout)
        chosen: dict[str, Any] = {"options": self.options.as_json(), "offloaded": self.is_offloaded}
        if self.mark is None:
            self.mark = SpawnMark(self.requested_at(), deadline, token_id=self._token_id(), **chosen)
        self.save_mark(deadline=deadline, **chosen)
        if is_new and self.mark.token_id is not None:
            # A hub that was killed in the beginning of this spawn has left one.
            self.revoke_tokens(keep=self.mark.token_id)

    def requested_at(self) -> float:
        """Return when the server that is about to be started was asked for, in seconds since the epoch."""
        return time.time()

    def _token_id(self) -> int | None:
        token = orm.APIToken.find(self.user.db, self.api_token) if self.api_token else None
        return token.id if token is not None else None

    async def run_pre_spawn_hook(self) -> None:
        """Run the admin's hook, then apply the profile: the hub reads `start_timeout` right after this."""
        await maybe_future(super().run_pre_spawn_hook())
        await self.load_user_options()

    def start(self) -> asyncio.Future:
        """Start the server. Cancelling what this returns ends it at once, and with it the wait."""
        return cancelled_for_sure(super().start())

    async def _start(self) -> str:
        try:
            return await self._start_and_wait()
        except Exception as error:
            # Before the hub clears the server's row: one that is killed then has told it already.
            self.remember_failure(error)
            raise

    async def _start_and_wait(self) -> str:
        try:
            await self.watch_or_fail()
        except PodUnknown as error:
            self.log.error("Cannot start %s: %s", self._log_name, error)
            message = "The cluster does not answer at the moment. Please try again later."
            raise spawn_failed(message, reason="cluster-away", counted=True) from error
        self._is_creating = True
        try:
            await super()._start()
        finally:
            self._is_creating = False
        return await self._wait_in_queue()

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        done = await super()._make_create_pod_request(pod, request_timeout)
        if done:
            self.save_mark(created=True)
        return done

    def is_pod_running(self, pod: Any) -> bool:
        """Tell whether ``pod`` runs, or, while KubeSpawner creates it, whether it exists.

        KubeSpawner's own wait sees neither a failed nor a deleted pod; `wait_for_server` does.
        """
        return pod is not None if self._is_creating else super().is_pod_running(pod)

    def _get_pod_url(self, pod: Any) -> str:
        # A pod that was only just created has no address yet, and an admin's `get_pod_url` may not expect that.
        return "" if self._is_creating else super()._get_pod_url(pod)

    async def _wait_in_queue(self) -> str:
        """Return the server's URL when it is up. From here on the wait uses up no place of other users' spawns."""
        assert self.mark is not None
        self._is_waiting = True
        try:
            url = await self.wait_for_server(self.mark.requested_at, self.mark.deadline)
        finally:
            self._is_waiting = False
        self._count_from_now()
        return url

    def _count_from_now(self) -> None:
        """Count `started` and activity from here, once: the queue is neither age nor idleness (the culler's fields)."""
        if self.mark is None or self.mark.ran_at is not None:
            return
        now = utcnow(with_tz=False)
        self.orm_spawner.started = self.orm_spawner.last_activity = self.user.last_activity = now
        self.save_mark(ran_at=time.time())

    def _follow_spawn(self) -> None:
        """Hear of the end of the hub's spawn, after the hub has."""
        future = self._spawn_future
        if future is None or self.handler is None or (self._count and self._count.future is future):
            return
        self._count = FailureCount(self, future)
        future.add_done_callback(self._spawn_ended)

    def _spawn_ended(self, future: asyncio.Future) -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is None:
            self.is_up()
        else:
            self.remember_failure(error)

    def is_up(self) -> None:
        """Write down that the hub has the server up."""
        self.forget_end()
        self.save_mark(waiting=False)

    def remember_failure(self, error: BaseException) -> None:
        """Remember why a server did not start, once."""
        ended = end_of_spawn(error)
        if ended is not None and error is not self._told_failure:
            self._told_failure = error
            self.remember_end(*ended)

    def _forgive(self) -> None:
        if self._count is not None:
            self._count.forgive()

    async def stop(self, now: bool = False) -> None:
        """Delete the pod. What the hub asks for is written down first, so that another hub can finish it."""
        if self._stop_pending:
            self.save_mark(stopping=True)
        await super().stop(now)

    def revoke_tokens(self, keep: int | None = None) -> None:
        """Revoke the tokens of this server but for the row ``keep``: `User.stop` knows only those of its own hub.

        By the row that the mark names, and by the note that the hub gives them: a hub that was killed between the
        token and the mark has left one without any trace.
        """
        marked = self.mark.token_id if self.mark else None
        note = f"Server at {url_path_join(self.user.base_url, url_escape_path(self.name), '/')}"
        for token in list(self.user.orm_user.api_tokens):
            if token.id != keep and (token.id == marked or token.note == note):
                self.user.db.delete(token)
        self.user.db.commit()

    async def run_post_stop_hook(self) -> None:
        """Revoke the server's tokens, and forget an old end."""
        self.revoke_tokens()
        if self.mark is not None and (self.last_end is None or self.last_end.spawn_id != self.spawn_id):
            # It did not end by itself, and what was said of the one before it is of no use any more.
            self.forget_end()
        await maybe_future(super().run_post_stop_hook())
