"""What KubeRay refuses to work on, in its words (`utils/validation.go`); a pure function."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rayster_testbed.ray_operator.names import LONGEST_CLUSTER_NAME, uses_token
from rayster_testbed.ray_operator.probes import version_of

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_FIRST_WITH_TOKENS = (2, 52, 0)
_RAY_PARAMS_OF_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
# Fields that the real operator acts on (or refuses, by its feature gates) and this one does not.
_NOT_HERE = ("gcsFaultToleranceOptions", "historyServerOptions", "networkPolicy", "tlsOptions")


def metadata_problem(metadata: Mapping[str, Any]) -> str | None:
    """Why a cluster of this name cannot be, or None."""
    name = metadata["name"]
    if len(name) > LONGEST_CLUSTER_NAME:
        return f"RayCluster name should be no more than {LONGEST_CLUSTER_NAME} characters"
    if not _DNS_1035.fullmatch(name):
        return (
            "RayCluster name should be a valid DNS1035 label: [a DNS-1035 label must consist of lower case "
            "alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric "
            "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')]"
        )
    return None


def spec_problem(spec: Mapping[str, Any]) -> str | None:
    """The first reason why a spec cannot be worked on, or None."""
    return next(_problems(spec), None)


def _problems(spec: Mapping[str, Any]) -> Iterator[str]:
    head = spec["headGroupSpec"]
    containers = (head["template"].get("spec") or {}).get("containers") or []
    if not containers:
        yield "headGroupSpec should have at least one container"
        return
    yield from _group_problems("Head", head)
    for group in spec.get("workerGroupSpecs") or []:
        yield from _worker_problems(group)
    for variable in containers[0].get("env") or []:
        if variable["name"] == "RAY_enable_autoscaler_v2" and variable.get("value") in ("1", "true"):
            yield (
                f"environment variable RAY_enable_autoscaler_v2 cannot be set to '{variable['value']}' when "
                "enableInTreeAutoscaling is false. Please set enableInTreeAutoscaling: true to use autoscaler v2"
            )
    yield from _auth_problems(spec)
    if spec.get("enableInTreeAutoscaling"):
        yield "spec.enableInTreeAutoscaling: the testbed's operator has no autoscaler"
    if head.get("enableIngress"):
        yield "spec.headGroupSpec.enableIngress: the testbed's operator makes no ingress"
    for field in _NOT_HERE:
        if spec.get(field) is not None:
            yield f"spec.{field}: the testbed's operator does not know it"


def _worker_problems(group: Mapping[str, Any]) -> Iterator[str]:
    name = group["groupName"]
    if not (group["template"].get("spec") or {}).get("containers"):
        yield "workerGroupSpec should have at least one container"
        return
    lowest, highest = group.get("minReplicas"), group.get("maxReplicas")
    if lowest is None or highest is None:
        yield f"worker group {name} must set both minReplicas and maxReplicas when autoscaling is disabled"
        return
    if lowest < 0:
        yield f"worker group {name} has negative minReplicas {lowest}"
    if highest < 0:
        yield f"worker group {name} has negative maxReplicas {highest}"
    if lowest > highest:
        yield f"worker group {name} has minReplicas {lowest} greater than maxReplicas {highest}"
    yield from _group_problems(name, group)
    if group.get("numOfHosts", 1) > 1:
        yield f"worker group {name} has numOfHosts {group['numOfHosts']}: the testbed's operator knows 1 only"


def _group_problems(name: str, group: Mapping[str, Any]) -> Iterator[str]:
    params = group.get("rayStartParams") or {}
    if group.get("resources") and any(params.get(key) for key in _RAY_PARAMS_OF_RESOURCES):
        yield (
            f"resource fields should not be set in both rayStartParams and Resources for {name} group; "
            "please use only one"
        )
    if "labels" in params:
        yield (
            f"rayStartParams['labels'] is not supported for {name} group; "
            "please use the top-level Labels field instead"
        )


def _auth_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    kubernetes_tokens = (spec.get("authOptions") or {}).get("enableK8sTokenAuth")
    if not uses_token(spec):
        if kubernetes_tokens:
            yield "authOptions.enableK8sTokenAuth is enabled but authOptions.mode not set to 'token'"
        return
    text = spec.get("rayVersion") or ""
    version = version_of(text)
    if not text:
        yield (
            "authOptions.mode is 'token' but RayVersion was not specified. Ray version 2.52.0 or later is required"
        )
    elif version is None:
        yield f"authOptions.mode is 'token' but RayVersion format is invalid: {text}"
    elif version < _FIRST_WITH_TOKENS:
        yield f"authOptions.mode is 'token' but minimum Ray version is 2.52.0, got {text}"
    if kubernetes_tokens:
        yield "authOptions.enableK8sTokenAuth: the testbed's operator does not know it"
