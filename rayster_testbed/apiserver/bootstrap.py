"""What is there from the start: the system namespaces, and in every namespace an account and the CA's certificate."""

from __future__ import annotations

from typing import Any

from .admission import PROTECTED_NAMESPACES, SYSTEM_PRIORITIES
from .kinds import Kind
from .objects import Objects

Json = dict[str, Any]


def _kind(objects: Objects, api_version: str, name: str) -> Kind:
    kind = objects.registry.named(api_version, name)
    assert kind is not None, name
    return kind


def ensure(objects: Objects, api_version: str, kind_name: str, namespace: str, obj: Json) -> None:
    """Create an object unless one of that name is there."""
    kind = _kind(objects, api_version, kind_name)
    if objects.store.get(kind.storage, namespace, obj["metadata"]["name"]) is None:
        objects.create(kind, namespace, {"apiVersion": api_version, "kind": kind_name, **obj})


def furnish_namespace(objects: Objects, namespace: str, ca_certificate: str) -> None:
    """Give a namespace its `default` service account and `kube-root-ca.crt`.

    A real controller-manager does so a moment later; here it is done when the create is answered.
    """
    ensure(objects, "v1", "ServiceAccount", namespace, {"metadata": {"name": "default"}})
    ca = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ca_certificate}}
    ensure(objects, "v1", "ConfigMap", namespace, ca)


def bootstrap(objects: Objects) -> None:
    """Create the system's own objects, those that are missing."""
    for name in PROTECTED_NAMESPACES:
        ensure(objects, "v1", "Namespace", "", {"metadata": {"name": name}})
    for name, value in SYSTEM_PRIORITIES.items():
        obj = {"metadata": {"name": name}, "value": value}
        ensure(objects, "scheduling.k8s.io/v1", "PriorityClass", "", obj)
    standard = {
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "rayster.testbed/directory",
    }
    ensure(objects, "storage.k8s.io/v1", "StorageClass", "", standard)
