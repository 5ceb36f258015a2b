"""The kinds the API serves: the built-in ones as a table, custom ones as they are defined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
REVIEW = ("create",)


@dataclass(frozen=True, eq=False)
class Kind:
    """One served version of one resource.

    `stored` is the `apiVersion` its objects have in the store; `storage` the key under which the store keeps them
    (two groups may serve the same objects, as events do). `model` names the typed model for decoding (None: any).
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = ALL_VERBS
    generation: bool = False
    model: str | None = None
    stored: str = ""
    storage: str = ""
    singular: str = ""
    list_kind: str = ""
    selectable: tuple[str, ...] = ()
    columns: tuple[Json, ...] = ()
    schema: Json | None = None
    custom: bool = False
    scale: Json = field(default_factory=dict)

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_review(self) -> bool:
        """Whether the kind is only a question (`TokenReview`, …) and is never stored."""
        return self.verbs == REVIEW


def _kind(
    api_version: str, kind: str, plural: str, short: str = "", subresources: str = "", **options: Any
) -> Kind:
    group, _, version = api_version.rpartition("/")
    parts = frozenset(subresources.split())
    return Kind(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        short_names=tuple(short.split()),
        subresources=parts,
        model=options.pop("model", f"{version[0].upper()}{version[1:]}{kind}"),
        stored=options.pop("stored", api_version),
        storage=options.pop("storage", f"{plural}.{group}" if group else plural),
        singular=options.pop("singular", kind.lower()),
        list_kind=options.pop("list_kind", f"{kind}List"),
        **options,
    )


CLUSTER: Json = {"namespaced": False}
EVENT_FIELDS = ("reason", "type", "reportingComponent", "source")
RBAC = "rbac.authorization.k8s.io/v1"

BUILT_IN: tuple[Kind, ...] = (
    _kind("v1", "Namespace", "namespaces", "ns", "status finalize", selectable=("status.phase",), **CLUSTER),
    _kind(
        "v1", "Node", "nodes", "no", "status", selectable=("spec.unschedulable",), generation=False, **CLUSTER
    ),
    _kind(
        "v1",
        "Pod",
        "pods",
        "po",
        "status log binding eviction",
        categories=("all",),
        generation=True,
        selectable=(
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ),
    ),
    _kind(
        "v1",
        "Service",
        "services",
        "svc",
        "status",
        categories=("all",),
        selectable=("spec.clusterIP", "spec.type"),
    ),
    _kind("v1", "Endpoints", "endpoints", "ep", singular="endpoints", list_kind="EndpointsList"),
    _kind("v1", "ConfigMap", "configmaps", "cm"),
    _kind("v1", "Secret", "secrets", selectable=("type",)),
    _kind(
        "v1",
        "Event",
        "events",
        "ev",
        model="CoreV1Event",
        selectable=(
            *EVENT_FIELDS,
            *(
                f"involvedObject.{part}"
                for part in ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid")
            ),
        ),
    ),
    _kind("v1", "ServiceAccount", "serviceaccounts", "sa", "token"),
    _kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "status"),
    _kind("v1", "PersistentVolume", "persistentvolumes", "pv", "status", **CLUSTER),
    _kind("v1", "LimitRange", "limitranges", "limits"),
    _kind("v1", "ResourceQuota", "resourcequotas", "quota", "status"),
    _kind("v1", "PodTemplate", "podtemplates"),
    _kind(
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        "rc",
        "status scale",
        generation=True,
        categories=("all",),
    ),
    *(
        _kind(
            "apps/v1",
            kind,
            f"{kind.lower()}s",
            short,
            subresources,
            generation=True,
            categories=("all",),
        )
        for kind, short, subresources in (
            ("Deployment", "deploy", "status scale"),
            ("ReplicaSet", "rs", "status scale"),
            ("StatefulSet", "sts", "status scale"),
            ("DaemonSet", "ds", "status"),
        )
    ),
    _kind("apps/v1", "ControllerRevision", "controllerrevisions"),
    _kind(
        "batch/v1",
        "Job",
        "jobs",
        "",
        "status",
        generation=True,
        categories=("all",),
        selectable=("status.successful",),
    ),
    _kind("batch/v1", "CronJob", "cronjobs", "cj", "status", generation=True, categories=("all",)),
    _kind("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "status", generation=True),
    _kind("networking.k8s.io/v1", "IngressClass", "ingressclasses", generation=True, **CLUSTER),
    _kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", generation=True),
    _kind(RBAC, "Role", "roles"),
    _kind(RBAC, "RoleBinding", "rolebindings"),
    _kind(RBAC, "ClusterRole", "clusterroles", **CLUSTER),
    _kind(RBAC, "ClusterRoleBinding", "clusterrolebindings", **CLUSTER),
    _kind("coordination.k8s.io/v1", "Lease", "leases"),
    _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    _kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", **CLUSTER),
    _kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", **CLUSTER),
    _kind("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", **CLUSTER),
    _kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "status", generation=True),
    _kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "hpa",
        "status",
        categories=("all",),
    ),
    _kind(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
        "status",
        generation=True,
        categories=("api-extensions",),
        **CLUSTER,
    ),
    _kind(
        "events.k8s.io/v1",
        "Event",
        "events",
        "ev",
        model="EventsV1Event",
        stored="v1",
        storage="events",
        selectable=(
            "reason",
            "type",
            "reportingController",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
        ),
    ),
    _kind(
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        "csr",
        "status approval",
        selectable=("spec.signerName",),
        **CLUSTER,
    ),
    _kind(
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        verbs=REVIEW,
        **CLUSTER,
    ),
    _kind(
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        verbs=REVIEW,
        **CLUSTER,
    ),
    _kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", verbs=REVIEW, **CLUSTER),
    _kind("authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=REVIEW),
    _kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", verbs=REVIEW, **CLUSTER),
    _kind("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", verbs=REVIEW, **CLUSTER),
)


class Registry:
    """All served kinds, looked up by path (`group`, `version`, `plural`) or by what an object says it is."""

    def __init__(self, kinds: Iterable[Kind] = BUILT_IN) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_name: dict[tuple[str, str], Kind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Serve a kind (again)."""
        self._by_path[kind.group, kind.version, kind.plural] = kind
        self._by_name[kind.api_version, kind.kind] = kind

    def discard_custom(self, group: str, plural: str) -> None:
        """Serve no version of a custom resource any more."""
        for path, kind in list(self._by_path.items()):
            if kind.custom and path[0] == group and path[2] == plural:
                del self._by_path[path]
                self._by_name.pop((kind.api_version, kind.kind), None)

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind behind a path, or None."""
        return self._by_path.get((group, version, plural))

    def named(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an object or of an owner reference, or None."""
        return self._by_name.get((api_version, kind))

    def kinds(self) -> list[Kind]:
        """Every served kind and version, in the order they were added."""
        return list(self._by_path.values())

    def stored_kinds(self) -> dict[str, Kind]:
        """One kind for each storage key: the one whose version is the stored one."""
        return {
            kind.storage: kind
            for kind in self._by_path.values()
            if not kind.is_review and kind.api_version == kind.stored
        }

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, without the core group."""
        found: dict[str, list[str]] = {}
        for kind in self._by_path.values():
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        found.pop("", None)
        return found
