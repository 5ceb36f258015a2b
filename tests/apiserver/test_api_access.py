"""Who may do what: tokens, RBAC, impersonation, reviews, service-account tokens."""

from __future__ import annotations

import base64
import itertools
import json

import pytest

from rayster_testbed.apiserver.identity import User, account_user
from rayster_testbed.apiserver.rbac import Attributes, rule_allows, subject_is

ADMIN, JOE, HUB = "admin-token", "joe-token", "hub-token"
RBAC = "rbac.authorization.k8s.io/v1"
_numbers = itertools.count()


@pytest.fixture
async def admin(client_of):
    """The administrator, in a fresh namespace of the secured server."""
    client = client_of(ADMIN, f"access-{next(_numbers)}")
    assert (
        await client("POST", "/api/v1/namespaces", {"metadata": {"name": client.namespace}})
    ).status == 201
    return client


@pytest.fixture
def joe(client_of, admin):
    """A user without any rights, in the administrator's namespace."""
    return client_of(JOE, admin.namespace)


async def grant(admin, rules, subject=None, kind="Role"):
    """Give a subject (joe) a role with these rules in the namespace, or in the cluster."""
    name = f"role-{next(_numbers)}"
    subject = subject or {"kind": "User", "name": "joe"}
    plural, binding = ("roles", "rolebindings") if kind == "Role" else ("clusterroles", "clusterrolebindings")
    root = f"/apis/{RBAC}/namespaces/{admin.namespace}" if kind == "Role" else f"/apis/{RBAC}"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    for path, body in (
        (plural, {"metadata": {"name": name}, "rules": rules}),
        (binding, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}),
    ):
        answer = await admin("POST", f"{root}/{path}", body)
        assert answer.status == 201, answer


def rule(groups, resources, verbs, **more):
    return {"apiGroups": groups, "resources": resources, "verbs": verbs, **more}


