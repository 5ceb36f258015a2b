"""Who asks: a page by its ticket, a user or service by a JupyterHub token, a site's agent by the site's token."""

import asyncio
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from logging import Logger
from typing import Any

from jupyterhub.services.auth import HubAuth, check_scopes
from tornado import web

from ..agent_client import AgentFailed, read_token
from ..profiles import ProfileSet
from ..tickets import SCHEME, PageView, read_ticket
from .settings import Settings

HUB_ANSWER_SECONDS = 10
# Who may start and stop everybody's servers may do so with the clusters that belong to them. On both lines of the hub
# the scope with a filter (`!user=ada`) is another text, and the token of an administrator's server has neither.
ADMIN_SCOPE = "admin:servers"
# Who may enter everybody's servers may run code in their clusters, too.
ENTER_SCOPE = "access:servers"


@dataclass(frozen=True)
class Asker:
    """Somebody with a JupyterHub token. ``name`` is None for a service, also if it is called like a user."""

    name: str | None
    groups: frozenset[str] = frozenset()
    is_admin: bool = False
    enters_all: bool = False

    def may_touch(self, owner: str | None) -> bool:
        """Tell whether clusters of ``owner`` are this one's to see and to change."""
        return self.is_admin or (self.name is not None and self.name == owner)

    def may_enter(self, owner: str | None) -> bool:
        """Tell whether this one may run code in clusters of ``owner``."""
        return self.enters_all or (self.name is not None and self.name == owner)


class Access:
    """Reads the `Authorization` header of requests."""

    def __init__(self, settings: Settings, log: Logger):
        self._key, self._log = settings.token, log
        self._scopes = {f"access:services!service={settings.service_name}", "access:services"}
        self._hub = (
            HubAuth(api_url=settings.hub_api_url, api_token=self._key) if settings.hub_api_url else None
        )

    def page(self, header: str) -> PageView | None:
        """Return what a page may look at, by its ticket; None when the header holds no good one."""
        scheme, _, text = header.partition(" ")
        if scheme.lower() != SCHEME.lower() or not self._key:
            return None
        return read_ticket(self._key, text.strip())

    async def viewer(self, header: str, profiles: ProfileSet) -> PageView:
        """Return what a page or a JupyterHub user may look at. Raises HTTPError 401, 403 or 503."""
        if (view := self.page(header)) is not None:
            return view
        model = await self._hub_model(header)
        name = model["name"]
        allowed = profiles.allowed(name, frozenset(model.get("groups") or ()))
        return PageView(name, None, tuple(profile.name for profile in allowed))

    async def asker(self, header: str) -> Asker:
        """Return whose JupyterHub token a request has. Raises HTTPError 401, 403 or 503."""
        return asker_of(await self._hub_model(header))

    async def _hub_model(self, header: str) -> dict[str, Any]:
        model = await self._hub_user(_bearer(header, "token", "bearer"))
        if not check_scopes(self._scopes, set(model.get("scopes") or ())):
            raise web.HTTPError(403, "this token is not for this service")
        return model

    async def _hub_user(self, token: str | None) -> dict[str, Any]:
        if token is None:
            raise web.HTTPError(401, "a ticket of one of the hub's pages, or a JupyterHub token, is needed")
        if self._hub is None:
            raise web.HTTPError(401, "only tickets are good here: this service has no hub to ask")
        try:
            asked = self._hub.user_for_token(token, use_cache=False, sync=False)
            model = await asyncio.wait_for(asked, HUB_ANSWER_SECONDS)
        except (web.HTTPError, asyncio.TimeoutError) as error:
            self._log.warning("The hub does not say whose a token is: %s", error or "no answer")
            raise web.HTTPError(503, "the hub does not answer; a ticket would do without it") from None
        if not model or not isinstance(model.get("name"), str):
            raise web.HTTPError(401, "the hub does not know this token")
        return model

    def sites(self, header: str, profiles: ProfileSet) -> list[str]:
        """Return the sites whose token an agent has (one, unless sites share it). Raises HTTPError 401."""
        given = (_bearer(header, "bearer") or "").encode()
        mine = [name for name, token in self._site_tokens(profiles) if hmac.compare_digest(token, given)]
        if not given or not mine:
            raise web.HTTPError(401, "the token of a site is needed")
        return mine

    def _site_tokens(self, profiles: ProfileSet) -> Iterable[tuple[str, bytes]]:
        for name, site in profiles.sites.items():
            try:
                yield name, read_token(site.agent).encode()
            except AgentFailed:
                continue  # the background look has said so


def asker_of(model: dict[str, Any]) -> Asker:
    """Return who is meant by the hub's ``model`` of a user or of a service."""
    return Asker(
        model["name"] if model.get("kind", "user") == "user" else None,
        frozenset(model.get("groups") or ()),
        ADMIN_SCOPE in set(model.get("scopes") or ()),
        ENTER_SCOPE in set(model.get("scopes") or ()),
    )


def _bearer(header: str, *schemes: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() in schemes else None
