"""interLink's vocabulary: its labels, taint, annotation keys and status reasons, and what may enter its scripts.

Sources: interLink 0.6.2 (`pkg/virtualkubelet/virtualkubelet.go`), interlink-slurm-plugin (`pkg/slurm/prepare.go`)
and the kubelet's own names. No other module spells one of these strings.
"""

import ipaddress
import re
import shlex
from typing import Final

# Where a virtual node is, and how a pod is allowed on it.
VIRTUAL_NODE_TYPE_LABEL: Final = "virtual-node.interlink/type"
VIRTUAL_NODE_TYPE: Final = "virtual-kubelet"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
NO_SCHEDULE_TAINT: Final = "virtual-node.interlink/no-schedule"
NOT_READY_TAINT: Final = "node.kubernetes.io/not-ready"
UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"
NETWORK_UNAVAILABLE_TAINT: Final = "node.kubernetes.io/network-unavailable"

# What the SLURM and HTCondor plugins read. Every value is pasted into a shell script at the site.
FLAGS: Final = "slurm-job.vk.io/flags"
PRE_EXEC: Final = "slurm-job.vk.io/pre-exec"
APPTAINER_MOUNTS: Final = "slurm-job.vk.io/singularity-mounts"
APPTAINER_OPTIONS: Final = "slurm-job.vk.io/singularity-options"
CVMFS_PREFIX: Final = "cvmfs.vk.io/"
FUSE_PREFIX: Final = "fuse.vk.io/"

# The network between the cloud and the job.
TUNNEL_PORTS: Final = "interlink.eu/wstunnel-extra-ports"
TUNNEL_TIMEOUT: Final = "interlink.virtual-kubelet.io/wstunnel-timeout"
POD_IP: Final = "interlink.eu/pod-ip"

# Written from typed values only; an admin's `annotations` may not set them a second time.
RENDERED_ANNOTATIONS: Final = frozenset(
    {FLAGS, PRE_EXEC, APPTAINER_MOUNTS, APPTAINER_OPTIONS, TUNNEL_PORTS, TUNNEL_TIMEOUT}
)

# Written by the virtual kubelet.
JOB_ID_ANNOTATION: Final = "JobID"
# Nobody else may: a command, keys, and the job that a pod has (a pod that comes with one is never submitted).
WRITTEN_BY_INTERLINK: Final = frozenset(
    {
        "interlink.eu/wstunnel-client-commands",
        "interlink.eu/wireguard-client-snippet",
        "interlink.eu/pod-subnet",
        JOB_ID_ANNOTATION,
    }
)
# The whole domains, because every plugin has keys of its own: `slurm-job.vk.io`, `htcondor-job.vk.io`, `job.knoc.io`, …
_SITE_DOMAIN = re.compile(r"([a-z0-9.-]+\.)?(vk\.io|knoc\.io|interlink\.[a-z0-9.-]+)", re.ASCII)
# Of what the tunnel's server has itself; a second one makes the virtual kubelet refuse the pod.
TUNNEL_OWN_PORTS: Final = frozenset({8080, 28080, 51820})
TUNNEL_OWN_NAMES: Final = frozenset({"ws", "webhook", "vpn", "notebook-port"})
SUBMITTED_REASON: Final = "Remote pod submitted"
PROVIDER_FAILED: Final = "ProviderFailed"
WAITING_FOR_VOLUMES_PHASE: Final = "Initializing"
LOST_VOLUMES_REASON: Final = "CFGMaps/Secrets not found"
WALLTIME_MESSAGE: Final = "SLURM job reached its time limit and was terminated"

# The container is started with a clean environment, so what a job wants to know of itself is handed in by name.
JOB_ENVIRONMENT: Final = (
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_ACCOUNT",
    "SLURM_JOB_QOS",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_START_TIME",
    "SLURM_JOB_END_TIME",
    "SLURM_CPUS_PER_TASK",
    "SLURM_CLUSTER_NAME",
    "CUDA_VISIBLE_DEVICES",
)

# Whitelists of what the plugins paste unquoted. Each is matched whole. The same texts are the `pattern`s of the
# JSON Schema, so they use only what every regular expression dialect knows.
IMAGE_PATTERN: Final = r"^/?[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,510}$"
SIF_PATTERN: Final = r"^/[A-Za-z0-9._/+@-]{1,500}\.sif$"
PATH_PATTERN: Final = r"^/[A-Za-z0-9._/+@=-]{0,500}$"
# `{username}` stands for the user's escaped name, which fits the same whitelist.
USER_PATH_PATTERN: Final = r"^/([A-Za-z0-9._/+@=-]|\{username\}){0,500}$"
ENV_NAME_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
SLURM_WORD_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
SLURM_CONSTRAINT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._,&|+-]{0,127}$"
GRES_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}(:[A-Za-z0-9._-]{1,63})?:\{n\}$"
SLURM_FLAG_PATTERN: Final = r"^--[a-z][a-z0-9-]{0,63}(=[A-Za-z0-9][A-Za-z0-9._,:/@%+=\[\]-]{0,127})?$"
APPTAINER_OPTION_PATTERN: Final = r"^[A-Za-z0-9._,:/@%+=-]{1,256}$"
# Words, none of which could be taken for an option.
ANNOTATION_VALUE_PATTERN: Final = (
    r"^([A-Za-z0-9/][A-Za-z0-9._,:/@%+=-]{0,255}( [A-Za-z0-9/][A-Za-z0-9._,:/@%+=-]{0,255}){0,31})?$"
)

