"""What single fields cannot tell: combinations of settings that no site can do. Pure; every mistake at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from . import interlink
from .text import did_you_mean

CLOUD_SITE = "cloud"
IMPOSSIBLE = "impossible_combination"

# Options of sbatch that RaySTER writes itself or that would break what it relies on (the job's name is the pod's UID).
_OWN_FLAGS = {
    "--account": "slurm.account",
    "--partition": "slurm.partition",
    "--qos": "slurm.qos",
    "--reservation": "slurm.reservation",
    "--constraint": "slurm.constraint",
    "--gres": "slurm.gres",
    "--gpus": "slurm.gres",
    "--gpus-per-node": "slurm.gres",
    "--gpus-per-task": "slurm.gres",
    "--time": "walltime",
    "--cpus-per-task": "cpu",
    "--mem": "memory",
    "--mem-per-cpu": "memory",
    "--mem-per-gpu": "memory",
}
_FORBIDDEN_FLAGS = frozenset(
    f"--{name}"
    for name in (
        *("job-name", "output", "error", "input", "array", "uid", "gid", "wrap", "wait", "test-only"),
        *("help", "usage", "version", "parsable", "quiet", "verbose"),
    )
)
_FIELD_OF_ANNOTATION = {
    interlink.FLAGS: "slurm",
    interlink.PRE_EXEC: "pre_exec",
    interlink.APPTAINER_MOUNTS: "mounts",
    interlink.APPTAINER_OPTIONS: "apptainer_options",
    interlink.TUNNEL_PORTS: "network.tunnel_ports",
    interlink.TUNNEL_TIMEOUT: "network.tunnel_timeout_seconds",
}
_HUB_ENVIRONMENT = ("JUPYTERHUB_", "JPY_")
_HUB_ANNOTATIONS = ("hub.jupyter.org/", "rayster.dev/")
# Kubernetes refuses a pod with more annotations than 256 KiB; the hub's and the tunnel's own need room, too.
MAX_ANNOTATION_BYTES = 192 * 2**10
MAX_ENVIRONMENT_BYTES = 256 * 2**10


class Mistake(NamedTuple):
    """One thing that is wrong: where (keys and positions), the value there, and what is allowed."""

    path: tuple[str | int, ...]
    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))}: {self.reason}"


def refuse(mistakes: list[Mistake]) -> None:
    """Raise all ``mistakes`` as one pydantic error, for `profile_files` to take apart again."""
    if mistakes:
        summary = "; ".join(map(str, mistakes))
        raise PydanticCustomError(IMPOSSIBLE, "{summary}", {"summary": summary, "mistakes": mistakes})


def bounds_out_of_order(bounds: Any, written: Callable[[Any], str]) -> list[Mistake]:
    """Return what is out of order in ``min``, ``default``, ``max``; ``written`` puts an amount as people write it."""
    low, high = written(bounds.min), written(bounds.max)
    if bounds.min > bounds.max:
        return [Mistake(("min",), low, f"must not be above max ({high})")]
    if not bounds.min <= bounds.default <= bounds.max:
        return [
            Mistake(("default",), written(bounds.default), f"must be between min ({low}) and max ({high})")
        ]
    return []


def names_used_twice(names: list[Any]) -> list[Mistake]:
    """Return a mistake for each profile whose name another one has: an option could mean either."""
    return [
        Mistake(("profiles", n, "name"), name, "is the name of more than one profile")
        for n, name in enumerate(names)
        if name is not None and names.count(name) > 1
    ]


def not_one_token(agent: Any) -> list[Mistake]:
    """Return a mistake unless ``agent`` has its token in one place."""
    if agent.token_file is None and agent.token_env is None:
        return [Mistake(("token_file",), None, "is required, or token_env: the agent must know who asks")]
    if agent.token_file is not None and agent.token_env is not None:
        return [Mistake(("token_env",), agent.token_env, "cannot stand beside token_file; give one of them")]
    return []


def warned_too_late(idle: Any) -> list[Mistake]:
    """Return a mistake when the warning of ``idle`` would come before the time that it warns of has begun."""
    if idle.warn_before >= idle.stop_after:
        return [Mistake(("warn_before",), idle.warn_before, "must be less than stop_after")]
    return []


def site_label(profile_name: str, site: Any) -> str:
    """Return the site of a profile as one label value: ``cloud``, the virtual node, or the profile's own name."""
    return site[:63].rstrip(".-") if isinstance(site, str) else profile_name


