"""How each part of the testbed is run: its command line, what it needs first, and how to see that it is ready."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rayster_testbed.answers import accepts_connections, answers_ok
from rayster_testbed.cluster import Cluster
from rayster_testbed.identities import NAMESPACE
from rayster_testbed.layout import (
    CLOUD_NODE,
    DEMO_USERS,
    HUB_NAME,
    REPOSITORY,
    SERVICE_NAME,
    SERVICE_PREFIX,
    SITES,
    Addresses,
    Layout,
)
from rayster_testbed.parts import PartPlan

BatchSystem = Literal["slurm", "queue"]
# Not a part, but what some of them need: RBAC and the namespace are in the API server.
MANIFESTS = "manifests"
_SERVICE_TOKEN = "service-token"  # noqa: S105 the name of a file
# A demo is looked at for minutes: what its sites tell is fresher than it would be at a real one.
_AGENT_INTERVAL_SECONDS = 4
_ORPHAN_GRACE_SECONDS = 15
# Variables of the caller that would make a part talk to something else than the testbed.
_FOREIGN_PREFIXES = (
    "KUBE",
    "SLURM_",
    "SBATCH_",
    "SQUEUE_",
    "JUPYTERHUB_",
    "JPY_",
    "CONFIGPROXY_",
    "RAYSTER_",
)


@dataclass(frozen=True)
class Setting:
    """What a testbed is asked to be."""

    hub: bool
    mode: Literal["as-found", "ideal"] = "as-found"
    batch: BatchSystem = "slurm"
    # The real virtual kubelet pings every 30 s, and is ready only after its first ping.
    ping_seconds: float = 4


def part_environment() -> dict[str, str]:
    """Return the environment that every part starts with: the caller's, with the programs of this venv first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN_PREFIXES)}
    path = [str(Path(sys.prefix) / "bin"), kept.get("PATH", os.defpath)]
    return {**kept, "PATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def plan_parts(setting: Setting, layout: Layout, addresses: Addresses, cluster: Cluster) -> list[PartPlan]:
    """Return the plans of all parts of a testbed, those that others need first."""
    plans = [
        _apiserver(layout, addresses, cluster),
        *(_controller(name, layout) for name in ("scheduler", "node_lifecycle", "ray_operator")),
        _cluster_names(layout),
        _kubelet(layout, addresses, cluster),
        _batch_system(layout, setting.batch),
    ]
    for site in SITES:
        plans += [_plugin(site.name, setting, layout, addresses)]
        plans += [_virtual_node(site.name, site.accelerator, setting, layout, addresses, cluster)]
    if setting.hub:
        plans += [_agent(site.name, layout, addresses) for site in SITES]
        plans += [_proxy(layout, addresses), _service(layout, addresses), _hub(layout, addresses)]
    return plans


def _module(name: str, *words: object) -> tuple[str, ...]:
    return (sys.executable, "-m", f"rayster_testbed.{name}", *map(str, words))


def _apiserver(layout: Layout, addresses: Addresses, cluster: Cluster) -> PartPlan:
    return PartPlan(
        name="apiserver",
        command=_module(
            "apiserver",
            *("--bind", "127.0.0.1", "--port", addresses.apiserver),
            *("--data-dir", layout.data("apiserver")),
            *("--token-auth-file", layout.tokens),
            *("--tls-cert-file", layout.pki / "server.crt"),
            *("--tls-private-key-file", layout.pki / "server.key"),
        ),
        is_ready=cluster.answers,
    )


def _controller(module: str, layout: Layout) -> PartPlan:
    name = module.replace("_", "-")
    return PartPlan(
        name=name,
        command=_module(module, "--kubeconfig", layout.kubeconfig(name)),
        needs=(MANIFESTS,),
        is_ready=None,  # it listens nowhere
    )


def _cluster_names(layout: Layout) -> PartPlan:
    hosts = layout.names() / "hosts"
    return PartPlan(
        name="cluster-names",
        command=_module(
            "cluster_names",
            *("--kubeconfig", layout.kubeconfig("cluster-names"), "--directory", layout.names()),
        ),
        needs=(MANIFESTS,),
        is_ready=hosts.exists,
        ready_file=hosts,
    )


def _kubelet(layout: Layout, addresses: Addresses, cluster: Cluster) -> PartPlan:
    return PartPlan(
        name="kubelet",
        command=_module(
            "kubelet",
            *("--kubeconfig", layout.kubeconfig("kubelet"), "--node-name", CLOUD_NODE),
            *("--cpu", 8, "--memory", "16Gi"),
            *("--pod-cidr", addresses.pod_cidr, "--data-dir", layout.data("kubelet")),
            *("--names-dir", layout.names()),
        ),
        needs=(MANIFESTS,),
        is_ready=lambda: cluster.node_is_ready(CLOUD_NODE),
    )


def _batch_system(layout: Layout, batch: BatchSystem) -> PartPlan:
    ready = layout.slurm_ready()
    return PartPlan(
        name="slurm",
        command=_module(
            "slurm" if batch == "slurm" else "batch_queue",
            *("--state-dir", layout.slurm, "--ready-file", ready),
        ),
        is_ready=ready.exists,
        ready_file=ready,
        ready_timeout_seconds=60,
        stop_grace_seconds=10,
    )


def _plugin(site: str, setting: Setting, layout: Layout, addresses: Addresses) -> PartPlan:
    name = plugin_of(site)
    port = addresses.plugins[site]
    return PartPlan(
        name=name,
        command=_module(
            "slurm_plugin",
            *("--bind", "127.0.0.1", "--port", port, "--data-dir", layout.data(name), "--mode", setting.mode),
            *("--slurm-bin-dir", layout.slurm / "bin", "--slurm-conf", layout.slurm / "slurm.conf"),
            *("--names-dir", layout.names()),
        ),
        needs=("slurm",),
        is_ready=lambda: accepts_connections(port),
    )


def _virtual_node(
    site: str, accelerator: str, setting: Setting, layout: Layout, addresses: Addresses, cluster: Cluster
) -> PartPlan:
    return PartPlan(
        name=site,
        command=_module(
            "virtual_node",
            *("--kubeconfig", layout.kubeconfig(site), "--node-name", site, "--mode", setting.mode),
            *("--plugin-url", f"http://127.0.0.1:{addresses.plugins[site]}", "--data-dir", layout.data(site)),
            *("--ping-seconds", setting.ping_seconds),
            *(("--accelerator", accelerator) if accelerator else ()),
        ),
        needs=(MANIFESTS, plugin_of(site)),
        is_ready=lambda: cluster.node_is_ready(site),
    )


def _agent(site: str, layout: Layout, addresses: Addresses) -> PartPlan:
    port = addresses.agents[site]
    layout.secret(layout.agent_token(site).name)
    return PartPlan(
        name=agent_of(site),
        command=(
            *(sys.executable, "-m", "rayster_site", "serve", "--site", site, "--scheduler", "slurm"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--token-file", str(layout.agent_token(site))),
            *("--interval-seconds", str(_AGENT_INTERVAL_SECONDS)),
            *("--command-dir", str(layout.slurm / "bin"), "--state-dir", str(layout.data(agent_of(site)))),
            # As from the edge of a real site: by the hub's public address.
            *("--service-url", f"{addresses.public_url}{SERVICE_PREFIX}".rstrip("/")),
            *("--cancel-orphans", "--orphan-grace-seconds", str(_ORPHAN_GRACE_SECONDS)),
        ),
        environment={"SLURM_CONF": str(layout.slurm / "slurm.conf")},
        needs=("slurm",),
        is_ready=answers_ok(f"http://127.0.0.1:{port}/healthz"),
    )


def _proxy(layout: Layout, addresses: Addresses) -> PartPlan:
    hub_url = f"http://127.0.0.1:{addresses.hub}"
    return PartPlan(
        name="proxy",
        command=(
            proxy_program(),
            *("--ip", addresses.public_host, "--port", str(addresses.public_port)),
            *("--api-ip", "127.0.0.1", "--api-port", str(addresses.proxy_api)),
            *("--default-target", hub_url, "--error-target", f"{hub_url}/hub/error"),
        ),
        environment={"CONFIGPROXY_AUTH_TOKEN": layout.secret("proxy-token")},
        is_ready=answers_ok(f"{addresses.public_url}/_chp_healthz"),
    )


def _service(layout: Layout, addresses: Addresses) -> PartPlan:
    return PartPlan(
        name=SERVICE_NAME,
        command=(
            *(sys.executable, "-m", "rayster_spawner.service"),
            *("--host", "127.0.0.1", "--port", str(addresses.service), "--base-url", SERVICE_PREFIX),
            *("--profiles", str(layout.profiles), "--namespace", NAMESPACE),
        ),
        environment={
            "KUBECONFIG": str(layout.kubeconfig(SERVICE_NAME)),
            "JUPYTERHUB_API_URL": f"http://127.0.0.1:{addresses.hub}/hub/api",
            "JUPYTERHUB_API_TOKEN": layout.secret(_SERVICE_TOKEN),
        },
        # Else the first who looks at the form sees sites that were not there yet when the service looked.
        needs=(MANIFESTS, *(site.name for site in SITES)),
        is_ready=answers_ok(f"http://127.0.0.1:{addresses.service}{SERVICE_PREFIX}healthz"),
    )


def _hub(layout: Layout, addresses: Addresses) -> PartPlan:
    return PartPlan(
        name=HUB_NAME,
        command=(sys.executable, "-m", "jupyterhub", "--config", str(REPOSITORY / "jupyterhub_config.py")),
        directory=layout.hub,
        environment={
            "KUBECONFIG": str(layout.kubeconfig(HUB_NAME)),
            "CONFIGPROXY_AUTH_TOKEN": layout.secret("proxy-token"),
            "RAYSTER_PROFILES_FILE": str(layout.profiles),
            "RAYSTER_NAMESPACE": NAMESPACE,
            "RAYSTER_HUB_STATE_DIR": str(layout.hub),
            "RAYSTER_HUB_PORT": str(addresses.hub),
            "RAYSTER_PUBLIC_URL": addresses.public_url,
            "RAYSTER_PROXY_API_URL": f"http://127.0.0.1:{addresses.proxy_api}",
            "RAYSTER_SERVICE_URL": f"http://127.0.0.1:{addresses.service}",
            "RAYSTER_SERVICE_TOKEN_FILE": str(layout.secret_file(_SERVICE_TOKEN)),
            "RAYSTER_DEMO_PASSWORD_FILE": str(layout.password),
            "RAYSTER_DEMO_USERS": json.dumps(DEMO_USERS),
        },
        needs=(MANIFESTS, "proxy"),
        # Through the proxy: a person can get in.
        is_ready=answers_ok(f"{addresses.public_url}/hub/health"),
        ready_timeout_seconds=60,
    )


def agent_of(site: str) -> str:
    """Return the name of the part that is the agent of a site."""
    return f"{site}-agent"


def plugin_of(site: str) -> str:
    """Return the name of the part that is the plugin of a site."""
    return f"{site}-plugin"


def proxy_program() -> str:
    """Return the path of configurable-http-proxy: the one of this venv, else the system's."""
    own = Path(sys.prefix) / "bin" / "configurable-http-proxy"
    return str(own) if own.exists() else shutil.which(own.name) or str(own)
