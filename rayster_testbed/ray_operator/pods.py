"""The pods of a cluster: the group's template with what KubeRay adds to it (`common/pod.go`); pure functions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rayster_testbed.kube import Obj
from rayster_testbed.ray_operator import names
from rayster_testbed.ray_operator.names import HEAD, WORKER, NodeType
from rayster_testbed.ray_operator.probes import health_probes
from rayster_testbed.ray_operator.start_command import ULIMIT, head_port, ray_start, start_params

_BASH = ["/bin/bash", "-c", "--"]
_WAIT = "wait-gcs-ready"
_SHARED_MEMORY = "shared-mem"


def head_pod(cluster: Mapping[str, Any], spec_hash: str) -> Obj:
    """The head pod of *cluster*; *spec_hash* tells later whether the spec has changed since."""
    group = cluster["spec"]["headGroupSpec"]
    pod = _from_template(cluster, group, HEAD, names.HEAD_GROUP)
    pod["metadata"]["generateName"] = names.pod_prefix(cluster["metadata"]["name"], HEAD)
    pod["metadata"]["annotations"] |= {
        names.FAULT_TOLERANCE: "false",
        names.UPGRADE_HASH: spec_hash,
        names.KUBERAY_VERSION_ANNOTATION: names.KUBERAY_VERSION,
    }
    return _complete(cluster, group, HEAD, pod)


def worker_pod(cluster: Mapping[str, Any], group: Mapping[str, Any], index: int) -> Obj:
    """A pod of a worker group; *index* is the lowest number that no other pod of the group has."""
    pod = _from_template(cluster, group, WORKER, group["groupName"])
    name = cluster["metadata"]["name"]
    pod["metadata"]["generateName"] = names.pod_prefix(name, WORKER, group["groupName"])
    pod["metadata"]["labels"][names.REPLICA_INDEX_LABEL] = str(index)
    spec = pod["spec"]
    spec["initContainers"] = [
        *(spec.get("initContainers") or []),
        _wait_for_gcs(cluster, spec["containers"][0]),
    ]
    return _complete(cluster, group, WORKER, pod)


def _from_template(
    cluster: Mapping[str, Any], group: Mapping[str, Any], node_type: NodeType, name: str
) -> Obj:
    template = copy.deepcopy(group["template"])
    metadata = template.get("metadata") or {}
    own = {**(metadata.get("labels") or {}), **(group.get("labels") or {})}
    annotations = dict(metadata.get("annotations") or {})
    if _overwrites_command(cluster["metadata"]):
        annotations[names.OVERWRITE_COMMAND] = "true"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": cluster["metadata"]["namespace"],
            "labels": names.labels(node_type, cluster["metadata"]["name"], name, own),
            "annotations": annotations,
            "ownerReferences": [names.controller_reference(cluster)],
        },
        "spec": template["spec"],
    }


def _overwrites_command(metadata: Mapping[str, Any]) -> bool:
    return (metadata.get("annotations") or {}).get(names.OVERWRITE_COMMAND, "").lower() == "true"


def _wait_for_gcs(cluster: Mapping[str, Any], ray: Mapping[str, Any]) -> Obj:
    """The init container that holds a worker back, without an end, until the head answers by its service's name."""
    address = f"{names.head_address(cluster)}:{head_port(cluster['spec'])}"
    # The sentences are KubeRay's: images know this script by them.
    script = f"""
        SECONDS=0
        until ray health-check --address {address} > /dev/null 2>&1; do
            echo "$SECONDS seconds elapsed: Waiting for GCS to be ready."
            sleep 5
        done
        echo "GCS is ready."
    """
    small = {"cpu": "200m", "memory": "256Mi"}
    same = ("image", "imagePullPolicy", "securityContext", "env", "volumeMounts")
    return {
        "name": _WAIT,
        "command": _BASH,
        "args": [script],
        "resources": {"limits": small, "requests": small},
        **{key: copy.deepcopy(ray[key]) for key in same if ray.get(key)},
    }


