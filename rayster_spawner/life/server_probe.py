"""Asks whether a Jupyter server of this hub answers at an address, with bounds on time, size and number."""

import asyncio
import json
from weakref import WeakKeyDictionary

import aiohttp

TIMEOUT_SECONDS = 4
MAX_ANSWER_BYTES = 4096
MAX_AT_ONCE = 32

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def server_answers(server_url: str) -> bool:
    """Tell whether a Jupyter server answers under ``server_url``, its base URL with a slash at its end.

    Anybody's process may hold the port, and an address may be the default one, so only a server that knows this very
    base URL and says its version counts (as `JupyterHub` itself asks at the end of a spawn).
    """
    async with _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_AT_ONCE)):
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            # The system's resolver: aiohttp's usual one starts a machinery of its own for each session, and most
            # addresses are numbers anyway.
            connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), force_close=True)
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
                session.get(f"{server_url}api", allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    return False
                return "X-JupyterHub-Version" in answer.headers or _says_version(
                    await answer.content.read(MAX_ANSWER_BYTES)
                )
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError):
            return False


def _says_version(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("version"), str)