def sites_of_no_profile(sites: Iterable[str], used: Iterable[str]) -> list[Mistake]:
    """Return a mistake for each of ``sites`` that is not ``used`` by a profile, or that can have no agent."""
    known = sorted({name for name in used if name != CLOUD_SITE})
    mistakes = []
    for name in sites:
        if name == CLOUD_SITE:
            mistakes.append(Mistake(("sites", name), "…", "has no batch system; leave it out"))
        elif name not in known:
            said = f"known are {', '.join(known)}{did_you_mean(name, known)}" if known else "there is none"
            mistakes.append(Mistake(("sites", name), "…", f"is the site of no profile; {said}"))
    return mistakes


Check = Callable[[Any], Iterable[Mistake]]
_CHECKS: list[tuple[tuple[str, ...], Check]] = []


def needs(*fields: str) -> Callable[[Check], Check]:
    """Register a check with the fields it reads; it is left out where one of them is itself wrong."""

    def register(check: Check) -> Check:
        _CHECKS.append((fields, check))
        return check

    return register


def impossible(profile: Any) -> list[Mistake]:
    """Return every impossible combination in ``profile`` (a Profile, or what of one could be read)."""
    return [
        mistake
        for fields, check in _CHECKS
        if all(hasattr(profile, field) for field in fields)
        for mistake in check(profile)
    ]


@needs("site", "scheduler")
def _scheduler_fits_site(p: Any) -> Iterator[Mistake]:
    if p.site == "cloud" and p.scheduler != "none":
        yield Mistake(("scheduler",), p.scheduler, "must be none for the site cloud")


@needs("scheduler", "walltime")
def _batch_has_walltime(p: Any) -> Iterator[Mistake]:
    if p.scheduler != "none" and p.walltime is None:
        yield Mistake(("walltime",), None, f"is required for the scheduler {p.scheduler}")


@needs("scheduler", "cpu")
def _batch_cores_are_whole(p: Any) -> Iterator[Mistake]:
    if p.scheduler != "none":
        for name in ("min", "max", "default"):
            value = getattr(p.cpu, name)
            if value != int(value):
                yield Mistake(("cpu", name), value, "must be a whole number of cores on a batch system")


@needs("scheduler", "slurm")
def _slurm_settings_fit(p: Any) -> Iterator[Mistake]:
    if p.slurm is not None and p.scheduler != "slurm":
        yield Mistake(("slurm",), "…", f"is for the scheduler slurm, and this profile has {p.scheduler}")


@needs("scheduler", "gpu")
def _htcondor_has_no_gpus(p: Any) -> Iterator[Mistake]:
    # interlink-htcondor-plugin writes RequestCpus and RequestMemory only.
    if p.scheduler == "htcondor" and p.gpu is not None:
        yield Mistake(("gpu",), "…", "interLink's HTCondor plugin cannot ask for GPUs")


@needs("scheduler", "mounts", "apptainer_options", "pre_exec", "cvmfs", "fuse")
def _job_settings_need_a_batch_system(p: Any) -> Iterator[Mistake]:
    if p.scheduler == "none":
        for name in ("mounts", "apptainer_options", "pre_exec", "cvmfs", "fuse"):
            if getattr(p, name):
                yield Mistake((name,), "…", "is for batch systems (scheduler slurm or htcondor)")


@needs("site", "network")
def _cloud_needs_no_tunnel(p: Any) -> Iterator[Mistake]:
    if p.site == "cloud" and p.network.mode == "site":
        yield Mistake(("network", "mode"), "site", "must be direct for the site cloud")


@needs("network")
def _tunnel_settings_need_a_tunnel(p: Any) -> Iterator[Mistake]:
    if p.network.mode == "direct":
        for name in ("tunnel_ports", "tunnel_timeout_seconds"):
            if getattr(p.network, name):
                yield Mistake(("network", name), getattr(p.network, name), "needs network.mode: site")


@needs("network")
def _tunnel_ports_differ(p: Any) -> Iterator[Mistake]:
    ports, names = set(interlink.TUNNEL_OWN_PORTS), set(interlink.TUNNEL_OWN_NAMES)
    for n, port in enumerate(p.network.tunnel_ports):
        for field, value, taken in (("port", port.port, ports), ("name", port.name, names)):
            if value in taken:
                yield Mistake(
                    ("network", "tunnel_ports", n, field), value, "is taken by another port of the tunnel"
                )
            taken.add(value)


