"""Translates a pod that KubeSpawner built into a pod for the profile's site. Pure: plain data in, plain data out.

A cloud profile changes amounts, image and placement. A virtual node needs more: interLink drops or misreads much of
what a pod may say (claims, field references, security contexts, init containers of the chart) and pastes other parts
into a shell script, so whatever is left is either written here from typed values or passes a whitelist.
"""

import copy
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import interlink
from .options import ServerOptions
from .profiles import HomeDirectory, Profile, Toleration
from .quantities import format_number, slurm_time
from .text import shown

Pod = dict[str, Any]

PROFILE_LABEL = "rayster.dev/profile"
SITE_LABEL = "rayster.dev/site"
NOTEBOOK_CONTAINER = "notebook"

USERNAME_LABEL = "hub.jupyter.org/username"
# The chart's privileged firewall for cloud metadata; a batch node has neither the privilege nor the metadata.
CHART_INIT_CONTAINERS = frozenset({"block-cloud-metadata"})
# What is about cloud nodes, or what interLink would turn into `#SBATCH --uid`.
_CLOUD_ONLY = (
    "affinity",
    "topologySpreadConstraints",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "imagePullSecrets",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostAliases",
    "dnsConfig",
    "dnsPolicy",
    "nodeName",
    "runtimeClassName",
)
_KEPT_VOLUMES = ("emptyDir", "configMap", "secret", "hostPath", "projected", "downwardAPI")
_HOST_PATH_TYPES = ("Directory", "DirectoryOrCreate")


class OffloadError(ValueError):
    """The pod cannot run at the site; ``errors`` say what stands in the way, one a line."""

    def __init__(self, errors: list[str]):
        self.errors = errors
        super().__init__("\n".join(errors))


def offload(pod: Pod, profile: Profile, options: ServerOptions) -> Pod:
    """Return ``pod`` as the site of ``profile`` needs it. The argument is left as it is.

    Arguments: ``pod`` is a manifest in Kubernetes' spelling, after the expansion of every template: braces in it and
    in the profile mean nothing here. Raises OffloadError when the pod asks for what the site cannot do.
    """
    if options.profile != profile.name:
        raise OffloadError([f"options of profile {shown(options.profile)} given to profile {profile.name}"])
    pod = copy.deepcopy(pod)
    notebook = _notebook(pod)
    _set_metadata(pod, profile)
    _set_image(notebook, profile, options)
    _set_amounts(notebook, profile, options)
    _set_environment(
        notebook, {**profile.environment, "RAYSTER_PROFILE": profile.name, "RAYSTER_SITE": site_name(profile)}
    )
    if options.walltime_minutes is not None:
        _set_environment(notebook, {"RAYSTER_WALLTIME_MINUTES": str(options.walltime_minutes)})
    _place(pod, profile)
    if options.walltime_minutes is not None and profile.scheduler != "slurm":
        # The kubelet ends cloud pods by it, and HTCondor plugins that know a limit read it; SLURM has --time.
        pod["spec"]["activeDeadlineSeconds"] = 60 * options.walltime_minutes
    if profile.is_offloaded:
        _make_portable(pod, profile)
        _set_bind_address(notebook, profile)
        _set_job_annotations(pod, profile, options)
        errors = list(_what_stands_in_the_way(pod, profile))
        if errors:
            raise OffloadError(errors)
    return pod


def site_name(profile: Profile) -> str:
    """Return the site as one label value: ``cloud``, the virtual node, or the profile that chooses by labels."""
    return profile.site[:63].rstrip(".-") if isinstance(profile.site, str) else profile.name


def sbatch_flags(profile: Profile, options: ServerOptions) -> list[str]:
    """Return the sbatch options of a server, in a fixed order. Cores and memory come from the pod's limits."""
    settings = profile.slurm
    flags = []
    for name in ("account", "partition", "qos", "reservation", "constraint"):
        value = getattr(settings, name) if settings else None
        if value is not None:
            flags.append(f"--{name}={value}")
    if options.gpu:
        flags.append("--gres=" + (settings.gres if settings else "gpu:{n}").replace("{n}", str(options.gpu)))
    if options.walltime_minutes is not None:
        flags.append(f"--time={slurm_time(options.walltime_minutes)}")
    return flags + list(settings.extra_flags if settings else ())


def _notebook(pod: Pod) -> Pod:
    containers = pod.get("spec", {}).get("containers") or []
    named = [container for container in containers if container.get("name") == NOTEBOOK_CONTAINER]
    if not named:
        raise OffloadError([f"the pod has no container named {NOTEBOOK_CONTAINER}"])
    return named[0]


def _set_metadata(pod: Pod, profile: Profile) -> None:
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        PROFILE_LABEL: profile.name,
        SITE_LABEL: site_name(profile),
    }
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **profile.annotations}


def _set_image(notebook: Pod, profile: Profile, options: ServerOptions) -> None:
    image = next((image.image for image in profile.images if image.name == options.image), None)
    if image is None:
        raise OffloadError([f"profile {profile.name} has no image named {shown(options.image)}"])
    notebook["image"] = image
    _set_environment(notebook, {"JUPYTER_IMAGE": image, "JUPYTER_IMAGE_SPEC": image})


