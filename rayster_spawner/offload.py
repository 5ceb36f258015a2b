"""Translates a pod (KubeSpawner's, or one of a Ray cluster) into one for the profile's site. Pure: plain data.

A cloud profile changes amounts, image and placement. A virtual node needs more: interLink drops or misreads much of
what a pod may say (claims, field references, security contexts, init containers of the chart) and pastes other parts
into a shell script, so whatever is left is either written here from typed values or passes a whitelist.
"""

import copy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import interlink
from .offload_checks import what_stands_in_the_way
from .offload_job import OffloadError, home_of, set_job_annotations, user_of
from .options import ServerOptions
from .profiles import Profile, Toleration
from .quantities import format_number
from .text import shown

Pod = dict[str, Any]

PROFILE_LABEL = "rayster.dev/profile"
SITE_LABEL = "rayster.dev/site"
NOTEBOOK_CONTAINER = "notebook"

# The chart's privileged firewall for cloud metadata; a batch node has neither the privilege nor the metadata.
CHART_INIT_CONTAINERS = frozenset({"block-cloud-metadata"})
# What interLink reads of a pod. The rest is about cloud nodes (affinity, priority, image pull secrets, …), would become
# `#SBATCH --uid` (security context), or would run beside the container and not in it (probes, lifecycle hooks).
_READ_OF_POD = frozenset(
    {"containers", "initContainers", "volumes", "nodeSelector", "tolerations"}
    | {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "hostname", "subdomain"}
)
_READ_OF_CONTAINER = frozenset(
    {
        "name",
        "image",
        "command",
        "args",
        "env",
        "envFrom",
        "ports",
        "resources",
        "volumeMounts",
        "restartPolicy",
    }
)


def offload(pod: Pod, profile: Profile, options: ServerOptions, container: str = NOTEBOOK_CONTAINER) -> Pod:
    """Return ``pod`` as the site of ``profile`` needs it. The argument is left as it is.

    Arguments: ``pod`` is a manifest in Kubernetes' spelling, after the expansion of every template: braces in it and
    in the profile mean nothing here. ``container`` is the one that the options are for. Raises OffloadError when the
    pod asks for what the site cannot do.
    """
    if options.profile != profile.name:
        raise OffloadError([f"options of profile {shown(options.profile)} given to profile {profile.name}"])
    pod = copy.deepcopy(pod)
    main = _named(pod, container)
    _set_metadata(pod, profile)
    _set_image(main, profile, options)
    _set_amounts(main, profile, options)
    _set_environment(
        main, {**profile.environment, "RAYSTER_PROFILE": profile.name, "RAYSTER_SITE": site_name(profile)}
    )
    if options.walltime_minutes is not None:
        _set_environment(main, {"RAYSTER_WALLTIME_MINUTES": str(options.walltime_minutes)})
    _place(pod, profile)
    if options.walltime_minutes is not None and profile.scheduler != "slurm":
        # The kubelet ends cloud pods by it, and HTCondor plugins that know a limit read it; SLURM has --time.
        pod["spec"]["activeDeadlineSeconds"] = 60 * options.walltime_minutes
    if profile.is_offloaded:
        _make_portable(pod, profile, container)
        if container == NOTEBOOK_CONTAINER:
            _set_bind_address(_named(pod, container), profile)
            _set_root_directory(pod, profile)
        set_job_annotations(pod, profile, options)
        errors = list(what_stands_in_the_way(pod, profile))
        if errors:
            raise OffloadError(errors)
    return pod


def site_name(profile: Profile) -> str:
    """Return the site as one label value: ``cloud``, the virtual node, or the profile that chooses by labels."""
    return profile.site_name


def _named(pod: Pod, name: str) -> Pod:
    containers = pod.get("spec", {}).get("containers") or []
    named = [container for container in containers if container.get("name") == name]
    if not named:
        raise OffloadError([f"the pod has no container named {name}"])
    return named[0]


def _set_metadata(pod: Pod, profile: Profile) -> None:
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        PROFILE_LABEL: profile.name,
        SITE_LABEL: site_name(profile),
    }
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **profile.annotations}


def _set_image(container: Pod, profile: Profile, options: ServerOptions) -> None:
    image = next((image.image for image in profile.images if image.name == options.image), None)
    if image is None:
        raise OffloadError([f"profile {profile.name} has no image named {shown(options.image)}"])
    container["image"] = image
    if container["name"] == NOTEBOOK_CONTAINER:
        _set_environment(container, {"JUPYTER_IMAGE": image, "JUPYTER_IMAGE_SPEC": image})


def _set_amounts(container: Pod, profile: Profile, options: ServerOptions) -> None:
    # Limits, because the SLURM plugin reads nothing else; equal requests, because the HTCondor one reads those.
    amounts = {"cpu": format_number(options.cpu), "memory": f"{options.memory_mib}Mi"}
    if profile.gpu is not None and options.gpu:
        amounts[profile.gpu.resource] = str(options.gpu)
    container["resources"] = {"limits": dict(amounts), "requests": dict(amounts)}
    memory_bytes = str(options.memory_mib * 2**20)
    _set_environment(
        container,
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


def _make_portable(pod: Pod, profile: Profile, main: str) -> None:
    """Take out what a virtual node drops, misreads or must not be given."""
    spec = pod["spec"] = {field: value for field, value in pod["spec"].items() if field in _READ_OF_POD}
    spec["restartPolicy"] = "Never"
    spec["automountServiceAccountToken"] = False
    spec["enableServiceLinks"] = False
    for kind in ("initContainers", "containers"):
        spec[kind] = [
            {field: value for field, value in container.items() if field in _READ_OF_CONTAINER}
            for container in spec.get(kind) or []
            if container.get("name") not in CHART_INIT_CONTAINERS
        ]
    if not spec["initContainers"]:
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
    main_container = _named(pod, main)
    site_volumes = [(cvmfs.name, cvmfs.mount_path) for cvmfs in profile.cvmfs]
    site_volumes += [(fuse.name, fuse.mount_path) for fuse in profile.fuse]
    for name, mount_path in site_volumes:
        spec["volumes"].append({"name": name, "emptyDir": {}})
        main_container["volumeMounts"].append({"name": name, "mountPath": mount_path})
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


def _set_root_directory(pod: Pod, profile: Profile) -> None:
    # The HTCondor plugin's commands find their files in the directory that the job starts in; `--pwd` would leave it.
    if profile.scheduler == "htcondor" and (home := home_of(profile, user_of(pod))):
        notebook = _named(pod, NOTEBOOK_CONTAINER)
        if not any(entry["name"] == "JUPYTERHUB_ROOT_DIR" for entry in notebook.get("env") or []):
            _set_environment(notebook, {"JUPYTERHUB_ROOT_DIR": home})
