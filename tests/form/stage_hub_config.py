"""Configures a real JupyterHub that shows the form's pages; its servers do what a test writes into a file.

Environment: STAGE_PORT, STAGE_FOLDER. Who logs in decides which profiles are open: `nobody`, `one`, `many`, else five.
A server `name` of `user` reads progress events, one JSON object a line, from STAGE_FOLDER/user[-name].events; an event
with `end` ends the start: `{"end": "ready"}` or `{"end": "failed", "message": "..."}`.

For a user `live-...` there is a service, too. It streams the JSON lines of STAGE_FOLDER/user.sites and
STAGE_FOLDER/user[-name].server; a line `{"drop": true}` breaks the connection, `{"raw": "..."}` is sent as it is,
`{"status": 401}` is all that is answered until another status is told. STAGE_FOLDER/user.form.json has the form's
first `statuses` and `notes`, STAGE_FOLDER/user[-name].end.json how the server has ended.
"""

import asyncio
import json
import os
from pathlib import Path

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from tornado import web
from tornado.iostream import StreamClosedError
from traitlets import default

from rayster_spawner import form
from rayster_spawner.options import FieldError, OptionsError, parse_options
from rayster_spawner.profile_files import load_profiles
from rayster_spawner.profiles import Access, ProfileSet
from rayster_spawner.site_facts import SiteState, SiteStatus

PORT = int(os.environ["STAGE_PORT"])
FOLDER = Path(os.environ["STAGE_FOLDER"])
SHIPPED = load_profiles(Path(__file__).parents[2] / "helm-values/profiles.yaml")


def _profiles(user):
    shipped = [profile.model_copy(update={"access": Access()}) for profile in SHIPPED.profiles]
    if user == "nobody":
        return []
    if user == "one":
        return shipped[:1]
    if user == "many":
        long = "A profile of a site whose name is long"
        return [
            profile.model_copy(
                update={"name": f"{profile.name}-{n}", "title": f"{long}, number {n}: {profile.title}"}
            )
            for n in range(3)
            for profile in shipped[:4]
        ]
    return shipped


class StageProxy(Proxy):
    """Knows routes and forwards nothing: tests talk to the hub itself."""

    @default("should_start")
    def _never_started(self):
        return False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


class StartFailed(Exception):
    """A start that failed, with the reason as the hub shows it."""

    def __init__(self, message):
        super().__init__(message)
        self.jupyterhub_message = message


def told(name):
    """Return the JSON lines that a test has written into a file so far."""
    file = FOLDER / name
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


class StageService(web.RequestHandler):
    """Streams what a test has told, as the service does: whoever has the ticket of a page hears of that page."""

    def initialize(self, event):
        self.event = event

    async def get(self):
        scheme, _, page = self.request.headers.get("Authorization", "").partition(" ")
        file = f"{page if self.event == 'server' else page.split('/')[0]}.{self.event}".replace("/", "-")
        shown = max((n + 1 for n, line in enumerate(told(file)) if "drop" in line), default=0)
        status = [200, *(line["status"] for line in told(file) if "status" in line)][-1]
        if scheme != "Ticket" or not page or status != 200:
            self.set_status(status if page else 401)
            return
        self.set_header("Content-Type", "text/event-stream")
        try:
            await self.flush()
            while True:
                for line in told(file)[shown:]:
                    shown += 1
                    if "drop" in line or line.get("status", 200) != 200:
                        return
                    self.write(line.get("raw") or f"event: {self.event}\ndata: {json.dumps(line)}\n\n")
                    await self.flush()
                await asyncio.sleep(0.05)
        except StreamClosedError:
            return


class StageSpawner(Spawner):
    """A server that waits for what a test tells it."""

    errors = ()
    listener = None

    @property
    def profiles(self):
        return _profiles(self.user.name)

    @property
    def file_name(self):
        return "-".join(filter(None, (self.user.name, self.name)))

    def events(self):
        return told(f"{self.file_name}.events")

    def live_page(self):
        if not self.user.name.startswith("live-"):
            return None
        return form.LivePage("/hub/stage-service", "/".join(filter(None, (self.user.name, self.name))))

    def last_end_view(self):
        ends = told(f"{self.file_name}.end.json")
        return form.EndView(**ends[-1]) if ends else None

    def statuses(self):
        first = next(iter(told(f"{self.user.name}.form.json")), {})
        return {
            name: SiteStatus(**{**status, "state": SiteState(status["state"])})
            for name, status in first.get("statuses", {}).items()
        }

    def notes(self):
        return next(iter(told(f"{self.user.name}.form.json")), {}).get("notes", {})

    def options_form(self, _spawner):
        # The hub asks the user's default server for the form, also when another one was refused.
        errors, StageSpawner.errors = StageSpawner.errors, ()
        chosen = self.rejected if errors else getattr(self, "linked", None) or self.user_options
        return form.render_form(
            self.profiles,
            chosen=chosen,
            errors=errors,
            statuses=self.statuses(),
            notes=self.notes(),
            live=self.live_page(),
        )

    def options_from_form(self, formdata):
        options = form.options_from_form(formdata)
        try:
            profile, _ = parse_options(options, ProfileSet(profiles=self.profiles))
            status = self.statuses().get(profile.name)
            is_away = status is not None and status.state is SiteState.UNREACHABLE
            if is_away and not form.said_anyway(formdata, profile.name):
                reason = "its site does not answer: tick the box to queue anyway"
                raise OptionsError([FieldError("profile", profile.name, reason)])
        except OptionsError as refused:
            StageSpawner.errors, StageSpawner.rejected = refused.errors, options
            raise
        return options

    def options_from_query(self, query):
        self.linked = form.options_from_query(query)
        raise ValueError("a link starts nothing")

    def pending_view(self):
        profile, options = parse_options(self.user_options, ProfileSet(profiles=self.profiles))
        return form.pending_view(profile, options, self.orm_spawner.started)

    async def start(self):
        while not (ends := [event for event in self.events() if "end" in event]):
            await asyncio.sleep(0.05)
        if ends[0]["end"] == "failed":
            raise StartFailed(ends[0]["message"])
        self.listener = await asyncio.start_server(_answer, "127.0.0.1", 0)
        return self.listener.sockets[0].getsockname()

    async def progress(self):
        shown = 0
        while True:
            events = [event for event in self.events() if "end" not in event]
            for event in events[shown:]:
                yield event
            shown = len(events)
            await asyncio.sleep(0.05)

    async def stop(self, now=False):
        if self.listener:
            self.listener.close()
            self.listener = None

    async def poll(self):
        return None if self.listener else 0


async def _answer(_reader, writer):
    """Stand for a server that is up."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT}/hub/"
c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT}/"
c.JupyterHub.proxy_class = StageProxy
c.JupyterHub.spawner_class = StageSpawner
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret_file = str(FOLDER / "cookie_secret")
c.JupyterHub.template_paths = form.template_paths()
c.JupyterHub.extra_handlers = [
    *form.static_handlers(),
    (r"/stage-service/api/sites/events", StageService, {"event": "sites"}),
    (r"/stage-service/api/server/events", StageService, {"event": "server"}),
]
c.JupyterHub.tornado_settings = {
    "slow_spawn_timeout": 0,
    "headers": {
        # What an admin may ask for at most: the hub's own pages need inline script, RaySTER's add nothing to it.
        "Content-Security-Policy": "frame-ancestors 'none'; default-src 'self'; script-src 'self' 'unsafe-inline'; "
        "style-src 'self'; img-src 'self' data:; font-src 'self' data:",
    },
}
c.Spawner.start_timeout = 3600
c.Spawner.default_url = "/lab"
