"""The Ray dashboard and Jobs API of a cluster under a path of the service, with the cluster's token added here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from jupyterhub.services.auth import HubOAuth, HubOAuthenticated
from tornado import iostream, web
from yarl import URL

from ..ray.names import is_cluster_id
from ..ray.tokens import cluster_token
from .access import asker_of
from .base import ApiError
from .cluster_handler import ClusterHandler, unknown
from .cluster_objects import Cluster, user_of
from .dashboard_access import make_ticket, opens
from .dashboard_headers import from_head, moved_to, to_head
from .ray_rest import head_address

# What a job brings along (`working_dir`) is sent through here; Ray itself takes 512 MiB.
MAX_BODY_BYTES = 512 * 2**20
_MAX_IGNORED_BYTES = 32 * 2**20
_CONNECT_SECONDS = 5
_SILENT_SECONDS = 120
_WRITE_SECONDS = 60
_READ_ONLY = ("GET", "HEAD", "OPTIONS")
_MAX_PAGE_BYTES = 2**20
# In a page of no origin these throw an error, which no dashboard expects. Nothing is kept.
_SHIM = b"""<script>(() => {
const kept = () => { const m = new Map(); return {getItem: k => m.has(String(k)) ? m.get(String(k)) : null,
setItem: (k, v) => { m.set(String(k), String(v)); }, removeItem: k => { m.delete(String(k)); }, clear: () => m.clear(),
key: i => [...m.keys()][i] ?? null, get length() { return m.size; }}; };
for (const name of ["localStorage", "sessionStorage"])
Object.defineProperty(window, name, {configurable: true, value: kept()});
Object.defineProperty(document, "cookie", {configurable: true, get: () => "", set: () => {}});
})();</script>"""


class Dashboards:
    """What reaches the heads: a client of its own, the key of their tokens, and the login of browsers."""

    def __init__(self, session: aiohttp.ClientSession, key: str, login: HubOAuth | None):
        self.session, self.key, self.login = session, key, login


@web.stream_request_body
class Dashboard(HubOAuthenticated, ClusterHandler):
    """One cluster's dashboard: `dashboard/…` with a JupyterHub token, `dashboard/~ticket/…` in a browser."""

    _parts_of_body: asyncio.Queue[bytes | None] | None = None
    _answer: Callable[[], Coroutine[Any, Any, None]] | None = None
    _asking: asyncio.Task | None = None
    _refusal: web.HTTPError | None = None

    def initialize(self, parts: Any) -> None:
        """Take the parts."""
        super().initialize(parts)
        self.hub_auth = parts.dashboards.login

    def check_xsrf_cookie(self) -> None:
        """Nothing to check: a cookie only gets a navigation its ticket, and a ticket only reads."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks for what; begin to pass a body on, before it is there as a whole."""
        if self.request.connection is not None and hasattr(self.request.connection, "set_max_body_size"):
            self.request.connection.set_max_body_size(MAX_BODY_BYTES)
        try:
            # As it was sent: the arguments are decoded.
            await self._prepare(self.path_args[0], self.request.path.partition("/dashboard/")[2])
        except web.HTTPError as error:
            if int(self.request.headers.get("Content-Length") or 0) > _MAX_IGNORED_BYTES:
                raise
            self._refusal = error

    async def _prepare(self, cluster_id: str, rest: str) -> None:
        self._for_browser, self._prefix = False, self._path_to(cluster_id)
        if self.authorization:
            cluster = self.entered(await self.asker(), cluster_id)
        elif rest.startswith("~"):
            ticket, _, rest = rest[1:].partition("/")
            cluster = self._ticketed(cluster_id, ticket)
            self._for_browser, self._prefix = True, f"{self._prefix}~{ticket}/"
            if self.request.method not in _READ_ONLY:
                raise ApiError(
                    405, "wrong-method", "in a browser the dashboard can only be read; use a token"
                )
        else:
            self._answer = partial(self._admit, cluster_id)
            return
        if self._for_browser and self.request.method == "OPTIONS":
            self._answer = self._answer_preflight
            return
        has_body = self.request.headers.get("Content-Length", "0") != "0"
        if has_body or "Transfer-Encoding" in self.request.headers:
            self._parts_of_body = asyncio.Queue(4)
            self._asking = asyncio.create_task(self._pass_on(cluster, rest))
        else:
            self._answer = partial(self._pass_on, cluster, rest)

    def _path_to(self, cluster_id: str) -> str:
        return f"{self.parts.settings.base_url}api/clusters/{cluster_id}/dashboard/"

    def _ticketed(self, cluster_id: str, ticket: str) -> Cluster:
        self.know_clusters()
        cluster = self.parts.clusters.get(cluster_id)
        if cluster is None or not opens(self.parts.dashboards.key, ticket, cluster["metadata"]["uid"]):
            raise unknown(cluster_id)
        return cluster

    async def _admit(self, cluster_id: str) -> None:
        """Give a browser that has logged in its ticket, and let the others log in."""
        mode = self.request.headers.get("Sec-Fetch-Mode", "navigate")
        if self.request.method not in ("GET", "HEAD") or mode != "navigate" or self.hub_auth is None:
            raise ApiError(
                401, "unauthorized", "a JupyterHub token is needed, or a browser that opens this page"
            )
        model = await self.hub_auth.get_user(self, sync=False)
        if not model:
            self.redirect(self.get_login_url())
            return
        cluster = self.cluster_of(asker_of(model), cluster_id)
        if user_of(cluster) != model["name"]:
            raise unknown(cluster_id)
        ticket = make_ticket(self.parts.dashboards.key, cluster["metadata"]["uid"])
        self.redirect(f"{self._path_to(cluster_id)}~{ticket}/")

    async def _answer_preflight(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.set_header("Access-Control-Allow-Headers", "*")
        self.set_status(204)

    async def data_received(self, chunk: bytes) -> None:  # type: ignore[override]
        """Pass a part of the body on, no faster than the head takes it."""
        queue, asking = self._parts_of_body, self._asking
        if queue is None or asking is None or asking.done():
            return  # the head has answered already, and wants no more
        put = asyncio.ensure_future(queue.put(chunk))
        await asyncio.wait({put, asking}, return_when=asyncio.FIRST_COMPLETED)
        put.cancel()

    async def get(self, cluster_id: str, rest: str) -> None:
        """Wait until all is passed on."""
        # Not before all is read: what is answered earlier ends the connection.
        if self._refusal is not None:
            raise self._refusal
        asking = self._asking
        if asking is None:
            assert self._answer is not None
            asking = self._asking = asyncio.create_task(self._answer())
        elif self._parts_of_body is not None:
            put = asyncio.ensure_future(self._parts_of_body.put(None))
            await asyncio.wait({put, asking}, return_when=asyncio.FIRST_COMPLETED)
            put.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            if not self._is_gone:
                raise

    head = post = put = patch = delete = options = get

    def on_connection_close(self) -> None:
        """Let the head know that nobody waits any more."""
        super().on_connection_close()
        if self._asking is not None:
            self._asking.cancel()

    async def _sent(self) -> AsyncIterator[bytes]:
        assert self._parts_of_body is not None
        while (chunk := await asyncio.wait_for(self._parts_of_body.get(), _SILENT_SECONDS)) is not None:
            yield chunk

    async def _pass_on(self, cluster: Cluster, rest: str) -> None:
        name = cluster["metadata"]["name"]
        head = head_address(cluster, self.parts.clusters.pods_of(name))
        if head is None:
            raise ApiError(409, "not-ready", "Its head is not up yet.")
        query = urlsplit(self.request.uri or "").query
        url = URL(f"http://{head[1]}/{rest}{'?' + query if query else ''}", encoded=True)
        dashboards = self.parts.dashboards
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS)
        headers = to_head(self.request.headers.get_all(), cluster_token(dashboards.key, name))
        is_page = self._for_browser and rest in ("", "index.html")
        if is_page:
            headers["Accept-Encoding"] = "identity"  # it is written into
        try:
            async with dashboards.session.request(
                self.request.method or "GET",
                url,
                headers=headers,
                data=self._sent() if self._parts_of_body is not None else None,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                self._begin(answer)
                if is_page and answer.status == 200:
                    await self._write_page(answer)
                else:
                    await self._write_all(answer)
        except iostream.StreamClosedError:
            return
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            if self._headers_written:
                # Half an answer must not look like a whole one.
                self.request.connection.stream.close()  # type: ignore[union-attr]
                return
            said = str(error) or type(error).__name__
            raise ApiError(502, "head-silent", f"The cluster's head does not answer: {said}") from None

    def _begin(self, answer: aiohttp.ClientResponse) -> None:
        self.clear()
        for header in ("Server", "Date"):
            self.clear_header(header)
        self.set_status(answer.status, answer.reason or None)
        self.clear_header("Content-Type")
        for name, value in from_head(answer.headers, for_browser=self._for_browser).items():
            self.set_header(name, value)
        if (location := answer.headers.get("Location")) and 300 <= answer.status < 400:
            moved = moved_to(location, self._prefix)
            if moved is None:
                raise ApiError(502, "head-wrong", "The cluster's head sends elsewhere.")
            self.set_header("Location", moved)

    async def _write_page(self, answer: aiohttp.ClientResponse) -> None:
        page = await answer.content.read(_MAX_PAGE_BYTES)
        at = page.lower().find(b"<head>")
        if at >= 0 and "html" in answer.headers.get("Content-Type", ""):
            page = page[: at + 6] + _SHIM + page[at + 6 :]
        for header in ("Content-Length", "Etag", "Last-Modified", "Accept-Ranges"):
            self.clear_header(header)
        self.write(page)

    async def _write_all(self, answer: aiohttp.ClientResponse) -> None:
        if self.request.method == "HEAD":
            return
        async for chunk in answer.content.iter_chunked(2**16):
            if self._is_gone:
                return
            self.write(chunk)
            await asyncio.wait_for(self.flush(), _WRITE_SECONDS)


class DashboardRoot(ClusterHandler):
    """The dashboard without the slash, from which its pages would look for themselves in the wrong place."""

    def get(self, cluster_id: str) -> None:
        """Send to the right path."""
        if not is_cluster_id(cluster_id):
            raise unknown(cluster_id)
        self.redirect(f"{self.parts.settings.base_url}api/clusters/{cluster_id}/dashboard/")


ROUTES: list[tuple[str, type[ClusterHandler]]] = [
    (r"api/clusters/([^/]+)/dashboard", DashboardRoot),
    (r"api/clusters/([^/]+)/dashboard/(.*)", Dashboard),
]