@needs("site", "home", "scheduler")
def _home_is_where_the_job_is(p: Any) -> Iterator[Mistake]:
    if p.site != "cloud" and p.home == "pvc":
        yield Mistake(
            ("home",), "pvc", "interLink drops volume claims; give a path at the site, or leave it out"
        )
    if p.site == "cloud" and p.home not in (None, "pvc"):
        yield Mistake(("home",), "…", "must be pvc for the site cloud")
    elif p.scheduler == "none" and p.home not in (None, "pvc"):
        yield Mistake(("home",), "…", "a path is for batch systems (scheduler slurm or htcondor)")


@needs("images", "scheduler")
def _images_can_be_told_apart(p: Any) -> Iterator[Mistake]:
    names = [image.name for image in p.images]
    for n, image in enumerate(p.images):
        if image.name in names[:n]:
            yield Mistake(("images", n, "name"), image.name, "is used by more than one image of the profile")
        if image.image.startswith("/"):
            if p.scheduler == "none":
                yield Mistake(
                    ("images", n, "image"), image.image, "a path needs the scheduler slurm or htcondor"
                )
            elif not interlink.matches(interlink.SIF_PATTERN, image.image):
                yield Mistake(("images", n, "image"), image.image, "must be the absolute path of a .sif file")
            elif ".." in image.image.split("/"):
                yield Mistake(("images", n, "image"), image.image, "must not contain a '..' folder")
    marked = [n for n, image in enumerate(p.images) if image.default]
    for n in marked[1:]:
        yield Mistake(("images", n, "default"), True, "only one image can be the default")


@needs("images", "scheduler")
def _htcondor_images_stay_in_containers(p: Any) -> Iterator[Mistake]:
    # interLink's plugin takes any image with this word in its name for a command to run without a container.
    for n, image in enumerate(p.images):
        if p.scheduler == "htcondor" and "host" in image.image:
            yield Mistake(
                ("images", n, "image"), image.image, "must not hold the word host for the scheduler htcondor"
            )


@needs("scheduler", "cpu")
def _cores_are_countable(p: Any) -> Iterator[Mistake]:
    if p.scheduler == "none":
        for name in ("min", "max", "default"):
            value = getattr(p.cpu, name)
            if round(value, 3) != value:
                yield Mistake(("cpu", name), value, "must have at most three decimals")


@needs("slurm")
def _extra_flags_are_not_ours(p: Any) -> Iterator[Mistake]:
    seen: set[str] = set()
    for n, flag in enumerate(p.slurm.extra_flags if p.slurm else []):
        if flag.split("=")[0] in seen:
            # interLink's plugin keeps the last one.
            yield Mistake(("slurm", "extra_flags", n), flag, "stands twice; only one of them would count")
        seen.add(flag.split("=")[0])
        # sbatch also takes the beginning of a long option's name for the option.
        meant = _long_name(flag.split("=")[0])
        if field := _OWN_FLAGS.get(meant):
            yield Mistake(("slurm", "extra_flags", n), flag, f"is written by RaySTER; use {field}")
        elif meant in _FORBIDDEN_FLAGS:
            yield Mistake(("slurm", "extra_flags", n), flag, "would break the job that interLink writes")


def _long_name(name: str) -> str:
    known = [*_OWN_FLAGS, *sorted(_FORBIDDEN_FLAGS)]
    return name if name in known else next((long for long in known if long.startswith(name)), name)


@needs("mounts", "fuse", "cvmfs")
def _targets_differ(p: Any) -> Iterator[Mistake]:
    targets = [(("mounts", n, "target"), mount.target or mount.source) for n, mount in enumerate(p.mounts)]
    targets += [(("cvmfs", n, "mount_path"), volume.mount_path) for n, volume in enumerate(p.cvmfs)]
    targets += [(("fuse", n, "mount_path"), volume.mount_path) for n, volume in enumerate(p.fuse)]
    taken: set[str] = set()
    for path, target in targets:
        if target in taken:
            yield Mistake(path, target, "is mounted twice")
        taken.add(target)
    for n, mount in enumerate(p.mounts):
        if mount.target is None and "{username}" in mount.source:
            # Harmless, but the path inside would differ per user, which no notebook can rely on.
            yield Mistake(("mounts", n, "target"), None, "is required when source holds {username}")


