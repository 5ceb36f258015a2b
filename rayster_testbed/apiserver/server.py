"""Puts the parts of the API together and listens."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from . import definitions
from .app import App
from .bootstrap import bootstrap, furnish_namespace
from .collector import Collector
from .controllers import Controllers
from .gate import Gate
from .handlers import Handlers
from .identity import AccountTokens, Authenticator, TokenFile
from .journal import Journal
from .kinds import Registry
from .objects import Objects
from .rbac import Authorizer
from .reviews import Reviews
from .roles import bootstrap_roles
from .store import DELETED, Event, Store
from .watches import Watches

log = logging.getLogger(__name__)


async def supervise(run: Callable[[], Awaitable[None]]) -> None:
    """Run a controller; should it fail, say so and run it again."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("a controller failed and is run again")
            await asyncio.sleep(1)


@dataclass(frozen=True)
class Settings:
    """How to run: where to listen, where to keep objects, whom to believe."""

    bind: str
    port: int
    data_dir: Path | None = None
    token_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Server:
    """A running API server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._journal: Journal | None = None
        if settings.data_dir is not None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(settings.data_dir / "objects.sqlite")
        self.store = Store(self._journal)
        self.registry = Registry()
        self.objects = Objects(self.store, self.registry)
        self.watches = Watches(self.store)
        tokens = AccountTokens(self._token_key(), self.objects.lookup)
        authenticator = Authenticator(TokenFile(settings.token_file) if settings.token_file else None, tokens)
        authorizer = Authorizer(self.store)
        handlers = Handlers(self.objects, self.watches, Reviews(authenticator, authorizer), tokens)
        self.app = App(self.registry, handlers, Gate(authenticator, authorizer))
        ca = settings.cert_file.read_text() if settings.cert_file else ""
        self.objects.on_namespace = lambda name: furnish_namespace(self.objects, name, ca)
        bootstrap(self.objects)
        bootstrap_roles(self.objects)
        self._serve_definitions()
        self._collector = Collector(self.objects)
        self._controllers = Controllers(self.objects, tokens)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.ServerRunner | None = None

    def _token_key(self) -> bytes:
        """The key of the service-account tokens; it outlives the process as the objects do."""
        fresh = secrets.token_hex(32)
        if self._journal is None:
            return fresh.encode()
        key = self._journal.meta("token-key", fresh)
        self._journal.set_meta("token-key", key)
        return key.encode()

    def _serve_definitions(self) -> None:
        """Serve the custom resources that are defined, and those that will be."""
        for _, _, record in self.store.records(definitions.STORAGE):
            definitions.serve_definition(self.registry, record.obj)

        def hear(event: Event) -> None:
            if event.storage != definitions.STORAGE:
                return
            spec = event.record.obj["spec"]
            if event.type == DELETED:
                self.registry.discard_custom(spec["group"], spec["names"]["plural"])
                self.watches.close_storage(event.name)
            else:
                definitions.serve_definition(self.registry, event.record.obj)

        self.store.listen(hear)

    async def start(self) -> int:
        """Listen; returns the port."""
        self._tasks = [
            asyncio.create_task(supervise(self._collector.run)),
            asyncio.create_task(supervise(self._controllers.run)),
        ]
        server = web.Server(self.app, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        context = None
        if self.settings.cert_file is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.settings.cert_file, self.settings.key_file)
        site = web.TCPSite(
            self._runner, self.settings.bind, self.settings.port, ssl_context=context, backlog=512
        )
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """End the watches, then everything else."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.watches.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._journal is not None:
            self._journal.close()
