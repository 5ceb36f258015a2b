"""Volumes of a pod: the files and directories a job needs, and the binds of each container."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class UnsupportedVolume(ValueError):
    """A volume the plugin refuses; its text goes to the user through the pod's status."""


@dataclass
class Volumes:
    """What `prepare` found: directories to make, files to write, binds per container name."""

    directories: list[Path] = field(default_factory=list)
    files: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    binds: dict[str, list[str]] = field(default_factory=dict)

    def write(self) -> None:
        """Make the directories and write the files with their modes."""
        for directory in self.directories:
            directory.mkdir(parents=True, exist_ok=True)
        for path, (content, mode) in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode)


def prepare(create_request: Mapping[str, Any], job_dir: Path) -> Volumes:
    """Return what the pod's volumes need below `job_dir`.

    emptyDir, configMap, secret, projected and hostPath are known. Any other type, a PVC for example,
    silently takes away **all** binds of a container that mounts it, as found on the real plugin.

    Args:
        create_request: body of `/create`: the pod, and per container its resolved config maps and secrets.
        job_dir: directory of the job.

    Raises:
        UnsupportedVolume: a hostPath whose type is not Directory or DirectoryOrCreate, or that is
            missing; a config map or secret that was not sent.
    """
    pod = create_request["pod"]
    retrieved = {entry["name"]: entry for entry in create_request.get("container") or []}
    by_name = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
    volumes = Volumes()
    spec = pod["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        name = container["name"]
        binds: list[str] = []
        for mount in container.get("volumeMounts") or []:
            volume = by_name.get(mount["name"])
            if volume is None:
                raise UnsupportedVolume(
                    f"could not find volume {mount['name']} in pod {pod['metadata']['name']}"
                )
            found = _binds_of(volume, mount, retrieved.get(name) or {}, pod, job_dir, volumes)
            if found is None:
                binds = []
                break
            binds += found
        volumes.binds[name] = binds
    return volumes


def _binds_of(
    volume: Mapping[str, Any],
    mount: Mapping[str, Any],
    retrieved: Mapping[str, Any],
    pod: Mapping[str, Any],
    job_dir: Path,
    volumes: Volumes,
) -> list[str] | None:
    mode = ":ro" if mount.get("readOnly") else ":rw"
    if "emptyDir" in volume:
        directory = job_dir / "emptyDirs" / volume["name"]
        volumes.directories.append(directory)
        return [f"{directory}:{mount['mountPath']}{mode}"]
    if "hostPath" in volume:
        source = _host_path(volume, pod, volumes)
        return [f"{source}:{mount['mountPath']}{':ro' if mount.get('readOnly') else ''}"]
    if (found := _files_of(volume, retrieved, pod)) is None:
        return None
    kind, files, file_mode = found
    binds = []
    for key, content in files.items():
        path = job_dir / kind / mount["name"] / key
        volumes.files[path] = (content, file_mode)
        # With subPath every key is bound to the same place: `items` and `subPath` are not honoured.
        target = mount["mountPath"] if mount.get("subPath") else posixpath.join(mount["mountPath"], key)
        binds.append(f"{path}:{target}{mode}")
    return binds


def _files_of(
    volume: Mapping[str, Any], retrieved: Mapping[str, Any], pod: Mapping[str, Any]
) -> tuple[str, dict[str, bytes], int] | None:
    if source := volume.get("configMap"):
        data = _sent(retrieved, "configMaps", "configMap", source["name"], pod)
        return "configMaps", _texts(data), source.get("defaultMode", 0o644)
    if source := volume.get("secret"):
        data = _sent(retrieved, "secrets", "secret", source["secretName"], pod)
        files = {key: base64.b64decode(value) for key, value in data.items()}
        return "secrets", files, source.get("defaultMode", 0o644)
    if "projected" in volume:
        maps = {entry["metadata"]["name"]: entry for entry in retrieved.get("projectedvolumemaps") or []}
        data = maps.get(volume["name"], {}).get("data") or {}
        return "projectedVolumeMaps", _texts(data), volume["projected"].get("defaultMode", 0o644)
    return None


def _sent(
    retrieved: Mapping[str, Any], field_name: str, kind: str, name: str, pod: Mapping[str, Any]
) -> dict[str, str]:
    for entry in retrieved.get(field_name) or []:
        if entry["metadata"]["name"] == name:
            return entry.get("data") or {}
    raise UnsupportedVolume(
        f"could not find {kind} {name} in container {retrieved.get('name', '')}"
        f" in pod {pod['metadata']['name']}"
    )


def _texts(data: Mapping[str, str]) -> dict[str, bytes]:
    """Return the contents as bytes; text without a newline has its literal `\\n` turned into newlines."""
    return {
        key: (value if "\n" in value else value.replace("\\n", "\n")).encode() for key, value in data.items()
    }


def _host_path(volume: Mapping[str, Any], pod: Mapping[str, Any], volumes: Volumes) -> Path:
    source = Path(volume["hostPath"]["path"])
    kind = volume["hostPath"].get("type") or ""
    where = f"for volume {volume['name']} in pod {pod['metadata']['name']}"
    if kind == "DirectoryOrCreate":
        volumes.directories.append(source)
    elif kind == "Directory":
        if not source.exists():
            raise UnsupportedVolume(f"hostPath directory {source} does not exist {where}")
    else:
        raise UnsupportedVolume(f"unsupported hostPath type {kind} {where}")
    return source