# Kubernetes' own rules for what a node is chosen by.
NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
NODE_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
LABEL_KEY_PATTERN: Final = (
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
)
LABEL_VALUE_PATTERN: Final = r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"

# The patterns as a person reads them; each stands after "must be".
IN_WORDS: Final = {
    IMAGE_PATTERN: "an image reference or an absolute path, of letters, digits and ._/:@+-",
    PATH_PATTERN: "an absolute path, of letters, digits and ._/+@=-",
    USER_PATH_PATTERN: "an absolute path, of letters, digits, ._/+@=- and {username}",
    ENV_NAME_PATTERN: "a variable name: letters, digits and _, not beginning with a digit",
    SLURM_WORD_PATTERN: "one word of letters, digits and ._+-",
    SLURM_CONSTRAINT_PATTERN: "node features joined by & | or a comma",
    GRES_PATTERN: "a generic resource with its count, such as gpu:{n} or gpu:a100:{n}",
    SLURM_FLAG_PATTERN: "an sbatch option without spaces or quotes, such as --exclusive or --mail-type=END",
    APPTAINER_OPTION_PATTERN: "one word of letters, digits and ._,:/@%+=-",
    NAME_PATTERN: "lower-case letters, digits and - (not first or last), at most 40",
    NODE_NAME_PATTERN: "the name of a node: lower-case letters, digits, - and .",
    LABEL_KEY_PATTERN: "a Kubernetes label key, such as example.org/name",
    LABEL_VALUE_PATTERN: "a Kubernetes label value: at most 63 letters, digits and ._-",
}


def matches(pattern: str, text: str) -> bool:
    """Tell whether ``text`` as a whole is what ``pattern`` allows (a trailing newline is not)."""
    return re.fullmatch(pattern, text, re.ASCII) is not None


def is_read_at_site(annotation: str) -> bool:
    """Tell whether the value of this annotation is executed or parsed by interLink or one of its plugins."""
    domain = annotation.rpartition("/")[0]
    return _SITE_DOMAIN.fullmatch(domain) is not None


def is_ipv4(text: str) -> bool:
    """Tell whether ``text`` is an IPv4 address as the virtual kubelet takes it."""
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def expand_username(path: str, safe_username: str) -> str:
    """Return ``path`` with ``{username}`` replaced by a user's label value, which no two users share.

    Raises ValueError when the name is none: a label value has no `/` and begins and ends with a letter or a digit.
    """
    if not safe_username or not matches(LABEL_VALUE_PATTERN, safe_username):
        raise ValueError(f"user name {safe_username!r} is not escaped")
    return path.replace("{username}", safe_username)


def render_flags(flags: list[str]) -> str:
    """Return the value of the flags annotation: sbatch options, each quoted for the plugin's word splitting."""
    return " ".join(shlex.quote(flag) for flag in flags)


def render_words(words: list[str]) -> str:
    """Return words for the apptainer command line, each quoted for the shell that they are pasted into."""
    return " ".join(shlex.quote(word) for word in words)


def render_pre_exec(admin_text: str, home: str | None) -> str:
    """Return the lines that run in a SLURM job before the container: RaySTER's, then the admin's text verbatim.

    ``APPTAINERENV_X`` (Apptainer) and ``SINGULARITYENV_X`` (SingularityCE) reach a container that is started with a
    clean environment. `--env` would not do: it splits values at commas, and node lists have some. Older versions of
    SLURM (22.05) do not tell a job when it started; these lines are the first thing that it does. ``home`` is made,
    because all jobs of a site run as one account and nobody else makes a directory for a new user.

    The text has lines of its own: the virtual kubelet puts a script in front of it that need not end one, and some
    plugin versions put the job's command behind it on the same line.
    """
    lines = [
        "",
        ': "${SLURM_JOB_START_TIME:=$(date +%s)}"',
        f"for name in {' '.join(JOB_ENVIRONMENT)}; do",
        '  if [ -n "${!name:-}" ]; then export "APPTAINERENV_$name=${!name}" "SINGULARITYENV_$name=${!name}"; fi',
        "done",
        *_making_home(home),
        _ending_its_line(admin_text),
    ]
    return "\n".join(lines)


def render_command_prefix(admin_text: str, home: str | None) -> str:
    """Return what stands in front of the container's command in an HTCondor job; an empty text when nothing must.

    The HTCondor plugin pastes it as words of one command line (`runCtn notebook … singularity exec …`), where lines
    of their own would end the command; so all lines are the script of one `bash -c` that goes on with the command.
    """
    if not (admin_text or home):
        return ""
    lines = [*_making_home(home), _ending_its_line(admin_text) + 'exec "$@"']
    return f"bash -c {shlex.quote(chr(10).join(lines))} pre-exec"


def _making_home(home: str | None) -> list[str]:
    return [f"mkdir -p -m 700 -- {shlex.quote(home)}"] if home else []


def _ending_its_line(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"
