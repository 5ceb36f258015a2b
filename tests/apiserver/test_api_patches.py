"""The patch formats, as functions and over HTTP; server-side apply."""

from __future__ import annotations

import copy
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_testbed.apiserver.merge import PatchError, json_patch, merge_patch, strategic_merge

KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=3)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=15,
)
NAMED = st.lists(
    st.fixed_dictionaries({"name": KEYS}, optional={"image": KEYS, "args": st.lists(KEYS, max_size=2)}),
    max_size=5,
    unique_by=lambda item: item["name"],
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the table of RFC 7386
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_rfc(target, patch, result):
    assert merge_patch(target, patch) == result


@given(TREES, TREES)
def test_merge_patch_settles_and_leaves_its_arguments_alone(target, patch):
    before = copy.deepcopy((target, patch))

    once = merge_patch(target, patch)

    assert merge_patch(once, patch) == once
    assert (target, patch) == before


@given(NAMED, NAMED)
def test_strategic_merge_of_a_keyed_list_keeps_everybody(target, patch):
    merged = strategic_merge({"containers": target}, {"containers": patch})["containers"]

    by_name = {item["name"]: item for item in merged}
    assert [item["name"] for item in merged][: len(target)] == [item["name"] for item in target]
    assert set(by_name) == {item["name"] for item in [*target, *patch]}
    for item in patch:
        assert {key: by_name[item["name"]][key] for key in item} == item
    assert strategic_merge({"containers": merged}, {"containers": patch})["containers"] == merged


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        pytest.param({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B", "value": "2"}]}, {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, id="added by name"),
        pytest.param({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "$patch": "delete"}]}, {"env": []}, id="delete"),
        pytest.param({"env": [{"name": "A"}]}, {"env": [{"$patch": "replace"}, {"name": "B"}]}, {"env": [{"name": "B"}]}, id="replace a list"),
        pytest.param({"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 2}}, {"m": {"b": 2}}, id="replace a map"),
        pytest.param({"m": {"a": 1}}, {"m": {"$patch": "delete"}}, {"m": {}}, id="delete a map"),
        pytest.param({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}, id="atomic list"),
        pytest.param({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}, id="tolerations are atomic"),
        pytest.param({"taints": [{"key": "a"}]}, {"taints": [{"key": "b"}]}, {"taints": [{"key": "b"}]}, id="taints are atomic"),
        pytest.param({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, {"finalizers": ["a", "b"]}, id="finalizers are a set"),
        pytest.param({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}, id="delete from a set"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null removes"),
        pytest.param({"a": 1}, {"$setElementOrder/x": ["b"], "c": 2}, {"a": 1, "c": 2}, id="order is ignored"),
        pytest.param({"strategy": {"type": "A", "rollingUpdate": {}}}, {"strategy": {"$retainKeys": ["type"], "type": "B"}}, {"strategy": {"type": "B"}}, id="retain keys"),
        pytest.param({"containers": [{"ports": [{"containerPort": 1, "name": "a"}]}]}, {"containers": [{"ports": [{"containerPort": 2}]}]}, None, id="item without its key"),
        pytest.param({"spec": {"ports": [{"port": 1, "name": "a"}]}}, {"spec": {"ports": [{"port": 1, "name": "b"}]}}, {"spec": {"ports": [{"port": 1, "name": "b"}]}}, id="service ports"),
        pytest.param({"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}, {"containers": [{"name": "c", "ports": [{"containerPort": 2}]}]}, {"containers": [{"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 2}]}]}, id="container ports"),
        pytest.param({"conditions": [{"type": "Ready", "status": "False"}]}, {"conditions": [{"type": "Ready", "status": "True"}]}, {"conditions": [{"type": "Ready", "status": "True"}]}, id="conditions"),
    ],
)  # fmt: skip
def test_strategic_merge(target, patch, result):
    if result is None:
        with pytest.raises(PatchError):
            strategic_merge(target, patch)
    else:
        assert strategic_merge(target, patch) == result


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        pytest.param({}, [{"op": "add", "path": "/a", "value": 1}], {"a": 1}, id="add"),
        pytest.param({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}, id="insert"),
        pytest.param({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}, id="append"),
        pytest.param({"a": 1}, [{"op": "remove", "path": "/a"}], {}, id="remove"),
        pytest.param({"a/b~c": 1}, [{"op": "replace", "path": "/a~1b~0c", "value": 2}], {"a/b~c": 2}, id="escapes"),
        pytest.param({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}, id="move"),
        pytest.param({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}, id="copy"),
        pytest.param({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}, id="test"),
        pytest.param({"a": 1}, [{"op": "test", "path": "/a", "value": 2}], None, id="test fails"),
        pytest.param({}, [{"op": "remove", "path": "/a"}], None, id="remove nothing"),
        pytest.param({}, [{"op": "replace", "path": "/a", "value": 1}], None, id="replace nothing"),
        pytest.param({}, [{"op": "odd", "path": "/a"}], None, id="odd"),
        pytest.param({}, [{"op": "add", "path": "a", "value": 1}], None, id="no pointer"),
        pytest.param({}, {"op": "add"}, None, id="no list"),
    ],
)  # fmt: skip
def test_json_patch(document, operations, result):
    if result is None:
        with pytest.raises(PatchError):
            json_patch(document, operations)
    else:
        assert json_patch(document, operations) == result


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("merge", {"data": {"b": "2", "a": None}}),
        ("strategic", {"data": {"b": "2", "a": None}}),
        ("json", [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}]),
    ],
)
async def test_three_formats_over_http(api, form, body):
    await api.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})

    answer = await api.patch(api.path("configmaps", "c"), body, form)

    assert (answer.status, answer.body["data"]) == (200, {"b": "2"})


