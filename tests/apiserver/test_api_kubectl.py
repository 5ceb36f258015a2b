"""What kubectl does: its requests replayed always, and the real program where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rayster_testbed.apiserver import wire

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(
    KUBECTL is None, reason="kubectl is not installed; its requests are replayed anyway"
)


def kubectl_minor() -> int:
    """Return the minor version of the installed kubectl: Debian's is 1.20, and newer ones can more."""
    answer = subprocess.run(
        [KUBECTL or "kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True
    )
    return int(json.loads(answer.stdout)["clientVersion"]["minor"].rstrip("+"))


# `kubectl create namespace demo`, `kubectl create configmap x --from-literal=a=b` and `kubectl auth can-i get pods`,
# as kubectl 1.33 sends them.
NAMESPACE = b'k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x1c\n\x14\n\x04demo\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x00\x1a\x02\n\x00\x1a\x00"\x00'
CONFIG_MAP = b'k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1b\n\x11\n\x01x\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\x12\x01b\x1a\x00"\x00'
CAN_I = b'k8s\x00\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12<\n\x10\n\x00\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x1e\n\x1c\n\x07default\x12\x03get\x1a\x00"\x00*\x04pods2\x00:\x00\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00\x1a\x00"\x00'  # fmt: skip
PROTOBUF = {
    "Content-Type": "application/vnd.kubernetes.protobuf",
    "Accept": "application/vnd.kubernetes.protobuf,application/json",
}


def test_protobuf_objects_are_read():
    assert wire.decode(NAMESPACE) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "demo"},
        "spec": {},
        "status": {},
    }
    assert wire.decode(CONFIG_MAP)["data"] == {"a": "b"}
    assert wire.decode(CAN_I)["spec"]["resourceAttributes"] == {
        "namespace": "default",
        "verb": "get",
        "resource": "pods",
    }


async def test_protobuf_create_is_answered_in_json(api):
    answer = await api("POST", api.path("configmaps"), CONFIG_MAP, PROTOBUF, fieldManager="kubectl-create", fieldValidation="Strict")  # fmt: skip

    assert (answer.status, answer.body["data"]) == (201, {"a": "b"})


@pytest.mark.parametrize(
    "body", [b"", b"k8s", b"k8s\x00", b"k8s\x00\xff\xff\xff", CONFIG_MAP[:-9], b"{}"], ids=str
)
async def test_broken_protobuf_is_400(api, body):
    answer = await api("POST", api.path("configmaps"), body, PROTOBUF)

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_openapi_is_just_enough_for_create_and_apply(api, session):
    headers = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    async with session.get(f"{api.url}/openapi/v2?timeout=32s", headers=headers) as answer:
        assert await answer.read() == bytes.fromhex("0a03322e30")
        assert answer.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert (await api("GET", "/openapi/v3")).status == 404


async def test_discovery_names_every_group_and_resource(api):
    core = (await api("GET", "/api/v1")).body
    resources = {item["name"]: item for item in core["resources"]}
    assert resources["pods"]["shortNames"] == ["po"]
    assert {"pods/log", "pods/binding", "pods/eviction", "pods/status", "serviceaccounts/token"} <= set(
        resources
    )
    assert resources["pods/eviction"]["kind"] == "Eviction"
    assert (await api("GET", "/api")).body["versions"] == ["v1"]

    groups = (await api("GET", "/apis")).body["groups"]
    for group in groups:
        for version in group["versions"]:
            listed = (await api("GET", f"/apis/{version['groupVersion']}")).body
            assert listed["kind"] == "APIResourceList"
            assert listed["resources"]
    assert {"apps", "batch", "rbac.authorization.k8s.io", "coordination.k8s.io", "policy"} <= {
        group["name"] for group in groups
    }


async def test_second_apply_patches_with_the_last_configuration(api):
    last = "kubectl.kubernetes.io/last-applied-configuration"
    await api.create(
        "configmaps", {"metadata": {"name": "c", "annotations": {last: "{}"}}, "data": {"a": "1", "b": "2"}}
    )
    patch = {"metadata": {"annotations": {last: '{"data":{"a":"3"}}'}}, "data": {"a": "3", "b": None}}

    answer = await api.patch(
        api.path("configmaps", "c"),
        patch,
        "strategic",
        fieldManager="kubectl-client-side-apply",
        fieldValidation="Strict",
    )

    assert (answer.status, answer.body["data"]) == (200, {"a": "3"})


MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec:
  containers:
  - {name: main, image: "x:1", env: [{name: A, value: "1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: "1", b: "2"}
"""


@pytest.fixture
def kubectl(server, api, tmp_path):
    """Runs kubectl in the test's namespace: `kubectl("get", "pods")` → its output."""

    def run(*arguments: str, given: str | None = None, fails: bool = False) -> str:
        command = [KUBECTL or "kubectl", "--server", server.url, "--namespace", api.namespace]
        command += ["--cache-dir", str(tmp_path / "cache"), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30)
        assert (done.returncode != 0) is fails, done.stderr
        return done.stdout + done.stderr

    return run


@needs_kubectl
def test_kubectl_creates_applies_and_deletes(kubectl, tmp_path: Path):
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(MANIFEST)

    assert kubectl("apply", "-f", str(manifest)).splitlines() == ["pod/p created", "configmap/c created"]
    manifest.write_text(MANIFEST.replace("x:1", "x:2").replace(', b: "2"', ""))
    assert kubectl("apply", "-f", str(manifest)).splitlines() == [
        "pod/p configured",
        "configmap/c configured",
    ]
    assert kubectl("apply", "-f", str(manifest)).splitlines() == ["pod/p unchanged", "configmap/c unchanged"]
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data}") == '{"a":"1"}'
    assert "AlreadyExists" in kubectl("create", "-f", str(manifest), fails=True)
    assert "deleted" in kubectl("delete", "-f", str(manifest), "--wait=true")
    assert "NotFound" in kubectl("get", "pod", "p", fails=True)


@needs_kubectl
def test_kubectl_shows_and_changes(kubectl):
    kubectl("create", "-f", "-", given=MANIFEST)

    kubectl("label", "pod", "p", "tier=web")
    kubectl("annotate", "pod", "p", "note=words")
    kubectl("patch", "configmap", "c", "-p", '{"data":{"b":null,"z":"1"}}')
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data}") == '{"a":"1","z":"1"}'
    if kubectl_minor() >= 23:
        kubectl("wait", "--for=jsonpath={.data.z}=1", "configmap/c", "--timeout=5s")

    lines = kubectl("get", "pods", "-l", "tier in (web),app", "-o", "wide").splitlines()
    assert lines[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:3] == ["p", "0/1", "Pending"]
    assert kubectl("get", "pods", "--field-selector", "status.phase=Running").startswith("No resources found")
    described = kubectl("describe", "pod", "p")
    assert "note: words" in described
    assert "QoS Class:" in described
    assert kubectl("logs", "p") == ""
    assert "configmap/c" in kubectl("get", "cm,pods", "-o", "name")


@needs_kubectl
def test_kubectl_generates_objects_in_its_own_format(kubectl):
    kubectl("create", "configmap", "literal", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "r", "--verb=get", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "r", "--role=r", "--serviceaccount=x:robot")
    kubectl("create", "deployment", "d", "--image=x:1", "--replicas=2")
    kubectl("create", "job", "j", "--image=x:1", "--", "sleep", "1")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("scale", "deployment", "d", "--replicas=3")

    assert kubectl("get", "deployment", "d", "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("get", "role", "r", "-o", "jsonpath={.rules[0].resources}") == '["pods","pods/log"]'
    assert (
        kubectl("get", "job", "j", "-o", "jsonpath={.spec.template.spec.containers[0].command}")
        == '["sleep","1"]'
    )
    assert kubectl("get", "service", "d", "-o", "jsonpath={.spec.ports[0].targetPort}") == "80"
    if kubectl_minor() >= 24:
        assert kubectl("create", "token", "robot").count(".") == 2
    assert kubectl("auth", "can-i", "delete", "pods").strip() == "yes"


@needs_kubectl
def test_kubectl_applies_server_side(kubectl):
    kubectl("apply", "--server-side", "-f", "-", given=MANIFEST)

    again = kubectl("apply", "--server-side", "-f", "-", given=MANIFEST.replace("x:1", "x:2"))

    assert "pod/p serverside-applied" in again
    assert kubectl("get", "pod", "p", "-o", "jsonpath={.spec.containers[0].image}") == "x:2"


@needs_kubectl
def test_kubectl_says_what_is_unknown(kubectl):
    wrong = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: w}\ndta: {}\n"

    # Older ones do not ask for strict validation; then the answer carries a warning.
    is_strict = kubectl_minor() >= 25
    assert 'unknown field "dta"' in kubectl("create", "-f", "-", given=wrong, fails=is_strict)
    assert "doesn't have a resource type" in kubectl("get", "nothings", fails=True)
