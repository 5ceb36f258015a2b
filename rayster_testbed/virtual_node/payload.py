"""The body of `/create`: a pod with literal environment, and for each container the objects that its volumes need."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import structlog

from rayster_testbed.kube import Obj
from rayster_testbed.pod_env import EnvError, Objects, container_env, field_value

log = structlog.get_logger()


class MissingObject(Exception):
    """A config map or secret of a volume does not exist (yet); the text names it."""


def with_literal_env(pod: Obj, objects: Objects) -> Obj:
    """A copy of *pod* whose environment holds values only, as the virtual-kubelet library resolves it.

    `resourceFieldRef` variables are dropped, as there.

    Raises: EnvError, also for `status.podIP`, which the library does not know.
    """
    pod = copy.deepcopy(pod)
    for container in all_containers(pod):
        env = container_env(
            container,
            objects,
            namespace=pod["metadata"]["namespace"],
            field=lambda ref: _library_field(pod, ref["fieldPath"]),
            resource=lambda ref: None,
        )
        container.pop("envFrom", None)
        container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return pod


def _library_field(pod: Obj, field_path: str) -> str:
    if field_path.startswith("status."):
        raise EnvError(f"unsupported fieldPath: {field_path}")
    return field_value(pod, field_path, {})


def all_containers(pod: Mapping) -> list[Obj]:
    """Init containers first, as interLink orders them."""
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def volume_references(spec: Mapping) -> set[tuple[str, str]]:
    """The config maps and secrets of the volumes that interLink handles, as (plural, name)."""
    found: set[tuple[str, str]] = set()
    for volume in spec.get("volumes") or []:
        if volume.get("configMap"):
            found.add(("configmaps", volume["configMap"]["name"]))
        if volume.get("secret"):
            found.add(("secrets", volume["secret"]["secretName"]))
        for source in (volume.get("projected") or {}).get("sources") or []:
            if source.get("configMap"):
                found.add(("configmaps", source["configMap"]["name"]))
    return found


def check_volumes(spec: Mapping, objects: Objects) -> None:
    """Raises: MissingObject for the first volume whose object is missing; `optional` is not honoured, as found."""
    for volume in spec.get("volumes") or []:
        for plural, name in sorted(volume_references({"volumes": [volume]})):
            if objects.get((plural, name)) is None:
                raise MissingObject(f'{plural[:-1]} "{name}" of volume {volume["name"]}')


def create_request(pod: Obj, objects: Objects, tokens: Mapping[str, str]) -> Obj:
    """The body of `/create`.

    Args:
        pod: the pod with literal environment; `downwardAPI` volumes become projected ones in the copy that is sent.
        objects: the objects named by `volume_references`.
        tokens: service account token by path.
    """
    pod = copy.deepcopy(pod)
    projected: dict[str, Obj] = {}
    volumes: dict[str, Obj] = {}
    for volume in pod["spec"].get("volumes") or []:
        if downward := volume.pop("downwardAPI", None):
            volume["projected"] = {"sources": [{"downwardAPI": {"items": downward.get("items") or []}}]}
        if "projected" in volume:
            data = _projected_data(pod, volume["projected"], objects, tokens)
            projected[volume["name"]] = {"metadata": {"name": volume["name"]}, "data": data}
        elif not any(kind in volume for kind in ("configMap", "secret", "emptyDir")):
            log.warning("ignoring unsupported volume", volume=volume["name"], pod=pod["metadata"]["name"])
        volumes[volume["name"]] = volume
    containers = [_container_data(c, volumes, objects, projected) for c in all_containers(pod)]
    return {"pod": pod, "container": containers, "jobConfig": {}}


def _container_data(
    container: Mapping, volumes: Mapping[str, Obj], objects: Objects, projected: Mapping[str, Obj]
) -> Obj:
    config_maps: list[Obj] = []
    secrets: list[Obj] = []
    projections: list[Obj] = []
    for mount in container.get("volumeMounts") or []:
        volume = volumes.get(mount["name"], {})
        if source := volume.get("configMap"):
            config_maps.append(_object(objects, "configmaps", source["name"]))
        elif source := volume.get("secret"):
            secrets.append(_object(objects, "secrets", source["secretName"]))
        elif volume.get("name") in projected:
            projections.append(projected[volume["name"]])
    return {
        "name": container["name"],
        "configMaps": config_maps or None,
        "projectedvolumemaps": projections or None,
        "secrets": secrets or None,
        "emptyDirs": None,
    }


def _object(objects: Objects, plural: str, name: str) -> Obj:
    return dict(objects[(plural, name)] or {})


def _projected_data(pod: Obj, source: Mapping, objects: Objects, tokens: Mapping[str, str]) -> dict[str, str]:
    """Tokens, config maps and downward API fields; projected secrets are not handled, as found."""
    data: dict[str, str] = {}
    for part in source.get("sources") or []:
        if token := part.get("serviceAccountToken"):
            data[token["path"]] = tokens.get(token["path"], "")
        if config_map := part.get("configMap"):
            content = _object(objects, "configmaps", config_map["name"]).get("data") or {}
            items = config_map.get("items") or [{"key": key, "path": key} for key in content]
            data |= {item["path"]: content[item["key"]] for item in items if item["key"] in content}
        for item in (part.get("downwardAPI") or {}).get("items") or []:
            if ref := item.get("fieldRef"):
                data[item["path"]] = _projected_field(pod, ref["fieldPath"])
    return data


def _projected_field(pod: Obj, field_path: str) -> str:
    try:
        return _library_field(pod, field_path)
    except EnvError as error:
        log.warning("downward API field left empty", field=field_path, error=str(error))
        return ""
