"""Whether a user may: Roles, ClusterRoles and their bindings, evaluated as Kubernetes does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import ApiError, forbidden
from .identity import ACCOUNT_PREFIX, MASTERS, User
from .selectors import selects
from .store import Event, Store

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"


@dataclass(frozen=True)
class Attributes:
    """What somebody wants to do: a verb on a resource, or on a path that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def _names(values: list[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in (values or []) or wanted in (values or []))


def rule_allows(rule: Json, asked: Attributes) -> bool:
    """Whether one `PolicyRule` allows it."""
    if not _names(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(
            url in ("*", asked.path) or (url.endswith("*") and asked.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or []
        )
    if not _names(rule.get("apiGroups"), asked.group):
        return False
    resources = rule.get("resources") or []
    fits = _names(resources, asked.full_resource) or (
        bool(asked.subresource) and f"*/{asked.subresource}" in resources
    )
    names = rule.get("resourceNames") or []
    return fits and (not names or asked.name in names)


def subject_is(subject: Json, user: User, binding_namespace: str) -> bool:
    """Whether a binding's subject is this user."""
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    namespace = subject.get("namespace") or binding_namespace
    return kind == "ServiceAccount" and user.name == f"{ACCOUNT_PREFIX}{namespace}:{name}"


class Authorizer:
    """RBAC over the roles and bindings of one store; what a user may is worked out once until one of them changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[User, str], tuple[list[Json], list[str]]] = {}
        store.listen(self._hear)

    def _hear(self, event: Event) -> None:
        if event.storage.endswith(GROUP):
            self._known.clear()

    def allows(self, user: User, asked: Attributes) -> tuple[bool, str]:
        """Whether the user may, and what was wrong with the roles when not."""
        if MASTERS in user.groups:
            return True, ""
        rules, problems = self.rules(user, asked.namespace)
        if any(rule_allows(rule, asked) for rule in rules):
            return True, ""
        return False, f"RBAC: {', '.join(problems)}" if problems else ""

    def rules(self, user: User, namespace: str) -> tuple[list[Json], list[str]]:
        """The rules that hold for a user in a namespace ("" for the cluster), and roles that are missing."""
        found = self._known.get((user, namespace))
        if found is None:
            found = self._gather(user, namespace)
            self._known[user, namespace] = found
        return found

    def _gather(self, user: User, namespace: str) -> tuple[list[Json], list[str]]:
        rules: list[Json] = []
        problems: list[str] = []
        places = [(CLUSTER_BINDINGS, "")] + ([(BINDINGS, namespace)] if namespace else [])
        for storage, space in places:
            for _, _, record in self._store.records(storage, space):
                binding = record.obj
                if not any(subject_is(item, user, space) for item in binding.get("subjects") or []):
                    continue
                role = binding["roleRef"]
                found = self._role_rules(role, space)
                if found is None:
                    problems.append(f'{role["kind"].lower()}.{GROUP} "{role["name"]}" not found')
                else:
                    rules += found
        return rules, problems

    def _role_rules(self, reference: Json, namespace: str) -> list[Json] | None:
        storage, space = (CLUSTER_ROLES, "") if reference["kind"] == "ClusterRole" else (ROLES, namespace)
        record = self._store.get(storage, space, reference["name"])
        if record is None:
            return None
        rules = list(record.obj.get("rules") or [])
        selectors = (record.obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        for _, name, other in self._store.records(CLUSTER_ROLES, "") if selectors else ():
            labels = other.obj["metadata"].get("labels") or {}
            if name != reference["name"] and any(selects(item, labels) for item in selectors):
                rules += other.obj.get("rules") or []
        return rules

    def require(self, user: User, asked: Attributes) -> None:
        """Raises: ApiError 403 in the server's words when the user may not."""
        allowed, reason = self.allows(user, asked)
        if not allowed:
            raise refusal(user, asked, reason)


def refusal(user: User, asked: Attributes, reason: str) -> ApiError:
    """The 403 for a user who may not."""
    more = f": {reason}" if reason else ""
    if asked.path:
        message = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{more}'
        return ApiError(403, "Forbidden", message, {})
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group "{asked.group}" '
        f"{where}{more}"
    )
    return forbidden(asked.resource, asked.group, asked.name, why)
