"""Configures JupyterHub for RaySTER from one profiles file: on one machine, and in a zero-to-jupyterhub cluster.

In a cluster the hub image has this file in /usr/local/etc/jupyterhub/jupyterhub_config.d/ and nothing is to be set:
the chart does the rest and the profiles are those under `custom.rayster` of the release's values.

Elsewhere these environment variables are read:

RAYSTER_PROFILES_FILE       a profiles file, or a Helm values file with profiles under `custom.rayster` (required)
RAYSTER_NAMESPACE           Kubernetes namespace of the servers (default: rayster)
RAYSTER_HUB_STATE_DIR       directory of the database and the cookie secret (default: the current one)
RAYSTER_HUB_PORT            port of the hub itself on 127.0.0.1, for proxy and servers (default: 8081)
RAYSTER_PUBLIC_URL          what users open (default: http://127.0.0.1:8000)
RAYSTER_PROXY_API_URL       API of a proxy that runs on its own; its token is CONFIGPROXY_AUTH_TOKEN
                            (default: the hub starts a proxy)
RAYSTER_SERVICE_URL         where the service `rayster` runs (python -m rayster_spawner.service); without it pages show
                            what the hub itself knows. Its token is in RAYSTER_SERVICE_TOKEN_FILE, or is
                            RAYSTER_SERVICE_TOKEN
RAYSTER_CULL_SECONDS        stops servers that nobody has used for so long (default: none is stopped)
RAYSTER_DEMO_PASSWORD_FILE  makes everybody of RAYSTER_DEMO_USERS log in with the password in this file
RAYSTER_DEMO_USERS          JSON: each user's groups, such as {"ada": ["padova"], "bruno": []}
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

from jupyterhub import version_info

from rayster_spawner.form import static_handlers, template_paths
from rayster_spawner.profile_files import ProfilesError, load_profiles

# JupyterHub and the chart both run this file with their configuration object in `c`.
c = c  # noqa: F821

# The chart mounts the whole values of the release here.
CHART_VALUES = "/usr/local/etc/jupyterhub/secret/values.yaml"
# The name of the service in `c.JupyterHub.services`, or in `hub.services` of the chart's values.
SERVICE = "rayster"


def checked_profiles(file):
    """Return ``file`` when its profiles are good; otherwise say every mistake and do not start the hub."""
    try:
        load_profiles(file)
    except ProfilesError as error:
        print(f"The hub does not start: its profiles cannot be used.\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
    return file


def configure_rayster(profiles_file):
    """Set what RaySTER needs of the hub wherever it runs."""
    c.JupyterHub.spawner_class = "rayster"
    c.RaysterSpawner.profiles_file = checked_profiles(profiles_file)
    # Added to what the chart's values have set; an admin's own template of a page comes before ours.
    c.JupyterHub.template_paths = [*c.JupyterHub.get("template_paths", ()), *template_paths()]
    c.JupyterHub.extra_handlers = [*c.JupyterHub.get("extra_handlers", ()), *static_handlers()]

    # One server per site: a cloud server while another one queues. Without it a queued server blocks its user.
    c.JupyterHub.allow_named_servers = True

    # A restarted hub takes running and queued servers up again; cleaning up would cancel jobs.
    c.JupyterHub.cleanup_servers = False

    # Counts spawns that are being started. A server that waits in a batch queue is not counted (the spawner files it
    # apart), so the limit still protects the hub from a storm of logins, and a full queue does not lock out the cloud.
    c.JupyterHub.concurrent_spawn_limit = 64

    # So many failures in a row end the hub, for Kubernetes to start a fresh one. Neither refusals nor failures of
    # batch sites count, the spawner sees to it on both lines of the hub: a closed site must not restart it.
    c.Spawner.consecutive_failure_limit = 5

    # How long a server may take to answer when its pod runs. JupyterLab is imported meanwhile, which on a busy node
    # takes longer than the hub's 30 s. (Servers at sites have answered once before this time begins.)
    c.Spawner.http_timeout = 90

    # A queued server counts as active, so a total would let a full queue lock out the cloud. Profiles have limits.
    c.JupyterHub.active_server_limit = 0

    # To the pending page at once: it shows the queue, the login page would only hang.
    c.JupyterHub.tornado_settings = {**c.JupyterHub.get("tornado_settings", {}), "slow_spawn_timeout": 0}


def configure_service():
    """Join hub and service where there is one: its rights in the hub, the users' way to it, the pages' use of it."""
    service = next((spec for spec in c.JupyterHub.get("services", ()) if spec.get("name") == SERVICE), None)
    if service is None:
        return
    # It is no page of its own, for a menu or for a question whether one trusts it: it speaks to RaySTER's pages.
    service.setdefault("display", False)
    service.setdefault("oauth_no_confirm", True)
    # A hub of line 6 that starts while the service is away would wait 30 s for it before it lets queued servers go on;
    # line 5 always waits 1 s. The route is there in either case.
    if version_info >= (6,):
        service.setdefault("timeout", 1)
    c.JupyterHub.load_roles = [
        *c.JupyterHub.get("load_roles", ()),
        # To see which servers there are, so that it can sweep pods that are nobody's. It changes nothing in the hub.
        {"name": "rayster-service", "services": [SERVICE], "scopes": ["list:users", "read:servers"]},
    ]
    let_users_open(SERVICE)
    let_servers_ask(SERVICE)
    path = f"{c.JupyterHub.get('base_url', '/').rstrip('/')}/services/{SERVICE}"
    c.RaysterSpawner.service_url = path
    c.RaysterSpawner.service_token = service["api_token"]
    c.KubeSpawner.environment = {
        **c.Spawner.get("environment", {}),
        **c.KubeSpawner.get("environment", {}),
        "RAYSTER_SERVICE_URL": lambda spawner: seen_from(spawner, service.get("url") or "") + path,
    }


def seen_from(spawner, service_address):
    """Return where a server finds the service: at the hub's public address if its site needs that, else directly."""
    profile = getattr(spawner, "profile", None)
    public = profile.hub_url if profile is not None else None
    return (public or service_address).rstrip("/")


