"""Configures the real JupyterHub of these tests: RaysterSpawner, sqlite, dummy logins, no proxy process.

Environment: HUB_ADDRESS, HUB_FOLDER, HUB_PROFILES, HUB_SETTINGS (JSON: class name to traits), HUB_POINTS (JSON:
where it can be made to die).
"""

import importlib
import inspect
import json
import os
from pathlib import Path

from jupyterhub.proxy import Proxy
from traitlets import default

from rayster_spawner.form import static_handlers, template_paths


class RouteTable(Proxy):
    """Knows routes and forwards nothing: the tests talk to the hub and to servers themselves."""

    routes: dict = {}

    @default("should_start")
    def _never_started(self):
        return False

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


def make_deadly(point, armed):
    """Let this process end, as SIGKILL ends it, at a call of a method: "before module:Class.method", or "after".

    Only while the file ``armed`` names the point.
    """
    when, path = point.split()
    module, _, name = path.partition(":")
    owner_name, _, method = name.partition(".")
    owner = getattr(importlib.import_module(module), owner_name)
    original = getattr(owner, method)

    def die(moment):
        if moment == when and armed.exists() and armed.read_text() == point:
            os._exit(137)

    async def finish(result):
        value = await result
        die("after")
        return value

    def deadly(*args, **kwargs):
        die("before")
        result = original(*args, **kwargs)
        if inspect.isawaitable(result):
            return finish(result)
        die("after")
        return result

    setattr(owner, method, deadly)


c = get_config()  # noqa: F821
address, folder = os.environ["HUB_ADDRESS"], os.environ["HUB_FOLDER"]
for point in json.loads(os.environ.get("HUB_POINTS", "[]")):
    make_deadly(point, Path(folder, "dies-at"))

c.JupyterHub.bind_url = f"http://{address}/"
c.JupyterHub.hub_bind_url = f"http://{address}/"
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{folder}/cookie_secret"
c.JupyterHub.proxy_class = RouteTable
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "rayster"
c.JupyterHub.template_paths = template_paths()
c.JupyterHub.extra_handlers = static_handlers()
c.JupyterHub.allow_named_servers = True
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0, "slow_stop_timeout": 5}
c.JupyterHub.load_groups = {"physics": {"users": ["ada"]}}
c.JupyterHub.services = [{"name": "tests", "api_token": "tests-token-0123456789"}]
c.JupyterHub.load_roles = [
    {
        "name": "tests",
        "services": ["tests"],
        "scopes": ["admin:users", "admin:servers", "admin:server_state", "tokens", "list:users"],
    }
]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"boss"}
c.DummyAuthenticator.password = "let me in"
c.RaysterSpawner.profiles_file = os.environ["HUB_PROFILES"]
c.RaysterSpawner.namespace = "rayster"
c.RaysterSpawner.cmd = ["jupyterhub-singleuser"]
c.RaysterSpawner.http_timeout = 10
c.RaysterSpawner.storage_pvc_ensure = False
for name, traits in json.loads(os.environ.get("HUB_SETTINGS", "{}")).items():
    for trait, value in traits.items():
        setattr(c[name], trait, value)
