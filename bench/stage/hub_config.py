"""Configures the hub of a measurement: sqlite, dummy logins, routes in memory; plain KubeSpawner or RaySTER's.

Environment: BENCH_SPAWNER (plain or rayster), BENCH_PORT, BENCH_FOLDER, BENCH_PROFILES, BENCH_TOKEN.
"""

import os
from pathlib import Path

import yaml
from jupyterhub.proxy import Proxy
from traitlets import default

c = get_config()  # noqa: F821
folder, port, token = (os.environ[f"BENCH_{name}"] for name in ("FOLDER", "PORT", "TOKEN"))
profiles = os.environ["BENCH_PROFILES"]


class RouteTable(Proxy):
    """Knows routes and forwards nothing: a queued server has no route yet, and the bench asks the hub itself."""

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


c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}/"
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{folder}/cookie_secret"
c.JupyterHub.proxy_class = RouteTable
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{"name": "bench", "api_token": token}]
c.JupyterHub.load_roles = [
    {"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers", "list:users"]}
]
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
# Both are allowed to queue as many as they like: the bench measures what a queue costs, not who is refused.
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.active_server_limit = 0

c.KubeSpawner.namespace = "rayster"
c.KubeSpawner.cmd = ["jupyterhub-singleuser"]
c.KubeSpawner.storage_pvc_ensure = False
c.KubeSpawner.start_timeout = 24 * 3600
if os.environ["BENCH_SPAWNER"] == "plain":
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.KubeSpawner.image = "rayster/notebook:0.1.0"
    c.KubeSpawner.profile_list = [
        {"display_name": entry["title"], "slug": entry["name"], "description": entry.get("description", "")}
        for entry in yaml.safe_load(Path(profiles).read_text())["profiles"]
    ]
else:
    from rayster_spawner.form import static_handlers, template_paths

    c.JupyterHub.spawner_class = "rayster"
    c.RaysterSpawner.profiles_file = profiles
    c.JupyterHub.template_paths = template_paths()
    c.JupyterHub.extra_handlers = static_handlers()
