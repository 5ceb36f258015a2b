"""Shows the pod that a server would be, without a hub or a cluster: KubeSpawner's own manifest, translated."""

import zlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from .manifests import plain
from .offload import offload
from .options import FieldError, OptionsError, parse_options
from .profiles import Access, ProfileSet
from .text import shown

NOTEBOOK_PORT = 8888


def render_pod(
    profiles: ProfileSet, untrusted: dict[str, Any], *, user: str, groups: Iterable[str] | None
) -> dict[str, Any]:
    """Return the pod manifest of ``user``'s server with the options ``untrusted``.

    ``groups`` None renders for somebody who may use the profile. Raises OptionsError, OffloadError, and
    ModuleNotFoundError where KubeSpawner is not installed.
    """
    # Bytes of a command line that are no UTF-8 come as lone surrogates, which no name holds.
    if not user.strip() or any("\ud800" <= sign <= "\udfff" for sign in user):
        raise OptionsError([FieldError("user", shown(user), "must be the name of a user")])
    if groups is None:
        profiles = profiles.model_copy(
            update={"profiles": [p.model_copy(update={"access": Access()}) for p in profiles.profiles]}
        )
    profile, options = parse_options(untrusted, profiles, groups or (), user=user)
    port = example_port(user, profile.name) if profile.is_offloaded else NOTEBOOK_PORT
    pod = _chart_pod(user, port=port, with_claim=not profile.is_offloaded, hub_url=profile.hub_url)
    return offload(pod, profile, options)


def example_port(user: str, profile: str) -> int:
    """Return a port as the spawner would choose one, the same at every call."""
    return 10000 + zlib.crc32(f"{user}/{profile}".encode()) % 22000


def _chart_pod(user: str, *, port: int, with_claim: bool, hub_url: str | None) -> dict[str, Any]:
    """Return the manifest that KubeSpawner builds with what the zero-to-jupyterhub chart sets by default."""
    from kubespawner.objects import make_pod
    from kubespawner.slugs import is_valid_label, safe_slug

    name = safe_slug(user)
    base_url = (hub_url or "http://hub:8081").rstrip("/")
    claim = {"name": "home", "persistentVolumeClaim": {"claimName": f"claim-{name}"}}
    pod = make_pod(
        name=f"jupyter-{name}",
        cmd=["jupyterhub-singleuser"],
        port=port,
        image="replaced-by-the-profile",
        image_pull_policy=None,
        uid=1000,
        fs_gid=100,
        # The hub adds its addresses and a token of the server's own.
        env={
            "JUPYTERHUB_USER": user,
            "JUPYTERHUB_API_URL": f"{base_url}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_SERVICE_PREFIX": f"/user/{quote(user, safe='@')}/",
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{port}/user/{quote(user, safe='@')}/",
        },
        labels={
            "hub.jupyter.org/username": safe_slug(user, is_valid=is_valid_label),
            "hub.jupyter.org/servername": "",
            "app.kubernetes.io/component": "singleuser-server",
            "component": "singleuser-server",
        },
        annotations={"hub.jupyter.org/username": user},
        volumes=[claim] if with_claim else [],
        volume_mounts=[{"name": "home", "mountPath": "/home/jovyan"}] if with_claim else [],
    )
    return plain(pod)
