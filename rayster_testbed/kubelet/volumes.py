"""Volumes of a pod as directories of this machine, and the translation of paths inside the container to them.

Nothing can be mounted without root, so a container sees the machine's own file system. What lies under a `mountPath` is
therefore translated where the kubelet hands paths to the process: HOME, the working directory, environment values
(also each part of a `:`-separated list), arguments, and the value of `--option=/path` arguments. The limits of that:

* a path written inside a shell script, a program or a configuration file is not translated; use `$HOME` or another
  environment variable there;
* `readOnly` is not enforced, `medium: Memory` and `sizeLimit` are ignored, file modes are those of the volume's
  `defaultMode` but the owner is always this user;
* config maps and secrets are written once, when the pod starts: later changes do not reach a running pod;
* claims are directories `DIR/volumes/<namespace>/<claim>` and outlive their PersistentVolumeClaim.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rayster_testbed.pod_env import EnvError, Objects, field_value, object_data, resource_value


class MountError(Exception):
    """A volume cannot be set up; the text is what the `FailedMount` event says."""


@dataclass(frozen=True)
class Mount:
    """One mounted path of a container and the place on this machine that stands for it."""

    mount_path: str
    host_path: Path


def volume_references(spec: Mapping) -> set[tuple[str, str]]:
    """The config maps and secrets that the volumes of a pod need, as (plural, name)."""
    found: set[tuple[str, str]] = set()
    for volume in spec.get("volumes") or []:
        for plural, source in _object_sources(volume):
            found.add((plural, _source_name(plural, source)))
    return found


def set_up(
    pod: Mapping,
    volumes_dir: Path,
    claims_dir: Path,
    objects: Objects,
    status: Mapping[str, str],
    tokens: Mapping[str, str],
) -> dict[str, Path]:
    """Make every volume of *pod*.

    Args:
        pod: the pod.
        volumes_dir: where volumes that live with the pod go.
        claims_dir: where the volumes of claims live.
        objects: the objects named by `volume_references`.
        status: paths that only the kubelet knows, see `pod_env.field_value`.
        tokens: service account token by path, see `token_requests`.
    Returns: the directory (or file, for a hostPath) of each volume by name.
    Raises: MountError.
    """
    made: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        name = volume["name"]
        place = volumes_dir / name
        if source := volume.get("hostPath"):
            made[name] = _host_path(name, source)
            continue
        if claim := volume.get("persistentVolumeClaim"):
            place = claims_dir / pod["metadata"]["namespace"] / claim["claimName"]
        place.mkdir(parents=True, exist_ok=True)
        for file, content, mode in _files(pod, volume, objects, status, tokens):
            _write(place, file, content, mode)
        made[name] = place
    return made


def container_mounts(container: Mapping, volumes: Mapping[str, Path]) -> list[Mount]:
    """The mounts of one container, with `subPath` applied; what a subPath names is made when it is missing.

    Raises: MountError for a mount of an unknown volume or a subPath that leaves its volume.
    """
    mounts = []
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in volumes:
            raise MountError(f'volume "{mount["name"]}" is not one of the pod\'s volumes')
        place = volumes[mount["name"]]
        if sub := mount.get("subPath"):
            if PurePosixPath(sub).is_absolute() or ".." in PurePosixPath(sub).parts:
                raise MountError(f"subPath {sub!r} must stay inside its volume")
            place = place / sub
            if not place.exists():
                place.mkdir(parents=True)
        mounts.append(Mount(mount["mountPath"].rstrip("/") or "/", place))
    return mounts


def translate(text: str, mounts: Sequence[Mount]) -> str:
    """*text* with every `:`-separated part that lies under a mounted path pointing to its place on this machine."""
    if not mounts or "/" not in text:
        return text
    return ":".join(_translate_path(part, mounts) for part in text.split(":"))


def translate_argument(text: str, mounts: Sequence[Mount]) -> str:
    """As `translate`, also for the value of `--option=/path`."""
    option, equals, value = text.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={translate(value, mounts)}"
    return translate(text, mounts)


def _translate_path(text: str, mounts: Sequence[Mount]) -> str:
    for mount in sorted(mounts, key=lambda m: len(m.mount_path), reverse=True):
        if text == mount.mount_path or text == mount.mount_path + "/":
            return str(mount.host_path)
        if text.startswith(mount.mount_path + "/"):
            return f"{mount.host_path}{text[len(mount.mount_path) :]}"
    return text


def _object_sources(volume: Mapping) -> list[tuple[str, Mapping]]:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    found: list[tuple[str, Mapping]] = []
    for source in sources:
        if source.get("configMap"):
            found.append(("configmaps", source["configMap"]))
        if source.get("secret"):
            found.append(("secrets", source["secret"]))
    return found


def _source_name(plural: str, source: Mapping) -> str:
    # A secret volume says secretName; a config map and every projected source say name.
    return source.get("secretName") or source["name"] if plural == "secrets" else source["name"]


def _host_path(name: str, source: Mapping) -> Path:
    place, kind = Path(source["path"]), source.get("type") or ""
    if kind in ("DirectoryOrCreate", "") and not place.exists():
        place.mkdir(parents=True, exist_ok=True)
    if kind == "FileOrCreate":
        place.touch(exist_ok=True)
    if (kind == "Directory" and not place.is_dir()) or (kind == "File" and not place.is_file()):
        noun = "directory" if kind == "Directory" else "file"
        raise MountError(
            f'MountVolume.SetUp failed for volume "{name}" : hostPath type check failed: {place} is not a {noun}'
        )
    return place


def _files(
    pod: Mapping, volume: Mapping, objects: Objects, status: Mapping[str, str], tokens: Mapping[str, str]
) -> Iterable[tuple[str, bytes, int]]:
    """The files of a volume as (path inside it, content, mode)."""
    sources = [volume]
    mode = 0o644
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        mode = (volume.get(kind) or {}).get("defaultMode", mode)
    if volume.get("projected"):
        sources = volume["projected"].get("sources") or []
    for source in sources:
        for plural, reference in _object_sources(
            source if source is not volume else {**volume, "projected": None}
        ):
            yield from _object_files(pod, volume["name"], plural, reference, objects, mode)
        for item in (source.get("downwardAPI") or {}).get("items") or []:
            yield item["path"], _downward(pod, volume["name"], item, status).encode(), item.get("mode", mode)
        if token := source.get("serviceAccountToken"):
            yield token["path"], tokens[token["path"]].encode(), 0o600


def _object_files(
    pod: Mapping, volume: str, plural: str, source: Mapping, objects: Objects, mode: int
) -> Iterable[tuple[str, bytes, int]]:
    name = _source_name(plural, source)
    obj = objects.get((plural, name))
    if obj is None:
        if source.get("optional"):
            return
        raise MountError(f'MountVolume.SetUp failed for volume "{volume}" : {plural[:-1]} "{name}" not found')
    data = object_data(plural, obj)
    items = source.get("items")
    if items is None:
        yield from ((key, content, mode) for key, content in data.items())
        return
    for item in items:
        if item["key"] in data:
            yield item["path"], data[item["key"]], item.get("mode", mode)
        elif not source.get("optional"):
            namespace = pod["metadata"]["namespace"]
            raise MountError(
                f'MountVolume.SetUp failed for volume "{volume}" : '
                f"references non-existent {plural[:-1]} key: {item['key']} in {namespace}/{name}"
            )


def _downward(pod: Mapping, volume: str, item: Mapping, status: Mapping[str, str]) -> str:
    try:
        if ref := item.get("fieldRef"):
            return field_value(pod, ref["fieldPath"], status)
        ref = item["resourceFieldRef"]
        container = next(c for c in pod["spec"]["containers"] if c["name"] == ref["containerName"])
        return resource_value(container, ref, {})
    except (EnvError, StopIteration) as error:
        raise MountError(f'MountVolume.SetUp failed for volume "{volume}" : {error}') from error


def _write(place: Path, file: str, content: bytes, mode: int) -> None:
    target = place / file
    if ".." in PurePosixPath(file).parts or PurePosixPath(file).is_absolute():
        raise MountError(f"path {file!r} must stay inside its volume")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    draft.write_bytes(content)
    os.chmod(draft, mode)  # noqa: PTH101
    draft.replace(target)
