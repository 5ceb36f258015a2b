"""The two scripts of a job, as pure functions of the pod: `job.slurm` for sbatch, `job.sh` for the containers.

Image, mounts, options, pod-ip and pre-exec are pasted as shell, exactly like the real plugin does:
this module is the oracle for what a hostile pod could inject.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rayster_testbed.slurm_plugin.flags import deduplicate, flag_key, split_flags
from rayster_testbed.slurm_plugin.resources import limits_of

IMAGE_PREFIX = "docker://"
RUNTIME_DEFAULT_OPTIONS = ("--nv", "--no-eval", "--containall")
_HAS_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+\-.]*://")

_FUNCTIONS = r"""
now() { date -Is --utc; }

runInitCtn() {
  ctn="$1"; shift
  echo "$(now) Running init container ${ctn}..."
  time ( "$@" ) &> "${workingPath}/init-${ctn}.out"
  exitCode="$?"
  echo "${exitCode}" > "${workingPath}/init-${ctn}.status"
  if test "${exitCode}" != 0; then
    echo "$(now) InitContainer ${ctn} failed with status ${exitCode}" >&2
    exit "${exitCode}"
  fi
}

runCtn() {
  ctn="$1"; shift
  time ( "$@" ) >> "${workingPath}/run-${ctn}.out" 2>&1 &
  echo "$(now) Running in background ${ctn} pid $!..."
  pidCtns="${pidCtns} $!:${ctn}"
}

waitCtns() {
  for pidCtn in ${pidCtns}; do
    wait "${pidCtn%:*}"
    exitCode="$?"
    echo "${exitCode}" > "${workingPath}/run-${pidCtn#*:}.status"
    echo "$(now) Container ${pidCtn#*:} pid ${pidCtn%:*} ended with status ${exitCode}."
    test "${highestExitCode}" -lt "${exitCode}" && highestExitCode="${exitCode}"
  done
}

highestExitCode=0
pidCtns=""
"""


def annotations_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the pod's annotations, an empty mapping when there are none."""
    return pod["metadata"].get("annotations") or {}


def sbatch_flags(pod: Mapping[str, Any]) -> list[str]:
    """Return the flags of the `#SBATCH` lines that follow job name and output, in order."""
    limits = limits_of(pod)
    flags = []
    from_annotation = set()
    for flag in split_flags(annotations_of(pod).get("slurm-job.vk.io/flags", "")):
        key = flag_key(flag)
        if (key == "--cpus-per-task" and limits.cpus) or (key == "--mem" and limits.memory_mib is not None):
            continue
        from_annotation.add(key)
        flags.append(flag)
    run_as_user = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    if run_as_user is not None and run_as_user >= 0:
        flags.append(f"--uid={run_as_user}")
    if limits.cpus:
        flags.append(f"--cpus-per-task={limits.cpus}")
    elif "--cpus-per-task" not in from_annotation:
        flags.append("--cpus-per-task=1")
    if limits.memory_mib is not None:
        flags.append(f"--mem={limits.memory_mib}")
    elif "--mem" not in from_annotation:
        # One MiB: what the plugin asks for when no container has a memory limit.
        flags.append("--mem=1")
    return deduplicate(flags)


def job_script(pod: Mapping[str, Any], job_dir: str = "/interlink/jobs/pod") -> str:
    """Return the text of `job.slurm`.

    Args:
        pod: the pod as Kubernetes' JSON; needs metadata.uid and spec.containers.
        job_dir: absolute directory of this job, without special characters.
    """
    annotations = annotations_of(pod)
    prefix = ""
    if "interlink.eu/pod-ip" in annotations:
        prefix += f"\nexport POD_IP={annotations['interlink.eu/pod-ip']}\n"
    if "interlink.eu/wstunnel-client-commands" in annotations:
        prefix += f"\n{annotations['interlink.eu/wstunnel-client-commands']}\n"
    if "slurm-job.vk.io/pre-exec" in annotations:
        prefix += f"\n{annotations['slurm-job.vk.io/pre-exec']}"
    flags = "".join(f"\n#SBATCH {flag}" for flag in sbatch_flags(pod))
    return (
        "#!/bin/bash"
        f"\n#SBATCH --job-name={pod['metadata']['uid']}"
        f"\n#SBATCH --output={job_dir}/job.out"
        f"{flags}\n{prefix}\n{job_dir}/job.sh\n"
    )


def image_reference(pod: Mapping[str, Any], image: str) -> str:
    """Return the image as the container runtime gets it: prefixed unless it is a path or has a scheme."""
    if image.startswith("/") or _HAS_SCHEME.match(image):
        return image
    return annotations_of(pod).get("slurm-job.vk.io/image-root", IMAGE_PREFIX) + image


def env_file(container: Mapping[str, Any]) -> str:
    """Return the text of a container's environment file: the name as it is, the value quoted."""
    return "".join(
        f"{variable['name']}={shlex.quote(variable.get('value') or '')}\n"
        for variable in container.get("env") or []
    )


def containers_script(
    pod: Mapping[str, Any], job_dir: str, runtime: str, binds: Mapping[str, Sequence[str]]
) -> str:
    """Return the text of `job.sh`: init containers one after another, then all containers at once.

    Args:
        pod: the pod as Kubernetes' JSON.
        job_dir: absolute directory of this job, where output, status and environment files are.
        runtime: path of the `singularity` program.
        binds: for each container name its bind specifications `source:destination[:mode]`.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    lines = [
        "#!/bin/bash",
        f"export workingPath={job_dir}",
        f"export SANDBOX={job_dir}",
        _FUNCTIONS,
        f'echo "This pod {metadata["name"]}/{metadata["uid"]} has been submitted'
        ' to SLURM node ${SLURMD_NODENAME}."',
        'echo "To get more info, please run: scontrol show job ${SLURM_JOBID}."',
    ]
    for container in spec.get("initContainers") or []:
        lines.append(f"runInitCtn {_container_line(pod, container, job_dir, runtime, binds)}")
    for container in spec["containers"]:
        lines.append(f"runCtn {_container_line(pod, container, job_dir, runtime, binds)}")
    lines += ["waitCtns", 'echo "$(now) End of script, highest exit code ${highestExitCode}..."']
    lines.append('exit "${highestExitCode}"')
    return "\n".join(lines) + "\n"


def _container_line(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    job_dir: str,
    runtime: str,
    binds: Mapping[str, Sequence[str]],
) -> str:
    annotations = annotations_of(pod)
    name, command = container["name"], container.get("command") or []
    words = [
        name,
        runtime,
        # `run` honours the image's own entry point, `exec` replaces it.
        "exec" if command else "run",
        *RUNTIME_DEFAULT_OPTIONS,
        annotations.get("slurm-job.vk.io/singularity-mounts", ""),
        annotations.get("slurm-job.vk.io/singularity-options", ""),
    ]
    if container.get("env"):
        words += ["--env-file", f"{job_dir}/{name}_envfile.properties"]
    words += [f"--bind {bind}" for bind in binds.get(name, ())]
    words.append(image_reference(pod, container.get("image", "")))
    words += [shlex.quote(word) for word in [*command, *(container.get("args") or [])]]
    return " ".join(words)
