"""What a node is told: the environment that the service gives to a pod, checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from .failures import ExitCode, LaunchError

PREFIX = "RAYSTER_RAY_"
NETWORKS = ("direct", "site")


@dataclass(frozen=True)
class NodeSettings:
    """One node. Sizes are bytes, times seconds; None where the launcher chooses."""

    head: bool = False
    cluster: str = ""
    network: str = "direct"
    rendezvous: str | None = None
    gcs_host: str | None = None
    gcs_port: int | None = None
    dashboard_port: int | None = None
    dashboard_host: str | None = None
    node_network: IPv4Network | None = None
    plasma_directory: str | None = None
    object_store_bytes: int | None = None
    head_wait_seconds: float = 900.0
    cpus: int | None = None
    gpus: int | None = None
    memory_bytes: int | None = None
    pod: str | None = None
    pod_address: str | None = None
    token: str | None = None
    stop_seconds: float = 2.0


def settings_from(environ: Mapping[str, str], head: bool) -> NodeSettings:
    """Return the node that ``environ`` asks for (`RAYSTER_RAY_*` and what KubeRay adds).

    Raises LaunchError with what is wrong, which value, and what is allowed.
    """

    def text(name: str) -> str | None:
        return environ.get(PREFIX + name, "").strip() or None

    def number(name: str, lowest: float, highest: float) -> float | None:
        value = text(name)
        if value is None:
            return None
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not lowest <= found <= highest:
            raise LaunchError(
                ExitCode.BAD_SETTINGS,
                f"{PREFIX}{name} is {value!r}: a number from {lowest:.15g} to {highest:.15g} is allowed.",
            )
        return found

    def whole(name: str, lowest: int, highest: int) -> int | None:
        found = number(name, lowest, highest)
        # A pod with half a CPU still is one place for a task, as KubeRay counts.
        return None if found is None else math.ceil(found)

    network = text("NETWORK") or "direct"
    if network not in NETWORKS:
        raise LaunchError(
            ExitCode.BAD_SETTINGS, f"{PREFIX}NETWORK is {network!r}: one of {', '.join(NETWORKS)} is allowed."
        )
    settings = NodeSettings(
        head=head,
        cluster=text("CLUSTER") or environ.get("RAY_CLUSTER_NAME", ""),
        network=network,
        rendezvous=text("RENDEZVOUS"),
        gcs_host=environ.get("FQ_RAY_IP") or None,
        gcs_port=whole("GCS_PORT", 1024, 65535),
        dashboard_port=whole("DASHBOARD_PORT", 1024, 65535),
        dashboard_host=text("DASHBOARD_HOST"),
        node_network=network_of(text("NODE_NETWORK"), PREFIX + "NODE_NETWORK"),
        plasma_directory=text("PLASMA_DIRECTORY"),
        object_store_bytes=whole("OBJECT_STORE_BYTES", 1, 2**53),
        head_wait_seconds=number("HEAD_WAIT_SECONDS", 0, 30 * 86400) or NodeSettings.head_wait_seconds,
        cpus=whole("CPUS", 0, 2**20),
        gpus=whole("GPUS", 0, 2**16),
        memory_bytes=whole("MEMORY_BYTES", 1, 2**53),
        pod=environ.get("RAY_CLOUD_INSTANCE_ID") or environ.get("POD_NAME") or None,
        pod_address=environ.get("POD_IP") or None,
        token=environ.get("RAY_AUTH_TOKEN") or None,
        stop_seconds=number("STOP_SECONDS", 0.1, 600) or NodeSettings.stop_seconds,
    )
    if network == "site" and settings.rendezvous is None:
        raise LaunchError(
            ExitCode.BAD_SETTINGS,
            f"{PREFIX}RENDEZVOUS is not set: with network site it names the file in which the head is found.",
        )
    if network == "direct" and not head and (settings.gcs_host is None or settings.gcs_port is None):
        raise LaunchError(
            ExitCode.BAD_SETTINGS,
            f"With network direct a worker needs the head's name in FQ_RAY_IP ({settings.gcs_host!r}) "
            f"and its port in {PREFIX}GCS_PORT ({settings.gcs_port!r}).",
        )
    return settings


def network_of(text: str | None, name: str) -> IPv4Network | None:
    """Return the IPv4 network that ``text`` is, such as 10.128.0.0/16; ``name`` is for the error."""
    if text is None:
        return None
    try:
        return IPv4Network(text.strip(), strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise LaunchError(
            ExitCode.BAD_SETTINGS, f"{name} is {text!r}: an IPv4 network such as 10.128.0.0/16 is allowed."
        ) from None