def _set_amounts(notebook: Pod, profile: Profile, options: ServerOptions) -> None:
    # Limits, because the SLURM plugin reads nothing else; equal requests, because the HTCondor one reads those.
    amounts = {"cpu": format_number(options.cpu), "memory": f"{options.memory_mib}Mi"}
    if profile.gpu is not None and options.gpu:
        amounts[profile.gpu.resource] = str(options.gpu)
    notebook["resources"] = {"limits": dict(amounts), "requests": dict(amounts)}
    memory_bytes = str(options.memory_mib * 2**20)
    _set_environment(
        notebook,
        {
            "CPU_LIMIT": format_number(options.cpu),
            "CPU_GUARANTEE": format_number(options.cpu),
            "MEM_LIMIT": memory_bytes,
            "MEM_GUARANTEE": memory_bytes,
        },
    )


def _set_environment(container: Pod, values: dict[str, str]) -> None:
    kept = [entry for entry in container.get("env") or [] if entry["name"] not in values]
    container["env"] = kept + [{"name": name, "value": value} for name, value in values.items()]


def _place(pod: Pod, profile: Profile) -> None:
    spec = pod["spec"]
    chosen = dict(profile.node_labels)
    tolerations = [toleration_manifest(toleration) for toleration in profile.tolerations]
    if not profile.is_offloaded:
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **chosen}
        spec["tolerations"] = (spec.get("tolerations") or []) + tolerations
        for field in ("nodeSelector", "tolerations"):
            if not spec[field]:
                del spec[field]
        return
    site = {interlink.HOSTNAME_LABEL: profile.site} if isinstance(profile.site, str) else profile.site
    spec["nodeSelector"] = {**chosen, **site}
    spec["tolerations"] = [
        {"key": interlink.NO_SCHEDULE_TAINT, "operator": "Exists"},
        # Without a time limit: an outage of the virtual node must not cost a place in the queue.
        {"key": interlink.NOT_READY_TAINT, "operator": "Exists", "effect": "NoExecute"},
        {"key": interlink.UNREACHABLE_TAINT, "operator": "Exists", "effect": "NoExecute"},
        *tolerations,
    ]


def toleration_manifest(toleration: Toleration) -> dict[str, Any]:
    """Return a toleration in Kubernetes' spelling."""
    return toleration.model_dump(by_alias=True, exclude_none=True)


def _make_portable(pod: Pod, profile: Profile) -> None:
    """Take out what a virtual node drops, misreads or must not be given."""
    spec = pod["spec"]
    for field in _CLOUD_ONLY:
        spec.pop(field, None)
    spec["restartPolicy"] = "Never"
    spec["automountServiceAccountToken"] = False
    spec["enableServiceLinks"] = False
    kept_init = [c for c in spec.get("initContainers") or [] if c.get("name") not in CHART_INIT_CONTAINERS]
    spec["initContainers"] = kept_init
    if not kept_init:
        del spec["initContainers"]
    # One claim makes the plugin drop every mount of the container, in silence.
    claims = {
        volume["name"]
        for volume in spec.get("volumes") or []
        if volume.get("persistentVolumeClaim") is not None or volume.get("ephemeral") is not None
    }
    spec["volumes"] = [volume for volume in spec.get("volumes") or [] if volume["name"] not in claims]
    for container in _containers(pod):
        container["volumeMounts"] = [
            mount for mount in container.get("volumeMounts") or [] if mount["name"] not in claims
        ]
        # interLink ignores both; a job starts where its home is.
        container.pop("workingDir", None)
        container.pop("securityContext", None)
    notebook = _notebook(pod)
    site_volumes = [(cvmfs.name, cvmfs.mount_path) for cvmfs in profile.cvmfs]
    site_volumes += [(fuse.name, fuse.mount_path) for fuse in profile.fuse]
    for name, mount_path in site_volumes:
        spec["volumes"].append({"name": name, "emptyDir": {}})
        notebook["volumeMounts"].append({"name": name, "mountPath": mount_path})
    for container in _containers(pod):
        if not container["volumeMounts"]:
            del container["volumeMounts"]
    if not spec["volumes"]:
        del spec["volumes"]


def _containers(pod: Pod) -> list[Pod]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _set_bind_address(notebook: Pod, profile: Profile) -> None:
    every_address = "0.0.0.0"  # noqa: S104 - a mesh delivers to the job's own address; the server asks for a login
    address = profile.network.bind_address or (
        "127.0.0.1" if profile.network.mode == "site" else every_address
    )
    for entry in notebook.get("env") or []:
        if entry["name"] == "JUPYTERHUB_SERVICE_URL" and entry.get("value"):
            url = urlsplit(entry["value"])
            host = f"{address}:{url.port}" if url.port else address
            entry["value"] = urlunsplit((url.scheme, host, url.path, url.query, url.fragment))


