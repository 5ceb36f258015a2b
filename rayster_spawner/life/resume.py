"""Takes a spawn up again in a hub that was restarted in the middle of it.

A restarted hub polls every server that has a row, waits `http_timeout` for it and stops it: a queued job would lose
its place. So the spawner of a spawn that was under way hides that row until the hub has looked
(`JupyterHub.init_spawners`), says that it is pending, and goes on waiting. To the hub it is a spawn like any other:
its page, its progress, its cancellation work. The names of the hub that this leans on are guarded by
tests/spawner/test_leaned_on.py.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

from jupyterhub.spawner import Spawner
from tornado import web

from ..options import OptionsError
from ..profiles import Profile
from .cancellation import cancelled_for_sure
from .spawn_errors import PodUnknown, spawn_failed
from .spawn_life import SpawnLife
from .spawn_mark import read_mark

_LOOK_SECONDS = 0.02
_ASK_AGAIN_SECONDS = 5


class ResumedSpawn(SpawnLife):
    """KubeSpawner whose spawns go on after a restart of the hub."""

    _is_masked = False

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the server of a hub from before, and its spawn if that was under way."""
        super().load_state(state)
        self.mark = read_mark(state.get("spawn"))
        if self.mark is None or self.orm_spawner is None or self.orm_spawner.server is None:
            return
        self._take_up_profile()
        if self._has_old_address():
            # Its deadline is that of a start long ago; a server that is busy for a moment must not end by it.
            patient = max(self.mark.deadline, time.time() + self.answer_timeout)
            self.mark = replace(self.mark, deadline=patient, waiting=True)
        if self.mark.waiting:
            self._is_masked = True
            self._spawn_pending = True
            self._start_future = asyncio.ensure_future(self._resume())
            self._spawn_future = cancelled_for_sure(self._start_future)
            self._spawn_future.add_done_callback(self._resume_ended)

    def _has_old_address(self) -> bool:
        """Tell whether the hub's row has another port than the server was given: it was not written to the end.

        The hub would wait at the wrong address, and then stop a server that runs.
        """
        assert self.mark is not None
        if self.mark.port is None or self.get_pod_url:  # an admin's own addresses may have any port
            return False
        return self.orm_spawner.server.port != self.mark.port

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

    async def _resume(self) -> None:
        while self._check_pending:  # noqa: ASYNC110 - a flag of the hub, until it has looked and left
            await asyncio.sleep(_LOOK_SECONDS)
        self._is_masked = False
        self.log.info("Taking up the spawn of %s again", self._log_name)
        url = await self._url_or_stop()
        # Both calls of the hub stop the server themselves when they fail.
        if url is None:
            await self._spawn_anew()
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

    async def _spawn_anew(self) -> None:
        """Start again from the beginning: there is no place in a queue to keep, and the token of then is not known."""
        assert self.mark is not None
        options = self.mark.options
        self.log.info("%s had no pod yet, spawning it again", self._log_name)
        await self._stop_quietly()
        self._spawn_pending = True
        await self.user.spawn(self.name, options=options)

    async def _publish(self) -> None:
        """Do what the hub does with a server that is up."""
        self.is_up()
        proxy = self.user.settings["proxy"]
        hub_started = getattr(proxy.app, "_start_future", None)
        if hub_started is not None:
            await asyncio.shield(hub_started)
        self._proxy_pending = True
        try:
            await proxy.add_user(self.user, self.name)
        except Exception:
            # The hub adds missing routes again and again; a proxy that is away now is no reason to stop the server.
            self.log.exception("Cannot add the route of %s yet", self._log_name)
        finally:
            self._proxy_pending = False
        self.add_poll_callback(self._stopped_by_itself)
        self.start_polling()
        self.log.info("%s is up after a restart of the hub", self._log_name)

    async def _stopped_by_itself(self) -> None:
        await self.user.settings["proxy"].delete_user(self.user, self.name)
        await self.user.stop(self.name)

    async def _stop_quietly(self) -> None:
        try:
            await self.user.stop(self.name)
        except Exception:
            self.log.exception("Failed to clean up %s", self._log_name)
