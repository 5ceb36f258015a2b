"""Environment of containers: references, expansion, and what is said when they cannot be resolved."""

from __future__ import annotations

import base64

import pytest

from rayster_testbed.pod_env import (
    EnvError,
    container_env,
    env_references,
    expand,
    field_value,
    resource_value,
)

POD = {
    "metadata": {
        "name": "jupyter-ada",
        "namespace": "lab",
        "uid": "u1",
        "labels": {"app": "jupyter", "a/b": "1"},
        "annotations": {"x": "y"},
    },
    "spec": {"containers": []},
}
AGENT = {"status.podIP": "127.20.0.2", "status.hostIP": "127.20.0.1", "spec.nodeName": "cloud-0"}
OBJECTS = {
    ("configmaps", "cm"): {"data": {"k": "v", "n": "7"}},
    ("secrets", "s"): {"data": {"token": base64.b64encode(b"t0p").decode()}},
    ("configmaps", "gone"): None,
    ("secrets", "gone"): None,
}


def resolve(container):
    return container_env(
        container,
        OBJECTS,
        namespace="lab",
        field=lambda ref: field_value(POD, ref["fieldPath"], AGENT),
        resource=lambda ref: resource_value(container, ref, {"cpu": "4", "memory": "4Gi"}),
    )


def key_ref(kind, name, key, **more):
    return {"env": [{"name": "V", "valueFrom": {kind: {"name": name, "key": key, **more}}}]}


@pytest.mark.parametrize(
    ("field_path", "value"),
    [
        ("metadata.name", "jupyter-ada"),
        ("metadata.namespace", "lab"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "jupyter"),
        ("metadata.labels['a/b']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['x']", "y"),
        ("metadata.labels", 'a/b="1"\napp="jupyter"'),
        ("spec.nodeName", "cloud-0"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "127.20.0.2"),
        ("status.hostIP", "127.20.0.1"),
    ],
)
def test_downward_fields(field_path, value):
    assert field_value(POD, field_path, AGENT) == value


def test_an_unknown_field_is_refused():
    with pytest.raises(EnvError, match=r"unsupported fieldPath: status\.podIP"):
        field_value(POD, "status.podIP", {})


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        pytest.param({"resource": "limits.memory"}, str(64 * 2**20), id="bytes"),
        pytest.param({"resource": "limits.memory", "divisor": "1Mi"}, "64", id="mebibytes"),
        pytest.param({"resource": "limits.cpu"}, "2", id="cores rounded up"),
        pytest.param({"resource": "limits.cpu", "divisor": "1m"}, "1500", id="millicores"),
        pytest.param({"resource": "requests.cpu"}, "0", id="no request"),
    ],
)
def test_resource_fields(ref, value):
    container = {"resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}
    assert resource_value(container, ref, {}) == value


def test_an_absent_limit_is_the_size_of_the_node():
    assert resource_value({}, {"resource": "limits.cpu"}, {"cpu": "4"}) == "4"


def test_env_from_is_overridden_by_env_and_later_values_see_earlier_ones():
    env = resolve(
        {
            "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "CM_"}, {"secretRef": {"name": "s"}}],
            "env": [
                {"name": "CM_k", "value": "own"},
                {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "GREETING", "value": "hi $(WHO) $(CM_n) $(LATER) $$(WHO)"},
                {"name": "LATER", "value": "x"},
                {"name": "EMPTY"},
            ],
        }
    )
    assert env == {
        "CM_k": "own",
        "CM_n": "7",
        "token": "t0p",
        "WHO": "jupyter-ada",
        "GREETING": "hi jupyter-ada 7 $(LATER) $(WHO)",
        "LATER": "x",
        "EMPTY": "",
    }


@pytest.mark.parametrize(
    ("container", "message"),
    [
        pytest.param(key_ref("secretKeyRef", "gone", "k"), 'secret "gone" not found', id="secret"),
        pytest.param(key_ref("configMapKeyRef", "gone", "k"), 'configmap "gone" not found', id="config map"),
        pytest.param(
            key_ref("secretKeyRef", "s", "k"), "couldn't find key k in Secret lab/s", id="secret key"
        ),
        pytest.param(
            key_ref("configMapKeyRef", "cm", "z"), "couldn't find key z in ConfigMap lab/cm", id="map key"
        ),
        pytest.param({"envFrom": [{"secretRef": {"name": "gone"}}]}, 'secret "gone" not found', id="envFrom"),
    ],
)
def test_what_is_missing_is_named_as_a_kubelet_names_it(container, message):
    with pytest.raises(EnvError) as error:
        resolve(container)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "container",
    [
        key_ref("secretKeyRef", "gone", "k", optional=True),
        key_ref("secretKeyRef", "s", "k", optional=True),
        {"envFrom": [{"configMapRef": {"name": "gone", "optional": True}}]},
    ],
)
def test_what_is_optional_is_left_out(container):
    assert resolve(container) == {}


def test_references_are_those_of_env_and_env_from():
    container = {
        **key_ref("secretKeyRef", "a", "k"),
        "envFrom": [{"configMapRef": {"name": "b"}}, {"secretRef": {"name": "c"}}],
    }
    assert env_references([container]) == {("secrets", "a"), ("configmaps", "b"), ("secrets", "c")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A ${A}", "$A ${A}"), ("$$", "$"), ("a$", "a$")],
)
def test_expansion(text, expected):
    assert expand(text, {"A": "1"}) == expected
