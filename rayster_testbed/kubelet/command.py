"""What a container's process is started with: command line, environment and working directory; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rayster_testbed.kubelet.volumes import Mount, translate, translate_argument
from rayster_testbed.pod_env import expand


class CommandError(Exception):
    """The container names nothing to run."""


@dataclass(frozen=True)
class Process:
    """A process to start; `scratch` are directories that must exist first."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    scratch: tuple[Path, ...]


def build_process(
    pod: Mapping,
    container: Mapping,
    env: Mapping[str, str],
    mounts: Sequence[Mount],
    scratch_dir: Path,
    search_path: str,
) -> Process:
    """The process of a container whose image is this machine.

    Args:
        pod: the pod.
        container: the container of its spec.
        env: its resolved environment, see `pod_env.container_env`.
        mounts: see `volumes.container_mounts`.
        scratch_dir: stands for the container's writable layer; HOME is here when no volume is mounted there.
        search_path: PATH unless the pod sets one.
    Raises: CommandError.
    """
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not words:
        raise CommandError("no command specified")
    image_env = {
        "PATH": search_path,
        "LANG": "C.UTF-8",
        "HOSTNAME": pod["spec"].get("hostname") or _host(pod),
    }
    inside = {**image_env, **env}
    translated = {name: translate(value, mounts) for name, value in inside.items()}
    working_dir = container.get("workingDir")
    translated.setdefault("HOME", _default_home(working_dir, mounts, scratch_dir))
    home = _existing_or_scratch(translated["HOME"], mounts, scratch_dir)
    translated["HOME"] = str(home)
    cwd = _existing_or_scratch(translate(working_dir, mounts), mounts, scratch_dir) if working_dir else home
    argv = [translate_argument(expand(word, inside), mounts) for word in words]
    return Process(argv, translated, cwd, (home, cwd))


def _host(pod: Mapping) -> str:
    return pod["metadata"]["name"][:63]


def _default_home(working_dir: str | None, mounts: Sequence[Mount], scratch_dir: Path) -> str:
    """Where an image would put its user: a volume mounted at or above the working directory or below /home."""
    for mount in mounts:
        if mount.mount_path == working_dir or mount.mount_path.startswith("/home/"):
            return str(mount.host_path)
    return str(scratch_dir / "home")


def _existing_or_scratch(text: str, mounts: Sequence[Mount], scratch_dir: Path) -> Path:
    """A directory of a volume or of this machine; one that only the image would have is made in the scratch space."""
    place = Path(text)
    in_volume = any(place == m.host_path or m.host_path in place.parents for m in mounts)
    if in_volume or place.is_dir() or scratch_dir in place.parents:
        return place
    return scratch_dir / place.relative_to("/") if place.is_absolute() else scratch_dir / place