def let_users_open(service):
    """Add the right to use a service to what every user may do, in the way of the hub's line."""
    scope = f"access:services!service={service}"
    roles = c.JupyterHub.load_roles
    role = next((role for role in roles if role["name"] == "user" and "scopes" in role), None)
    if role is not None:  # the admin's own, which is all that counts
        role["scopes"] = [*role["scopes"], scope]
    elif version_info >= (6,):
        c.JupyterHub.extra_user_scopes = {*c.JupyterHub.get("extra_user_scopes", ()), scope}
    else:
        roles.append({"name": "user", "scopes": ["self", scope]})


def let_servers_ask(service):
    """Let a server's own token be good for the service, which makes Ray clusters for it; else it is as it was.

    The hub tells the service whose a token is, and their groups, whatever its scopes are.
    """
    role = next((role for role in c.JupyterHub.load_roles if role["name"] == "server"), {})
    scopes = role.get("scopes", ["users:activity!user", "access:servers!server"])
    # The admin's own list counts, wherever it is: the section of the more special class comes first.
    sections = (c.RaysterSpawner, c.KubeSpawner, c.Spawner)
    section = next((section for section in sections if "server_token_scopes" in section), c.Spawner)
    scopes = section.get("server_token_scopes", scopes)
    scope = f"access:services!service={service}"
    if callable(scopes):
        section.server_token_scopes = lambda spawner: [*scopes(spawner), scope]
    else:
        section.server_token_scopes = [*scopes, scope]


def add_service(url):
    """Tell the hub of a service that runs on its own at ``url``."""
    file = os.environ.get("RAYSTER_SERVICE_TOKEN_FILE")
    token = Path(file).read_text().strip() if file else os.environ.get("RAYSTER_SERVICE_TOKEN", "")
    if not token:
        print("The hub does not start: RAYSTER_SERVICE_URL is set, its token is not.", file=sys.stderr)
        raise SystemExit(1)
    c.JupyterHub.services = [
        *c.JupyterHub.get("services", ()),
        {"name": SERVICE, "url": url, "api_token": token},
    ]


