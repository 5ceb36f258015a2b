"""What of a pod a site cannot do or must not see, whoever put it there: the last look before it is created."""

from collections.abc import Iterator
from typing import Any

from . import interlink
from .profiles import Profile
from .text import shown

Pod = dict[str, Any]

# Of any other kind, the SLURM plugin drops every mount of the container, in silence.
_MOUNTABLE = ("emptyDir", "configMap", "secret", "hostPath", "projected")
_HOST_PATH_TYPES = ("Directory", "DirectoryOrCreate")


def what_stands_in_the_way(pod: Pod, profile: Profile) -> Iterator[str]:
    """Yield, in one sentence each, what the site of ``profile`` cannot do or would run as shell."""
    spec = pod["spec"]
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") is not None:
            yield f"container {container['name']}: a sidecar among the init containers would never let the others start"
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for error in _container_errors(container, profile):
            yield f"container {container['name']}: {error}"
    for volume in spec.get("volumes") or []:
        for error in _volume_errors(volume):
            yield f"volume {volume['name']}: {error}"
    for key, value in pod["metadata"]["annotations"].items():
        if key in interlink.RENDERED_ANNOTATIONS or key.startswith(interlink.FUSE_PREFIX):
            continue
        if key == interlink.POD_IP and not interlink.is_ipv4(value):
            yield f"annotation {key}: {shown(value)} is not an IPv4 address"
        elif interlink.is_read_at_site(key) and not interlink.matches(
            interlink.ANNOTATION_VALUE_PATTERN, value
        ):
            yield f"annotation {key}: {shown(value)} is unsafe in the site's shell"


def _container_errors(container: Pod, profile: Profile) -> Iterator[str]:
    image = container.get("image") or ""
    pattern = interlink.SIF_PATTERN if image.startswith("/") else interlink.IMAGE_PATTERN
    if not interlink.matches(pattern, image):
        yield f"image {shown(image)} is unsafe in the site's shell"
    for mount in container.get("volumeMounts") or []:
        if not interlink.matches(interlink.PATH_PATTERN, mount["mountPath"]):
            yield f"mount path {shown(mount['mountPath'])} is unsafe in the site's shell"
        if mount.get("subPath") or mount.get("subPathExpr"):
            yield f"mount {mount['mountPath']} uses subPath, which interLink misreads"
    if container.get("envFrom"):
        yield "envFrom is not possible at a site; give literal values"
    for entry in container.get("env") or []:
        if not interlink.matches(interlink.ENV_NAME_PATTERN, entry["name"]):
            yield f"variable name {shown(entry['name'])} is unsafe in the site's shell"
        if entry.get("valueFrom") is not None:
            yield f"variable {shown(entry['name'])} is a reference; give a literal value"
    if profile.scheduler == "htcondor":
        for word in [*(container.get("command") or []), *(container.get("args") or [])]:
            if not interlink.matches(interlink.APPTAINER_OPTION_PATTERN, word):
                yield f"argument {shown(word)} is unsafe in the site's shell"


def _volume_errors(volume: Pod) -> Iterator[str]:
    for kind, source in volume.items():
        if kind != "name" and kind not in _MOUNTABLE and source is not None:
            yield f"a virtual node cannot mount {kind}"
    if host_path := volume.get("hostPath"):
        if not interlink.matches(interlink.PATH_PATTERN, host_path.get("path", "")):
            yield f"path {shown(host_path.get('path'))} is unsafe in the site's shell"
        if host_path.get("type") not in _HOST_PATH_TYPES:
            yield f"hostPath.type must be {' or '.join(_HOST_PATH_TYPES)}"
    for kind in ("configMap", "secret"):
        if (volume.get(kind) or {}).get("items"):
            yield f"{kind}.items is not read by interLink, which would mount every key under its own name"
    for source in (volume.get("projected") or {}).get("sources") or []:
        if source.get("secret") is not None:
            yield "a projected secret is left out by interLink; mount the secret itself"
        # interLink asks for one that is good for a hundred years, and leaves it readable at the site.
        if source.get("serviceAccountToken") is not None:
            yield "a service account's token must not leave the cluster"
