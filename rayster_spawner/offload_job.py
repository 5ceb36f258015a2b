"""What a pod's job is told by annotations: sbatch options, binds, apptainer's words, scripts, tunnels. Pure.

Everything here is written from typed values; whatever else had put such an annotation on the pod is taken out.
"""

from typing import Any

from . import interlink
from .options import ServerOptions
from .profiles import HomeDirectory, Profile
from .quantities import slurm_time

Pod = dict[str, Any]

USERNAME_LABEL = "hub.jupyter.org/username"


class OffloadError(ValueError):
    """The pod cannot run at the site; ``errors`` say what stands in the way, one a line."""

    def __init__(self, errors: list[str]):
        self.errors = errors
        super().__init__("\n".join(errors))


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


def set_job_annotations(pod: Pod, profile: Profile, options: ServerOptions) -> None:
    """Write the annotations of the job of ``pod``, in place. Raises OffloadError."""
    annotations = pod["metadata"]["annotations"]
    for key in list(annotations):
        # Whatever else put them there (a chart value, a hook): these are written from typed values, or not at all.
        if (
            key in interlink.RENDERED_ANNOTATIONS
            or key in interlink.WRITTEN_BY_INTERLINK
            or key.startswith((interlink.CVMFS_PREFIX, interlink.FUSE_PREFIX))
        ):
            del annotations[key]
    if profile.is_batch:
        annotations.update(_batch_annotations(profile, options, user_of(pod)))
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
    home = home_of(profile, user)
    binds = [
        word
        for mount in profile.mounts
        for word in ("--bind", _bind(mount.source, mount.target, mount.read_only, user))
    ]
    words = [*profile.apptainer_options, *(["--home", home] if home else [])]
    if profile.scheduler == "slurm":
        annotations = {
            interlink.FLAGS: interlink.render_flags(sbatch_flags(profile, options)),
            interlink.APPTAINER_MOUNTS: interlink.render_words(binds),
            interlink.APPTAINER_OPTIONS: interlink.render_words([*words, *(["--pwd", home] if home else [])]),
            interlink.PRE_EXEC: interlink.render_pre_exec(profile.pre_exec, home),
        }
    else:
        # interLink's HTCondor plugin reads no binds but those among the options.
        annotations = {
            interlink.APPTAINER_OPTIONS: interlink.render_words(binds + words),
            interlink.PRE_EXEC: interlink.render_command_prefix(profile.pre_exec, home),
        }
    return {key: value for key, value in annotations.items() if value}


def user_of(pod: Pod) -> str:
    """Return the escaped name of the user whose pod it is; empty when it has none."""
    return pod["metadata"]["labels"].get(USERNAME_LABEL, "")


def home_of(profile: Profile, user: str) -> str | None:
    """Return the home directory at the site of the user with this escaped name. Raises OffloadError."""
    return _for_user(profile.home.path, user) if isinstance(profile.home, HomeDirectory) else None


def _for_user(path: str, user: str) -> str:
    try:
        return interlink.expand_username(path, user) if "{username}" in path else path
    except ValueError as error:
        raise OffloadError([str(error)]) from None


def _bind(source: str, target: str | None, read_only: bool, user: str) -> str:
    source = _for_user(source, user)
    return f"{source}:{target or source}" + (":ro" if read_only else "")
