"""Asks the hub's REST API which servers it has; an answer that is not whole is none."""

import asyncio
from typing import Any

import aiohttp

from .pod_cache import ServerName

_PAGE = 200
_ANSWER_SECONDS = 30
_MAX_PAGES = 1000
# Without it the hub answers with a bare list, which may end at the hub's own limit without saying so.
_PAGINATION = "application/jupyterhub-pagination+json"


class HubUnknown(Exception):
    """The hub did not say which servers it has; the text says why."""


async def active_servers(session: aiohttp.ClientSession, api_url: str, token: str) -> set[ServerName]:
    """Return all servers of all users that run, start or stop. Raises HubUnknown.

    Needs the scopes `list:users` and `read:servers`.
    """
    found: set[ServerName] = set()
    offset: int | None = 0
    for _ in range(_MAX_PAGES):
        page = await _ask(session, f"{api_url.rstrip('/')}/users", token, offset)
        try:
            for user in page["items"]:
                if "servers" not in user:
                    raise HubUnknown(
                        "the hub does not tell servers; the service needs the scope read:servers"
                    )
                found |= {ServerName(user["name"], name) for name in user["servers"]}
            follows = page["_pagination"]["next"]
            offset = follows["offset"] if follows else None
        except (KeyError, TypeError, AttributeError) as error:
            raise HubUnknown(f"the hub's answer cannot be understood: {error!r}") from None
        if offset is None:
            return found
    raise HubUnknown(f"the hub's answer has more than {_MAX_PAGES} pages")


async def _ask(session: aiohttp.ClientSession, url: str, token: str, offset: int | None) -> Any:
    headers = {"Authorization": f"token {token}", "Accept": _PAGINATION}
    query = {"state": "active", "offset": str(offset), "limit": str(_PAGE)}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    try:
        async with session.get(
            url, headers=headers, params=query, timeout=timeout, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise HubUnknown(f"the hub answers HTTP {answer.status}")
            return await answer.json(content_type=None)
    except asyncio.TimeoutError:
        raise HubUnknown("the hub does not answer") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise HubUnknown(f"the hub cannot be asked: {error or type(error).__name__}") from None
