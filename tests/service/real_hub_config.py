"""A hub with the service's role, whose servers never come up. Environment: PORT, STATE, SERVICE_TOKEN, ADMIN_TOKEN."""

import os
import sys

from jupyterhub.proxy import Proxy
from traitlets import default


class NoProxy(Proxy):
    """Nothing is forwarded: the tests ask the hub itself."""

    @default("should_start")
    def _never_started(self):
        return False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {}


c = get_config()  # noqa: F821

port = int(os.environ["PORT"])
c.JupyterHub.hub_port = port
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.db_url = f"sqlite:///{os.environ['STATE']}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{os.environ['STATE']}/cookie_secret"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.allow_named_servers = True
# Ends with the hub, which the tests end without stopping its servers.
c.Spawner.cmd = [
    sys.executable,
    "-c",
    "import os, time\nhub = os.getppid()\nwhile os.getppid() == hub: time.sleep(1)",
]
c.Spawner.start_timeout = c.Spawner.http_timeout = 600
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.load_groups = {"physics": {"users": ["ada"]}}
c.JupyterHub.services = [
    {"name": "rayster", "api_token": os.environ["SERVICE_TOKEN"], "url": "http://127.0.0.1:9"},
    {"name": "tests", "api_token": os.environ["ADMIN_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {"name": "rayster", "services": ["rayster"], "scopes": ["list:users", "read:servers"]},
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]},
    {"name": "user", "scopes": ["self", "access:services!service=rayster"]},
]
