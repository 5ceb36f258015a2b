"""Deployments and their like, and jobs: defaults and validation around their pod template."""

from __future__ import annotations

from typing import Any

from .errors import Cause, invalid_value, required, unsupported_value
from .pod_rules import pod_spec_causes
from .pods import default_pod_spec
from .selectors import selects

Json = dict[str, Any]


def default_workload(obj: Json) -> None:
    """Fill in the defaults of a workload with a pod template, in place."""
    spec = obj.setdefault("spec", {})
    if obj["kind"] != "DaemonSet":
        spec.setdefault("replicas", 1)
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if obj["kind"] == "Deployment":
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
        spec.setdefault("strategy", rolling)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)


def prepare_workload(obj: Json) -> None:
    """Give a new workload its first status."""
    obj["status"] = {"replicas": 0} if obj["kind"] in ("ReplicaSet", "StatefulSet") else {}


def _under_template(causes: list[Cause]) -> list[Cause]:
    return [Cause(f"spec.template.{cause.field}", cause.reason, cause.message) for cause in causes]


def workload_causes(new: Json, old: Json | None) -> list[Cause]:
    """Everything that is wrong with a workload."""
    spec, causes = new["spec"], []
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not spec.get("selector"):
        causes.append(required("spec.selector"))
    elif not selects(spec["selector"], labels):
        why = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, why))
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        causes.append(invalid_value("spec.selector", spec.get("selector"), "field is immutable"))
    if spec.get("replicas", 0) < 0:
        causes.append(invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    return causes + _under_template(pod_spec_causes(spec["template"]["spec"]))


def default_job(obj: Json) -> None:
    """Fill in a job's defaults, in place."""
    spec = obj.setdefault("spec", {})
    for field, value in (
        ("parallelism", 1),
        ("completions", 1),
        ("backoffLimit", 6),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("manualSelector", False),
    ):
        spec.setdefault(field, value)
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def prepare_job(obj: Json) -> None:
    """Give a new job its selector and first status."""
    obj["status"] = {}
    meta, spec = obj["metadata"], obj["spec"]
    if not spec.get("manualSelector"):
        uid = meta["uid"]
        labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        for prefix in ("", "batch.kubernetes.io/"):
            labels[f"{prefix}controller-uid"] = uid
            labels[f"{prefix}job-name"] = meta.get("name", "")
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def job_causes(new: Json, old: Json | None) -> list[Cause]:
    """Everything that is wrong with a job."""
    causes = _under_template(pod_spec_causes(new["spec"]["template"]["spec"]))
    policy = new["spec"]["template"]["spec"].get("restartPolicy")
    if policy == "Always":
        choices = ["OnFailure", "Never"]
        causes.append(unsupported_value("spec.template.spec.restartPolicy", policy, choices))
    if old is not None and new["spec"]["template"] != old["spec"]["template"]:
        causes.append(invalid_value("spec.template", new["spec"]["template"], "field is immutable"))
    return causes