def configure_culler(seconds):
    """Stop servers that were not used for so long; what the chart does by its own `cull`."""
    every = max(1, min(600, int(seconds) // 4))
    command = [
        sys.executable,
        "-m",
        "jupyterhub_idle_culler",
        f"--timeout={int(seconds)}",
        f"--cull-every={every}",
    ]
    c.JupyterHub.services = [*c.JupyterHub.get("services", ()), {"name": "idle-culler", "command": command}]
    c.JupyterHub.load_roles = [
        *c.JupyterHub.get("load_roles", ()),
        # It asks for ready servers only, and those count from the moment in which they were: hours in a queue are not
        # idle. The spawner sees to it. No maximum age: the walltime is one.
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        },
    ]


def configure_machine():
    """Set what the chart would set: addresses, database, proxy, namespace."""
    state = Path(os.environ.get("RAYSTER_HUB_STATE_DIR", ".")).absolute()
    state.mkdir(parents=True, exist_ok=True)
    c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")

    hub_url = f"http://127.0.0.1:{os.environ.get('RAYSTER_HUB_PORT', '8081')}"
    c.JupyterHub.hub_bind_url = hub_url
    c.JupyterHub.bind_url = os.environ.get("RAYSTER_PUBLIC_URL", "http://127.0.0.1:8000")

    if "RAYSTER_PROXY_API_URL" in os.environ:
        c.ConfigurableHTTPProxy.api_url = os.environ["RAYSTER_PROXY_API_URL"]
        c.ConfigurableHTTPProxy.should_start = False
        # It keeps its routes while the hub is away, so that users go on working.
        c.JupyterHub.cleanup_proxy = False
        # A proxy that was restarted knows no servers: the hub looks this often and adds what is missing. Its default
        # of 5 min would keep everybody out for as long; the chart has 60 s. The hub's own redirects last for 14 s.
        c.JupyterHub.last_activity_interval = 10

    c.KubeSpawner.namespace = os.environ.get("RAYSTER_NAMESPACE", "rayster")
    c.KubeSpawner.cmd = ["jupyterhub-singleuser"]
    # How soon a server that has ended by itself is seen to have. It costs nobody a request: what pods and sites say is
    # followed anyway. The hub's 30 s are for thousands of servers.
    c.KubeSpawner.poll_interval = 10
    # The home directory of cloud servers, as the chart makes it: a claim per user, kept.
    c.KubeSpawner.storage_pvc_ensure = True
    c.KubeSpawner.storage_capacity = "10Gi"
    c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
    c.KubeSpawner.volumes = {
        "home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    }
    c.KubeSpawner.volume_mounts = {"home": {"name": "home", "mountPath": "/home/jovyan"}}


def configure_demo_users(password_file, users):
    """Let the demo's users in with the one password, each in their groups."""
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = Path(password_file).read_text().strip()
    c.Authenticator.allowed_users = set(users)
    groups = sorted({group for names in users.values() for group in names})
    c.JupyterHub.load_groups = {
        group: {"users": sorted(user for user, names in users.items() if group in names)} for group in groups
    }
    # No image changes the user here: in a container or in CI the servers are root's, too.
    if os.getuid() == 0:
        c.KubeSpawner.args = ["--allow-root"]
    c.KubeSpawner.modify_pod_hook = listen_on_pod_address


def listen_on_pod_address(spawner, pod):
    """Let a cloud server listen on its pod's own address: on one machine all pods share one set of ports."""
    if spawner.profile.is_offloaded:  # has a port of its own
        return pod
    notebook = next(container for container in pod.spec.containers if container.name == "notebook")
    for variable in notebook.env:
        if variable.name == "JUPYTERHUB_SERVICE_URL":
            variable.value = variable.value.replace("//0.0.0.0:", "//$(RAYSTER_POD_ADDRESS):")
    address = {"name": "RAYSTER_POD_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    notebook.env.insert(0, address)
    return pod


if importlib.util.find_spec("z2jh"):
    configure_rayster(CHART_VALUES)
    configure_service()
else:
    if "RAYSTER_PROFILES_FILE" not in os.environ:
        print("The hub does not start: RAYSTER_PROFILES_FILE is not set.", file=sys.stderr)
        raise SystemExit(1)
    configure_rayster(os.environ["RAYSTER_PROFILES_FILE"])
    configure_machine()
    if "RAYSTER_SERVICE_URL" in os.environ:
        add_service(os.environ["RAYSTER_SERVICE_URL"])
    configure_service()
    if "RAYSTER_CULL_SECONDS" in os.environ:
        configure_culler(os.environ["RAYSTER_CULL_SECONDS"])
    if "RAYSTER_DEMO_PASSWORD_FILE" in os.environ:
        configure_demo_users(
            os.environ["RAYSTER_DEMO_PASSWORD_FILE"], json.loads(os.environ.get("RAYSTER_DEMO_USERS", "{}"))
        )