@pytest.mark.parametrize(
    ("form", "body", "status"),
    [
        pytest.param("merge", b"{", 400, id="no json"),
        pytest.param("merge", [1], 400, id="merge with a list"),
        pytest.param("json", {"a": 1}, 400, id="json patch with a map"),
        pytest.param("json", [{"op": "remove", "path": "/x"}], 422, id="json patch does not fit"),
        pytest.param("merge", {"metadata": {"resourceVersion": "1"}}, 409, id="old version"),
        pytest.param("merge", {"metadata": {"name": "d"}}, 400, id="other name"),
        pytest.param("merge", {"data": {"a": 1}}, 400, id="wrong type"),
    ],
)
async def test_bad_patches(api, form, body, status):
    await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api.patch(api.path("configmaps", "c"), body, form)

    assert (answer.status, answer.body["kind"]) == (status, "Status")


async def test_patch_of_nothing_is_404(api):
    assert (await api.patch(api.path("configmaps", "c"), {})).status == 404


async def test_unknown_patch_format_is_415(api):
    await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("PATCH", api.path("configmaps", "c"), {})

    assert answer.status == 415
    assert "application/strategic-merge-patch+json" in answer.body["message"]


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


async def test_apply_creates_then_merges_and_removes_what_is_left_out(api):
    path = api.path("configmaps", "c")

    created = await api.patch(path, config(a="1", b="2"), "apply", fieldManager="me")
    await api.patch(path, {"data": {"other": "3"}})
    applied = await api.patch(path, config(a="9"), "apply", fieldManager="me")

    assert created.status == 201
    assert (applied.status, applied.body["data"]) == (200, {"a": "9", "other": "3"})
    entry = applied.body["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("me", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:a": {}}}


async def test_apply_against_another_manager_is_a_conflict_unless_forced(api):
    path = api.path("configmaps", "c")
    await api.patch(path, config(a="1"), "apply", fieldManager="first")

    refused = await api.patch(path, config(a="2"), "apply", fieldManager="second")
    forced = await api.patch(path, config(a="2"), "apply", fieldManager="second", force="true")

    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "first": .data.a'
    assert (forced.status, forced.body["data"]) == (200, {"a": "2"})
    assert [item["manager"] for item in forced.body["metadata"]["managedFields"]] == ["second"]


async def test_same_apply_again_changes_nothing(api):
    path = api.path("configmaps", "c")
    first = await api.patch(path, config(a="1"), "apply", fieldManager="me")

    second = await api.patch(path, config(a="1"), "apply", fieldManager="me")

    assert second.body == first.body


async def test_apply_merges_containers_by_name(api, pod):
    await api.create("pods", pod())
    body = b"""
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {new: "yes"}}
spec: {containers: [{name: main, image: "y:2"}]}
"""

    answer = await api.patch(api.path("pods", "a"), body, "apply", fieldManager="me")

    assert answer.status == 200, answer
    assert [item["image"] for item in answer.body["spec"]["containers"]] == ["y:2"]
    assert answer.body["metadata"]["labels"]["new"] == "yes"


async def test_apply_needs_a_manager(api):
    assert (await api.patch(api.path("configmaps", "c"), config(a="1"), "apply")).status == 422