@needs("fuse", "cvmfs")
def _volume_names_differ(p: Any) -> Iterator[Mistake]:
    taken: set[str] = set()
    for kind in ("cvmfs", "fuse"):
        for n, volume in enumerate(getattr(p, kind)):
            if volume.name in taken:
                yield Mistake((kind, n, "name"), volume.name, "is used by more than one volume")
            taken.add(volume.name)


@needs("environment")
def _environment_is_not_the_hubs(p: Any) -> Iterator[Mistake]:
    for name in p.environment:
        if name.startswith(_HUB_ENVIRONMENT):
            yield Mistake(("environment", name), "…", "is set by the hub")


@needs("site", "node_labels")
def _one_node_is_chosen_once(p: Any) -> Iterator[Mistake]:
    if p.site != "cloud" and isinstance(p.site, str) and interlink.HOSTNAME_LABEL in p.node_labels:
        value = p.node_labels[interlink.HOSTNAME_LABEL]
        yield Mistake(("node_labels", interlink.HOSTNAME_LABEL), value, "is written by RaySTER; use site")


@needs("site", "node_labels")
def _virtual_nodes_run_no_linux(p: Any) -> Iterator[Mistake]:
    # interLink labels its node `kubernetes.io/os=virtual-kubelet`.
    labels = {"node_labels": p.node_labels, "site": p.site if isinstance(p.site, dict) else {}}
    for field, chosen in labels.items():
        if (
            p.site != "cloud"
            and chosen.get("kubernetes.io/os", interlink.VIRTUAL_NODE_TYPE) != "virtual-kubelet"
        ):
            yield Mistake(
                (field, "kubernetes.io/os"), chosen["kubernetes.io/os"], "a virtual node never has this label"
            )


@needs("tolerations")
def _tolerations_are_kubernetes_own(p: Any) -> Iterator[Mistake]:
    # The cluster refuses the whole pod for one that is none, which nobody would see before a user's spawn.
    for n, toleration in enumerate(p.tolerations):
        at = ("tolerations", n)
        if toleration.operator == "Exists" and toleration.value:
            yield Mistake((*at, "value"), toleration.value, "must be left out for the operator Exists")
        if toleration.key is None and toleration.operator != "Exists":
            yield Mistake((*at, "key"), None, "is required, but for the operator Exists")
        if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
            yield Mistake(
                (*at, "tolerationSeconds"), toleration.toleration_seconds, "needs effect: NoExecute"
            )


@needs("annotations")
def _annotations_are_safe(p: Any) -> Iterator[Mistake]:
    for key, value in p.annotations.items():
        if reason := _why_not_annotation(key, value):
            yield Mistake(("annotations", key), value, reason)


def _why_not_annotation(key: str, value: str) -> str | None:
    if field := _FIELD_OF_ANNOTATION.get(key):
        return f"is written by RaySTER; use {field}"
    if key.startswith((interlink.CVMFS_PREFIX, interlink.FUSE_PREFIX)):
        return "is written by RaySTER; use cvmfs or fuse"
    if key in interlink.WRITTEN_BY_INTERLINK:
        return "is written by interLink"
    if key.startswith(_HUB_ANNOTATIONS):
        return "is written by the hub"
    if key == interlink.POD_IP and not interlink.is_ipv4(value):
        return "must be an IPv4 address"
    if interlink.is_read_at_site(key) and not interlink.matches(interlink.ANNOTATION_VALUE_PATTERN, value):
        return "is run by the site's shell; only words of letters, digits and ._,:/@%+=- are safe"
    return None


@needs("annotations", "pre_exec", "fuse")
def _annotations_fit_into_a_pod(p: Any) -> Iterator[Mistake]:
    texts = {"pre_exec": p.pre_exec, "fuse": "".join(volume.script for volume in p.fuse)}
    texts["annotations"] = "".join(map("".join, p.annotations.items()))
    sizes = {field: len(text.encode()) for field, text in texts.items()}
    if sum(sizes.values()) > MAX_ANNOTATION_BYTES:
        largest = max(sizes, key=lambda field: sizes[field])
        yield Mistake(
            (largest,),
            "…",
            f"is too long: with {_and(f for f in texts if f != largest)} at most {MAX_ANNOTATION_BYTES} bytes",
        )


@needs("environment")
def _environment_fits_into_a_pod(p: Any) -> Iterator[Mistake]:
    if len("".join(map("".join, p.environment.items())).encode()) > MAX_ENVIRONMENT_BYTES:
        yield Mistake(("environment",), "…", f"is too long: at most {MAX_ENVIRONMENT_BYTES} bytes in all")


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)