def _complete(cluster: Mapping[str, Any], group: Mapping[str, Any], node_type: NodeType, pod: Obj) -> Obj:
    spec, ray = cluster["spec"], pod["spec"]["containers"][0]
    address, port = names.head_address(cluster), head_port(spec)
    params = start_params(group, node_type, f"{address}:{port}", ray.get("resources") or {})
    if not any(item.get("name") == "metrics" for item in ray.get("ports") or []):
        ray["ports"] = [
            *(ray.get("ports") or []),
            {"name": "metrics", "containerPort": names.METRICS_PORT, "protocol": "TCP"},
        ]
    init = pod["spec"].get("initContainers") or []
    if names.uses_token(spec):
        for container in [ray, *(item for item in init if item["name"] == _WAIT)]:
            _add_token(cluster, container)
    if "plasma-directory" not in params:
        _add_shared_memory(pod["spec"], ray)
    command = ray_start(node_type, params)
    _set_command(pod, ray, command)
    for container in init:
        container["env"] = [*(container.get("env") or []), *_head_names(address)]
    ray["env"] = [*(ray.get("env") or []), *(_head_names(address) if node_type == WORKER else [])]
    _add_env(ray["env"], node_type, address, port, command)
    for kind, probe in health_probes(node_type, spec.get("rayVersion", ""), params).items():
        ray.setdefault(kind, probe)
    return pod


def _add_token(cluster: Mapping[str, Any], container: Obj) -> None:
    given = cluster["spec"]["authOptions"].get("secretName")
    reference = {"name": given or names.secret_name(cluster["metadata"]["name"]), "key": "auth_token"}
    env = container.setdefault("env", [])
    _add_missing(env, {"name": "RAY_AUTH_MODE", "value": "token"})
    _add_missing(env, {"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": reference}})


def _add_shared_memory(spec: Obj, ray: Obj) -> None:
    mounts = ray.setdefault("volumeMounts", [])
    if any(mount["mountPath"] == "/dev/shm" for mount in mounts):  # noqa: S108
        return
    mounts.append({"name": _SHARED_MEMORY, "mountPath": "/dev/shm"})  # noqa: S108
    volumes = spec.setdefault("volumes", [])
    if not any(volume["name"] == _SHARED_MEMORY for volume in volumes):
        resources = ray.get("resources") or {}
        size = (resources.get("limits") or {}).get("memory") or (resources.get("requests") or {}).get(
            "memory"
        )
        directory = {"medium": "Memory", **({"sizeLimit": size} if size else {})}
        volumes.append({"name": _SHARED_MEMORY, "emptyDir": directory})


def _set_command(pod: Obj, ray: Obj, start: str) -> None:
    """Unless the pod brings its own `ray start`: what it brings runs first, with all quotes lost, as found."""
    own = "".join(f" {word} " for word in [*(ray.get("command") or []), *(ray.get("args") or [])])
    if _overwrites_command(pod["metadata"]) or "ray start" in own:
        return
    ray["command"] = _BASH
    ray["args"] = [f"{own} && {ULIMIT}; {start}" if own else f"{ULIMIT}; {start}"]


def _head_names(address: str) -> list[Obj]:
    return [{"name": "FQ_RAY_IP", "value": address}, {"name": "RAY_IP", "value": address.partition(".")[0]}]


def _add_env(env: list[Obj], node_type: NodeType, address: str, port: str, command: str) -> None:
    env += [
        _from_field("RAY_CLUSTER_NAME", f"metadata.labels['{names.CLUSTER_LABEL}']"),
        _from_field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
        _from_field("RAY_CLOUD_INSTANCE_ID", "metadata.name"),
        _from_field("RAY_NODE_TYPE_NAME", f"metadata.labels['{names.GROUP_LABEL}']"),
        {"name": "KUBERAY_GEN_RAY_START_CMD", "value": command},
    ]
    _add_missing(env, {"name": "RAY_PORT", "value": port})
    host = "127.0.0.1" if node_type == HEAD else address
    _add_missing(env, {"name": "RAY_ADDRESS", "value": f"{host}:{port}"})
    _add_missing(env, {"name": "RAY_USAGE_STATS_KUBERAY_IN_USE", "value": "1"})
    if node_type == HEAD:
        tags = f"kuberay_version={names.KUBERAY_VERSION};kuberay_crd={names.KIND}"
        env.append({"name": "RAY_USAGE_STATS_EXTRA_TAGS", "value": tags})
    _add_missing(env, {"name": "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "value": "1"})


def _from_field(name: str, field: str) -> Obj:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}


def _add_missing(env: list[Obj], variable: Obj) -> None:
    if not any(item["name"] == variable["name"] for item in env):
        env.append(variable)
