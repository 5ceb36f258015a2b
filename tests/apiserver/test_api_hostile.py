"""Whatever comes in, the answer is an object or a Status, never a failure of the server."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayster_testbed.apiserver.bootstrap import bootstrap, furnish_namespace
from rayster_testbed.apiserver.errors import ApiError
from rayster_testbed.apiserver.kinds import Registry
from rayster_testbed.apiserver.objects import Objects
from rayster_testbed.apiserver.quantities import parse_quantity
from rayster_testbed.apiserver.store import Store

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1e999999999999", "-1", "$(x)", "a\nb", "", "x" * 300, "1Gi", "None"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
POD_SPEC = {
    "containers": [
        {
            "name": "main",
            "image": "x:1",
            "args": ["a"],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "ports": [{"name": "web", "containerPort": 80, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}, "requests": {"cpu": "1"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "livenessProbe": {"httpGet": {"port": 80}},
        }
    ],
    "volumes": [
        {"name": "v", "emptyDir": {}},
        {"name": "w", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ],
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}],
    "priorityClassName": "",
    "terminationGracePeriodSeconds": 1,
}
META = {"name": "a", "labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["x/y"], "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}]}  # fmt: skip
CRD_SPEC = {
    "group": "g.io",
    "scope": "Namespaced",
    "names": {"plural": "things", "kind": "Thing"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "pattern": "("}}}}}],
}  # fmt: skip
OBJECTS = {
    "pods": {"metadata": META, "spec": POD_SPEC},
    "services": {"metadata": META, "spec": {"ports": [{"port": 80, "name": "a"}], "type": "ClusterIP"}},
    "secrets": {"metadata": META, "data": {"a": "Yg=="}, "stringData": {"b": "c"}},
    "events": {"metadata": META, "involvedObject": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z"},
    "nodes": {"metadata": META, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}, "status": {"capacity": {"cpu": "1"}}},
    "persistentvolumeclaims": {"metadata": META, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    "deployments.apps": {"metadata": META, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC}}},
    "jobs.batch": {"metadata": META, "spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}},
    "rolebindings.rbac.authorization.k8s.io": {"metadata": META, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
    "customresourcedefinitions.apiextensions.k8s.io": {"metadata": {**META, "name": "things.g.io"}, "spec": CRD_SPEC},
}  # fmt: skip


def places(value, path=()):
    """Every place in a tree."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def with_junk(value, path, junk):
    """A copy of a tree with something else at one place."""
    result = copy.deepcopy(value)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    return result


def fresh():
    objects = Objects(Store(), Registry())
    bootstrap(objects)
    furnish_namespace(objects, "default", "")
    return objects


@pytest.mark.parametrize("storage", OBJECTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_junk_anywhere_is_refused_or_taken_but_breaks_nothing(storage, data):
    objects = fresh()
    kind = objects.registry.stored_kinds()[storage]
    namespace = "default" if kind.namespaced else ""
    template = OBJECTS[storage]
    where = [path for path in places(template) if path]
    body = with_junk(template, data.draw(st.sampled_from(where)), data.draw(JUNK))

    try:
        record = objects.create(kind, namespace, body)
    except ApiError as error:
        assert 400 <= error.code < 500, error
        json.dumps(error.body())
        record = objects.create(kind, namespace, copy.deepcopy(template))
    name = record.obj["metadata"]["name"]

    change = with_junk(
        record.copy(),
        data.draw(st.sampled_from([path for path in places(record.obj) if path])),
        data.draw(JUNK),
    )
    try:
        objects.patch(kind, namespace, name, lambda _: change)
        objects.replace(kind, namespace, name, change)
    except ApiError as error:
        assert 400 <= error.code < 500, error


@given(st.text(max_size=12) | st.sampled_from(["1e9999999999999999999", "1E5", "1Ei", "٣"]))
def test_quantities_are_read_or_refused(text):
    try:
        parse_quantity(text)
    except ValueError as error:
        assert "quantities must match" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":' * 3000,
        b'{"metadata":{"name":"a","labels":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}",
        b"\xff\xfe",
        b'{"metadata":{"name":"\\ud800"}}',
        b'{"metadata":{"name":"a","generation":1e400}}',
        b'{"metadata":{"name":"a","generation":99999999999999999999999}}',
        b'{"metadata":null}',
        b'{"metadata":[]}',
        b'{"data":{"a":null},"metadata":{"name":""}}',
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_strange_bytes_are_a_client_error(api, body):
    answer = await api("POST", api.path("configmaps"), body)

    assert 400 <= answer.status < 500, answer
    assert answer.body["kind"] == "Status"


BOMB = b"a: &a0 [v]\n" + b"".join(
    b"b%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
)
CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"


@pytest.mark.parametrize("body", [BOMB + CONFIG, b"&a {b: *a}", b"[" * 900 + b"]" * 900, b"1: 2", b"{"])
async def test_yaml_that_stands_for_too_much_is_a_client_error(api, body):
    posted = await api("POST", api.path("configmaps"), body, headers={"Content-Type": "application/yaml"})
    applied = await api.patch(api.path("configmaps", "c") + "?fieldManager=m", body, "apply")

    assert (posted.status, applied.status) == (400, 400)
    assert "recursion" not in posted.body["message"] + applied.body["message"]


@pytest.mark.parametrize(
    ("form", "body", "status", "message"),
    [
        (
            "json",
            [{"op": "copy", "from": "/data", "path": f"/data/c{n}"} for n in range(40)],
            422,
            "accumulated size",
        ),
        ("json", [{"op": "test", "path": "/data/a", "value": "1"}] * 10_001, 413, "is 10000, got 10001"),
        ("strategic", {"metadata": {"$deleteFromPrimitiveList/finalizers": 5}}, 400, "is not a list"),
    ],
    ids=["copies of copies", "many operations", "directive"],
)
async def test_patch_that_would_cost_too_much_is_refused(api, form, body, status, message):
    await api.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})

    answer = await api.patch(api.path("configmaps", "c"), body, form)

    assert answer.status == status
    assert message in str(answer.body)


@pytest.mark.parametrize("digits", ["9" * 30, "9" * 4500, "٣", "1_0"], ids=lambda text: text[:8])
@pytest.mark.parametrize("name", ["resourceVersion", "timeoutSeconds"])
async def test_number_that_go_cannot_read_is_a_client_error(api, name, digits):
    answer = await api("GET", api.path("configmaps"), watch=1, **{"timeoutSeconds": 1, name: digits})

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("name", ["..", "a%2Fb", "%00", "a%0Ab", "x" * 4000, "%F0%9F%98%80"])
async def test_strange_names_are_not_found(api, session, name):
    from yarl import URL

    url = URL(f"{api.url}/api/v1/namespaces/{api.namespace}/configmaps/{name}", encoded=True)
    async with session.get(url) as answer:
        assert answer.status == 404


async def test_gone_readers_are_forgotten(api, server, session):
    """A client that leaves in the middle of a watch leaves nothing open behind."""
    from pathlib import Path

    process = server._process
    descriptors = Path(f"/proc/{process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    answers = [await session.get(f"{api.url}{api.path('configmaps')}?watch=1") for _ in range(20)]
    assert len(list(descriptors.iterdir())) >= before + 15
    for answer in answers:
        answer.close()

    import asyncio

    for _ in range(100):
        if len(list(descriptors.iterdir())) <= before + 2:
            return
        await asyncio.sleep(0.05)
    pytest.fail("connections stay open")