@pytest.mark.parametrize(
    ("granted", "asked", "allowed"),
    [
        pytest.param(rule([""], ["pods"], ["get"]), Attributes("get", "", "pods"), True, id="exact"),
        pytest.param(rule([""], ["pods"], ["get"]), Attributes("list", "", "pods"), False, id="other verb"),
        pytest.param(rule([""], ["pods"], ["get"]), Attributes("get", "apps", "pods"), False, id="other group"),
        pytest.param(rule([""], ["pods"], ["*"]), Attributes("delete", "", "pods"), True, id="any verb"),
        pytest.param(rule(["*"], ["*"], ["get"]), Attributes("get", "apps", "deployments"), True, id="anything"),
        pytest.param(rule([""], ["pods"], ["get"]), Attributes("get", "", "pods", "log"), False, id="pods are not their logs"),
        pytest.param(rule([""], ["pods/log"], ["get"]), Attributes("get", "", "pods", "log"), True, id="logs"),
        pytest.param(rule([""], ["pods/log"], ["get"]), Attributes("get", "", "pods"), False, id="logs are not pods"),
        pytest.param(rule([""], ["*"], ["get"]), Attributes("get", "", "pods", "log"), True, id="star covers subresources"),
        pytest.param(rule(["apps"], ["*/scale"], ["update"]), Attributes("update", "apps", "deployments", "scale"), True, id="any scale"),
        pytest.param(rule(["apps"], ["*/scale"], ["update"]), Attributes("update", "apps", "deployments"), False, id="only scale"),
        pytest.param(rule([""], ["pods"], ["get"], resourceNames=["a"]), Attributes("get", "", "pods", name="a"), True, id="that name"),
        pytest.param(rule([""], ["pods"], ["get"], resourceNames=["a"]), Attributes("get", "", "pods", name="b"), False, id="another name"),
        pytest.param(rule([""], ["pods"], ["create"], resourceNames=["a"]), Attributes("create", "", "pods"), False, id="create has no name"),
        pytest.param({"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]}, Attributes("get", path="/healthz/x"), True, id="url prefix"),
        pytest.param({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, Attributes("get", path="/version"), False, id="other url"),
        pytest.param(rule(["*"], ["*"], ["*"]), Attributes("get", path="/version"), False, id="resources are not urls"),
    ],
)  # fmt: skip
def test_rule(granted, asked, allowed):
    assert rule_allows(granted, asked) is allowed


@pytest.mark.parametrize(
    ("subject", "matches"),
    [
        pytest.param({"kind": "User", "name": "system:serviceaccount:n:a"}, True, id="user by its name"),
        pytest.param({"kind": "ServiceAccount", "name": "a", "namespace": "n"}, True, id="account"),
        pytest.param({"kind": "ServiceAccount", "name": "a"}, True, id="account of the binding's namespace"),
        pytest.param(
            {"kind": "ServiceAccount", "name": "a", "namespace": "m"}, False, id="another namespace"
        ),
        pytest.param({"kind": "Group", "name": "system:serviceaccounts:n"}, True, id="group"),
        pytest.param({"kind": "Group", "name": "dev"}, False, id="another group"),
    ],
)
def test_subject(subject, matches):
    assert subject_is(subject, account_user("n", "a"), "n") is matches
    assert not subject_is({"kind": "ServiceAccount", "name": "a"}, User("a", ()), "n")


async def test_anonymous_is_forbidden_not_unauthorized(client_of):
    answer = await client_of()("GET", "/api/v1/namespaces/default/pods")

    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.body["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        'in the namespace "default"'
    )
    assert answer.body["details"] == {"kind": "pods"}


async def test_unknown_token_is_unauthorized(client_of):
    answer = await client_of("nonsense")("GET", "/api/v1/pods")

    assert (answer.status, answer.body["reason"], answer.body["message"]) == (
        401,
        "Unauthorized",
        "Unauthorized",
    )


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/api/v1/pods", 'pods is forbidden: User "joe" cannot list resource "pods" in API group "" at the cluster scope'),
        ("GET", "/api/v1/namespaces/n/pods/a", 'pods "a" is forbidden: User "joe" cannot get resource "pods" in API group "" in the namespace "n"'),
        ("GET", "/api/v1/namespaces/n/pods/a/log", 'pods "a" is forbidden: User "joe" cannot get resource "pods/log" in API group "" in the namespace "n"'),
        ("GET", "/api/v1/namespaces/n/pods?watch=1", 'pods is forbidden: User "joe" cannot watch resource "pods" in API group "" in the namespace "n"'),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments", 'deployments.apps is forbidden: User "joe" cannot deletecollection resource "deployments" in API group "apps" in the namespace "n"'),
        ("POST", "/api/v1/nodes", 'nodes is forbidden: User "joe" cannot create resource "nodes" in API group "" at the cluster scope'),
        ("PUT", "/api/v1/nodes/x/status", 'nodes "x" is forbidden: User "joe" cannot update resource "nodes/status" in API group "" at the cluster scope'),
        ("GET", "/api/v1/namespaces/n", 'namespaces "n" is forbidden: User "joe" cannot get resource "namespaces" in API group "" in the namespace "n"'),
        ("GET", "/metrics", 'forbidden: User "joe" cannot get path "/metrics"'),
    ],
    ids=lambda value: value if value.startswith("/") else "",
)  # fmt: skip
async def test_refusals_are_in_the_servers_words(client_of, method, path, message):
    answer = await client_of(JOE)(method, path)

    assert (answer.status, answer.body["message"]) == (403, message)


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/api/v1", "/openapi/v2", "/readyz"])
async def test_everybody_with_a_name_may_discover(client_of, path):
    assert (await client_of(JOE)("GET", path)).status == 200


async def test_health_needs_no_name(client_of):
    for path in ("/readyz", "/livez", "/healthz"):
        answer = await client_of()("GET", path)
        assert (answer.status, answer.body) == (200, "ok")


async def test_role_allows_what_it_names_and_no_more(admin, joe, pod):
    await admin.create("pods", pod())
    await grant(admin, [rule([""], ["pods"], ["get", "list"])])

    assert (await joe("GET", joe.path("pods", "a"))).status == 200
    assert (await joe("GET", joe.path("pods"))).status == 200
    assert (await joe("DELETE", joe.path("pods", "a"))).status == 403
    assert (await joe("GET", "/api/v1/namespaces/default/pods")).status == 403
    assert (await joe("GET", "/api/v1/pods")).status == 403


async def test_cluster_role_bound_in_a_namespace_holds_there(admin, joe):
    body = {
        "metadata": {"name": "joe-views"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "dev"}],
    }
    await admin.create("rolebindings", body, RBAC)

    assert (await joe("GET", joe.path("pods"))).status == 200
    assert (await joe("GET", joe.path("secrets"))).status == 403
    assert (await joe("GET", "/api/v1/namespaces/default/pods")).status == 403


async def test_removed_binding_ends_at_once(admin, joe):
    body = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "name": "joe"}],
    }
    await admin.create("rolebindings", body, RBAC)
    assert (await joe("GET", joe.path("secrets"))).status == 200

    await admin("DELETE", admin.path("rolebindings", "b", RBAC))

    assert (await joe("GET", joe.path("secrets"))).status == 403


async def test_list_of_one_name_fits_a_rule_for_that_name(admin, joe):
    await grant(admin, [rule([""], ["configmaps"], ["list", "watch"], resourceNames=["mine"])])

    one = await joe("GET", joe.path("configmaps"), fieldSelector="metadata.name=mine")

    assert (one.status, (await joe("GET", joe.path("configmaps"))).status) == (200, 403)


