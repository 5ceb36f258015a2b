"""Takes a spawn up again in a hub that was restarted in the middle of it.

A restarted hub polls every server that has a row, waits `http_timeout` for it and stops it: a queued job would lose
its place. So the spawner of a spawn that was under way hides that row until the hub has looked
(`JupyterHub.init_spawners`), says that it is pending, and goes on waiting. To the hub it is a spawn like any other:
its page, its progress, its cancellation work. The names of the hub that this leans on are guarded by
tests/spawner/test_leaned_on.py.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_path_join
from tornado import web

from ..options import OptionsError
from ..profiles import Profile
from .cancellation import cancelled_for_sure
from .pod_address import pod_host
from .spawn_errors import PodUnknown, spawn_failed
from .spawn_life import SpawnLife
from .spawn_mark import SpawnMark, read_mark

_ASKED = "asked"  # in the saved state, until the mark is there
_LOOK_SECONDS = 0.02
_ASK_AGAIN_SECONDS = 5


class ResumedSpawn(SpawnLife):
    """KubeSpawner whose spawns, and stops, go on after a restart of the hub."""

    _is_masked = False
    # The saved mark of a spawn that is begun again.
    _accepted: SpawnMark | None = None
    _stop_future: asyncio.Future | None = None

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the server of a hub from before, and its spawn or its stop if that was under way."""
        super().load_state(state)
        if self.orm_spawner is None or self.orm_spawner.server is None:
            return
        saved = read_mark(state.get("spawn"))
        self.mark = saved or self._mark_of_request(state.get(_ASKED))
        if self.mark is None:
            return
        self._take_up_profile()
        if self.mark.stopping:
            self._stop_pending = True
            self._stop_future = self._begin(self._finish_stop())
        elif self.mark.waiting:
            self._spawn_pending = True
            self._start_future = self._begin(self._resume(saved))
            self._spawn_future = cancelled_for_sure(self._start_future)
            self._spawn_future.add_done_callback(self._resume_ended)

    def clear_state(self) -> None:
        """Forget the spawn. At the beginning of one, write down first of all what was asked for.

        The hub may have answered its user before the options are taken, for which an authenticator is waited for.
        """
        super().clear_state()
        row = self.orm_spawner
        if row is not None and row.server is not None and self._accepted is None and not self._stop_pending:
            row.state = {**self.get_state(), _ASKED: self.user_options}
            self.user.db.commit()

    def _mark_of_request(self, asked: Any) -> SpawnMark | None:
        """Return a mark for a server that the hub was killed over before it had one."""
        if not isinstance(asked, dict):
            return None
        return SpawnMark(time.time(), time.time() + self.start_timeout, asked)

    def _begin(self, what: Coroutine[Any, Any, None]) -> asyncio.Task:
        self._is_masked = True
        return asyncio.ensure_future(what)

    def _take_up_profile(self) -> None:
        """Apply the profile of a server from before, as far as it is still offered."""
        assert self.mark is not None
        try:
            self.profile, self.options = self.parse(self.mark.options)
        except (OptionsError, web.HTTPError) as error:
            # The server is somebody's work: that the profile is closed to its user by now ends nothing.
            self.log.warning("The options of %s are not offered any more: %s", self._log_name, error)
            self.profile = self._profile_by_name(self.mark.options.get("profile"))
        if self.profile is not None:
            self.overrides.set(**self.profile_traits())
        if self.mark.port is not None:
            self.overrides.set(port=self.mark.port)

    def _profile_by_name(self, name: Any) -> Profile | None:
        try:
            return self.current_profiles().get(name) if isinstance(name, str) else None
        except web.HTTPError:
            return None

    @property
    def server(self) -> Any:
        """The hub's `Server`, or None while a restarted hub must not look at it."""
        return None if self._is_masked else Spawner.server.fget(self)

    @server.setter
    def server(self, value: Any) -> None:
        Spawner.server.fset(self, value)

    async def get_url(self) -> str:
        """Return where the server is, for a restarted hub that looks whether it is there, and stops it if not.

        While no hub looked it may have got another address than the one in the database.
        """
        try:
            pod = await self._own_pod()
            if pod is not None and pod_host(pod) is not None:
                return url_path_join(self._get_pod_url(pod), self.server.base_url)
        except Exception as error:
            # Nobody catches it at the hub's start.
            self.log.warning("The address of %s is the one from before: %s", self._log_name, error)
        return self.server.url

    async def _unmask(self) -> None:
        """Let the hub see the server when it has looked and left."""
        while self._check_pending:  # noqa: ASYNC110 - a flag of the hub
            await asyncio.sleep(_LOOK_SECONDS)
        self._is_masked = False

    async def _finish_stop(self) -> None:
        await self._unmask()
        self.log.info("Finishing the stop of %s", self._log_name)
        await self._hub_has_started()
        try:
            await self.user.settings["proxy"].delete_user(self.user, self.name)
        except Exception:
            # The hub removes old routes again and again; they lead nowhere.
            self.log.exception("Cannot remove the route of %s yet", self._log_name)
        await self._stop_quietly()
        self._stop_future = None

    async def _resume(self, saved: SpawnMark | None) -> None:
        await self._unmask()
        self.log.info("Taking up the spawn of %s again", self._log_name)
        url = await self._url_or_stop()
        # Both calls of the hub stop the server themselves when they fail.
        if url is None:
            await self._spawn_anew(saved)
        else:
            self.take_url(url)
            self._waiting_for_response = True
            await self.user._wait_up(self)
        await self._publish()

    async def _url_or_stop(self) -> str | None:
        """Return the server's URL when it is up, or None when there is no pod to wait for yet.

        On failure the server is stopped, and the error says why to its user.
        """
        try:
            if self.user.name in self.authenticator.blocked_users:
                raise spawn_failed(f"{self.user.name} is blocked.", reason="blocked", counted=False)
            return None if await self._was_never_created() else await self._wait_in_queue()
        except Exception as error:
            self.log.error("%s did not start: %s", self._log_name, error)
            self.remember_failure(error)
            await self._stop_quietly()
            raise

    def _resume_ended(self, future: asyncio.Future) -> None:
        self._is_masked = self._is_waiting = self._spawn_pending = False
        error = None if future.cancelled() else future.exception()
        if error is None:
            # As after the hub's own spawn: an exception is kept for the page that says why.
            self._spawn_future = None
        else:
            self.remember_failure(error)

    async def _was_never_created(self) -> bool:
        """Tell whether the hub ended before it had created the pod."""
        assert self.mark is not None
        while not self.mark.created:
            try:
                return not self.is_ours(await self.read_pod())
            except PodUnknown as error:
                if time.time() > self.mark.deadline:
                    raise
                self.log.warning("Cannot take %s up yet: %s", self._log_name, error)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        return False

    async def _spawn_anew(self, accepted: SpawnMark | None) -> None:
        """Start again from the beginning: there is no place in a queue to keep, and the token of then is not known.

        `User.spawn` changes the row's old `Server` for a new one in one commit, and the saved mark stays until
        `take_options` writes the next one. So the server is counted, and would be taken up again, at any moment.
        """
        assert self.mark is not None
        self.log.info("%s had no pod yet, spawning it again", self._log_name)
        self._accepted = accepted
        try:
            await self.user.spawn(self.name, options=self.mark.options)
        finally:
            self._accepted = None

    def requested_at(self) -> float:
        """Return when the server was asked for, also when it is started again."""
        return self._accepted.requested_at if self._accepted else super().requested_at()

    def check_limits(self, profile: Profile) -> None:
        """Refuse a server of ``profile`` when there are as many as there may be, but no server that was accepted."""
        if self._accepted is None:
            super().check_limits(profile)

    async def _publish(self) -> None:
        """Do what the hub does with a server that is up."""
        self.is_up()
        await self._hub_has_started()
        self._proxy_pending = True
        try:
            await self.user.settings["proxy"].add_user(self.user, self.name)
        except Exception:
            # The hub adds missing routes again and again; a proxy that is away now is no reason to stop the server.
            self.log.exception("Cannot add the route of %s yet", self._log_name)
        finally:
            self._proxy_pending = False
        self.add_poll_callback(self._stopped_by_itself)
        self.start_polling()
        self.log.info("%s is up after a restart of the hub", self._log_name)

    async def _hub_has_started(self) -> None:
        """Wait until the hub has its proxy."""
        started = getattr(self.user.settings["proxy"].app, "_start_future", None)
        if started is not None:
            await asyncio.shield(started)

    async def _stopped_by_itself(self) -> None:
        await self.user.settings["proxy"].delete_user(self.user, self.name)
        await self.user.stop(self.name)

    async def _stop_quietly(self) -> None:
        try:
            await self.user.stop(self.name)
        except Exception:
            self.log.exception("Failed to clean up %s", self._log_name)
