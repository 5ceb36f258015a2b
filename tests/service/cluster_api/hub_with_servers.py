"""The project's own configuration with servers that only write their token down. Environment: PORT, STATE, ADMIN_TOKEN.

Beside it what the configuration itself reads (RAYSTER_…).
"""

import os
import sys
from pathlib import Path

from jupyterhub.proxy import Proxy
from traitlets import default

c = get_config()  # noqa: F821

source = Path(__file__).parents[3] / "jupyterhub_config.py"
exec(compile(source.read_text(), str(source), "exec"), {"c": c, "__file__": str(source)})


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


WRITE_TOKEN = (
    "import os, pathlib, time;"
    "file = pathlib.Path(os.environ['STATE'], 'token-of-' + os.environ['JUPYTERHUB_USER']);"
    "draft = file.with_suffix('.draft');"
    "draft.write_text(os.environ['JUPYTERHUB_API_TOKEN']); draft.rename(file);"
    "time.sleep(600)"
)

port = int(os.environ["PORT"])
c.JupyterHub.hub_port = port
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "null"
c.Authenticator.admin_users = {"root"}
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = [sys.executable, "-c", WRITE_TOKEN]
c.Spawner.environment = {"STATE": os.environ["STATE"]}
c.Spawner.start_timeout = c.Spawner.http_timeout = 600
c.JupyterHub.load_groups = {"physics": {"users": ["ada"]}}
c.JupyterHub.services = [
    *c.JupyterHub.services,
    {"name": "tests", "api_token": os.environ["ADMIN_TOKEN"]},
]
c.JupyterHub.load_roles = [
    *c.JupyterHub.load_roles,
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]},
]