async def test_missing_role_is_named_in_the_refusal(admin, joe):
    body = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "nothing"},
        "subjects": [{"kind": "User", "name": "joe"}],
    }
    await admin.create("rolebindings", body, RBAC)

    answer = await joe("GET", joe.path("pods"))

    assert answer.body["message"].endswith('RBAC: role.rbac.authorization.k8s.io "nothing" not found')


async def test_aggregated_role_gathers_rules_of_others(admin, joe):
    label = f"rayster.io/part-{admin.namespace}"
    part = {
        "metadata": {"name": f"part-{admin.namespace}", "labels": {label: "true"}},
        "rules": [rule(["ray.io"], ["rayclusters"], ["get"])],
    }
    whole = {
        "metadata": {"name": f"whole-{admin.namespace}"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
    }
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": f"whole-{admin.namespace}"},
        "subjects": [{"kind": "User", "name": "joe"}],
    }
    for body in (part, whole):
        assert (await admin("POST", f"/apis/{RBAC}/clusterroles", body)).status == 201
    await admin.create("rolebindings", binding, RBAC)

    review = {
        "spec": {
            "resourceAttributes": {
                "verb": "get",
                "group": "ray.io",
                "resource": "rayclusters",
                "namespace": admin.namespace,
            }
        }
    }
    answer = await joe("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)

    assert (answer.status, answer.body["status"]) == (201, {"allowed": True})


async def test_administrator_may_speak_for_others(admin, joe):
    as_joe = {"Impersonate-User": "joe"}

    assert (await admin("GET", "/api/v1/nodes", headers=as_joe)).status == 403
    refused = await joe("GET", "/api/v1/nodes", headers={"Impersonate-User": "admin"})
    assert 'cannot impersonate resource "users"' in refused.body["message"]


async def test_reviews_tell_who_and_what(admin, joe):
    who = await joe("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    token = await admin("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": JOE}})
    wrong = await admin("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}})
    spec = {"user": "joe", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}
    access = await admin("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    rules = await joe(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}
    )

    assert who.body["status"]["userInfo"]["username"] == "joe"
    assert token.body["status"]["user"]["groups"] == ["dev", "team", "system:authenticated"]
    assert "authenticated" not in wrong.body["status"]
    assert access.body["status"]["allowed"] is False
    assert rules.body["status"]["nonResourceRules"]


async def test_service_account_gets_a_token_that_works(admin, client_of):
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    await admin.create("serviceaccounts", {"metadata": {"name": "robot"}})
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": admin.namespace}
    await grant(admin, [rule([""], ["pods"], ["list"])], subject)

    issued = await admin("POST", admin.path("serviceaccounts", "robot/token"), request)
    token = issued.body["status"]["token"]
    robot = client_of(token, admin.namespace)

    assert issued.status == 201
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{admin.namespace}:robot"
    assert (await robot("GET", robot.path("pods"))).status == 200
    assert (await robot("GET", robot.path("secrets"))).status == 403
    assert (await client_of(token[:-2])("GET", "/version")).status == 401

    await admin("DELETE", admin.path("serviceaccounts", "robot"))
    assert (await robot("GET", robot.path("pods"))).status == 401


async def test_token_bound_to_a_pod_ends_with_it(admin, client_of, pod):
    await admin.create("pods", pod())
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    request = {"spec": {"boundObjectRef": reference}}

    issued = await admin("POST", admin.path("serviceaccounts", "default/token"), request)
    robot = client_of(issued.body["status"]["token"])
    assert (await robot("GET", "/version")).status == 200
    await admin("DELETE", admin.path("pods", "a"))

    assert (await robot("GET", "/version")).status == 401


async def test_short_token_is_invalid(admin):
    answer = await admin(
        "POST", admin.path("serviceaccounts", "default/token"), {"spec": {"expirationSeconds": 60}}
    )

    assert (answer.status, "may not specify a duration less than 10 minutes" in answer.body["message"]) == (
        422,
        True,
    )


async def test_token_file_is_read_again_when_it_changes(secured, client_of):
    tokens = secured.folder / "tokens"
    assert (await client_of("fresh")("GET", "/version")).status == 401

    tokens.write_text(tokens.read_text() + "fresh,newcomer,9\n")

    assert (await client_of("fresh")("GET", "/version")).status == 200


async def test_token_secret_is_filled(admin, client_of, eventually):
    secret = {
        "metadata": {"name": "lasting", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    }
    await admin.create("secrets", secret)

    async def token():
        found = (await admin("GET", admin.path("secrets", "lasting"))).body
        return found.get("data", {}).get("token")

    value = base64.b64decode(await eventually(token)).decode()
    who = await client_of(value)("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.body["status"]["userInfo"]["username"] == f"system:serviceaccount:{admin.namespace}:default"
