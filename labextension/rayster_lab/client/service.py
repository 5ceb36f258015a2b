"""The service's REST interface: bounded in time and size, errors as sentences, retries where they can do no harm."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from .access import Access
from .answers import error_of, retry_after
from .errors import ClusterError, ServiceAway

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_MAX_ANSWER_BYTES = 32 * 2**20
# Pauses before the second, third and fourth try.
_PAUSES_SECONDS = (0.3, 1.0, 2.5)
# Done twice they are as good as done once.
_IDEMPOTENT = ("GET", "DELETE")

Query = Mapping[str, str | int | bool]


class Service:
    """The service as one user sees it; may be used by several threads.

    ``transport`` and ``sleep`` are for tests.
    """

    def __init__(
        self,
        access: Access,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.access = access
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=f"{access.url}/api/",
            headers={"Authorization": f"token {access.token}", "User-Agent": "rayster-lab"},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            # A redirect would carry the token away.
            follow_redirects=False,
            limits=httpx.Limits(max_connections=50),
            transport=transport,
        )

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Return the JSON object at ``path``. Raises ClusterError, as all methods do."""
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send ``body``; never twice, unless it has certainly not arrived."""
        return self._ask("POST", path, body or {})

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change something."""
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> dict[str, Any]:
        """Delete something."""
        return self._ask("DELETE", path)

    @contextmanager
    def open(
        self, path: str, query: Query | None = None, silence_seconds: float | None = _ANSWER_SECONDS
    ) -> Iterator[httpx.Response]:
        """Yield an answer that comes bit by bit. Raises ClusterError; httpx.HTTPError when it breaks off.

        ``silence_seconds`` is how long nothing may come; None: for ever.
        """
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, read=silence_seconds)
        try:
            stream = self._http.stream("GET", path, params=_text(query), timeout=timeout)
            with stream as answer:
                if answer.status_code != 200:
                    raise error_of(answer.status_code, _body(answer), answer.headers, self.access.url)
                yield answer
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise away(self.access.url, error) from None

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Query | None = None
    ) -> dict[str, Any]:
        for pause in (*_PAUSES_SECONDS, None):
            try:
                with self._http.stream(method, path, json=body, params=_text(query)) as answer:
                    text = _body(answer)
            except httpx.TransportError as error:
                is_harmless = method in _IDEMPOTENT or isinstance(
                    error, (httpx.ConnectError, httpx.ConnectTimeout)
                )
                if pause is None or not is_harmless:
                    raise away(self.access.url, error, has_arrived=not is_harmless) from None
                self._sleep(pause)
                continue
            wait = retry_after(answer.status_code, answer.headers) if method in _IDEMPOTENT else None
            if wait is None or pause is None:
                return self._object(answer, text)
            self._sleep(max(pause, wait))
        raise AssertionError("the last try has returned or raised")

    def _object(self, answer: httpx.Response, text: bytes) -> dict[str, Any]:
        if answer.status_code >= 300:
            raise error_of(answer.status_code, text, answer.headers, self.access.url)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise error_of(0, text, answer.headers, self.access.url)
        return value


def away(url: str, error: Exception, has_arrived: bool = False) -> ClusterError:
    """Return what to say when the service does not answer; ``has_arrived``: it may have done what it was asked."""
    said = f"RaySTER's service at {url} does not answer ({error or type(error).__name__})."
    if has_arrived:
        return ServiceAway(f"{said} It may have done what it was asked: look at `RayCluster.list()`.")
    return ServiceAway(f"{said} Clusters that run go on; try again in a minute.")


def _text(query: Query | None) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (query or {}).items()
    }


def _body(answer: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise httpx.ReadError(f"the answer has more than {_MAX_ANSWER_BYTES // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)