def _set_job_annotations(pod: Pod, profile: Profile, options: ServerOptions) -> None:
    annotations = pod["metadata"]["annotations"]
    for key in list(annotations):
        # Whatever else put them there (a chart value, a hook): these are written from typed values, or not at all.
        if key in interlink.RENDERED_ANNOTATIONS or key.startswith(
            (interlink.CVMFS_PREFIX, interlink.FUSE_PREFIX)
        ):
            del annotations[key]
    user = pod["metadata"]["labels"].get(USERNAME_LABEL, "")
    if profile.is_batch:
        annotations.update(_batch_annotations(profile, options, user))
    for cvmfs in profile.cvmfs:
        annotations[interlink.CVMFS_PREFIX + cvmfs.name] = "true"
    for fuse in profile.fuse:
        annotations[interlink.FUSE_PREFIX + fuse.name] = fuse.script
    network = profile.network
    if network.tunnel_ports:
        annotations[interlink.TUNNEL_PORTS] = ",".join(
            f"{port.port}:{port.name}" for port in network.tunnel_ports
        )
    if network.tunnel_timeout_seconds:
        annotations[interlink.TUNNEL_TIMEOUT] = f"{network.tunnel_timeout_seconds}s"


def _batch_annotations(profile: Profile, options: ServerOptions, user: str) -> dict[str, str]:
    try:
        binds = [
            word
            for mount in profile.mounts
            for word in ("--bind", _bind(mount.source, mount.target, mount.read_only, user))
        ]
        home = (
            interlink.expand_username(profile.home.path, user)
            if isinstance(profile.home, HomeDirectory)
            else None
        )
    except ValueError as error:
        raise OffloadError([str(error)]) from None
    words = [*profile.apptainer_options, *(["--home", home, "--pwd", home] if home else [])]
    annotations = {interlink.PRE_EXEC: interlink.render_pre_exec(profile.pre_exec, home)}
    if profile.scheduler == "slurm":
        annotations[interlink.FLAGS] = interlink.render_flags(sbatch_flags(profile, options))
        annotations[interlink.APPTAINER_MOUNTS] = interlink.render_words(binds)
    else:
        # interLink's HTCondor plugin reads options only.
        words = binds + words
    annotations[interlink.APPTAINER_OPTIONS] = interlink.render_words(words)
    return {key: value for key, value in annotations.items() if value}


def _bind(source: str, target: str | None, read_only: bool, user: str) -> str:
    source = interlink.expand_username(source, user) if "{username}" in source else source
    return f"{source}:{target or source}" + (":ro" if read_only else "")


def _what_stands_in_the_way(pod: Pod, profile: Profile) -> Iterator[str]:
    """Yield what the site cannot do or must not see, whoever put it into the pod."""
    spec = pod["spec"]
    for container in _containers(pod):
        yield from _container_errors(container, profile)
    for volume in spec.get("volumes") or []:
        name, kinds = volume["name"], [kind for kind in volume if kind != "name" and volume[kind] is not None]
        yield from (
            f"volume {name}: a virtual node cannot mount {kind}"
            for kind in kinds
            if kind not in _KEPT_VOLUMES
        )
        if host_path := volume.get("hostPath"):
            if not interlink.matches(interlink.PATH_PATTERN, host_path.get("path", "")):
                yield f"volume {name}: path {shown(host_path.get('path'))} is unsafe in the site's shell"
            if host_path.get("type") not in _HOST_PATH_TYPES:
                yield f"volume {name}: hostPath.type must be {' or '.join(_HOST_PATH_TYPES)}"
    for key, value in pod["metadata"]["annotations"].items():
        if key in interlink.RENDERED_ANNOTATIONS or key.startswith(interlink.FUSE_PREFIX):
            continue
        if key.startswith(interlink.SITE_PREFIXES) and not interlink.matches(
            interlink.ANNOTATION_VALUE_PATTERN, value
        ):
            yield f"annotation {key}: {shown(value)} is unsafe in the site's shell"


def _container_errors(container: Pod, profile: Profile) -> Iterator[str]:
    name = container["name"]
    image = container.get("image") or ""
    pattern = interlink.SIF_PATTERN if image.startswith("/") else interlink.IMAGE_PATTERN
    if not interlink.matches(pattern, image):
        yield f"container {name}: image {shown(image)} is unsafe in the site's shell"
    for mount in container.get("volumeMounts") or []:
        if not interlink.matches(interlink.PATH_PATTERN, mount["mountPath"]):
            yield f"container {name}: mount path {shown(mount['mountPath'])} is unsafe in the site's shell"
        if mount.get("subPath") or mount.get("subPathExpr"):
            yield f"container {name}: mount {mount['mountPath']} uses subPath, which interLink misreads"
    if container.get("envFrom"):
        yield f"container {name}: envFrom is not possible at a site; give literal values"
    for entry in container.get("env") or []:
        if not interlink.matches(interlink.ENV_NAME_PATTERN, entry["name"]):
            yield f"container {name}: variable name {shown(entry['name'])} is unsafe in the site's shell"
        if entry.get("valueFrom") is not None:
            yield f"container {name}: variable {shown(entry['name'])} is a reference; give a literal value"
