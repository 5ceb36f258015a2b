"""Custom resources: definitions, schemas, versions, subresources."""

from __future__ import annotations

import itertools

import pytest
import yaml

from rayster_testbed.apiserver import schemas

_numbers = itertools.count()

SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
                "word": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "replicas": {"type": "integer", "default": 1},
                "amount": {
                    "x-kubernetes-int-or-string": True,
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "nested": {
                    "type": "object",
                    "default": {},
                    "properties": {"deep": {"type": "string", "default": "d"}},
                },
                "items": {
                    "type": "array",
                    "maxItems": 2,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
                    },
                },
                "nothing": {"type": "string", "nullable": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {"state": {"type": "string"}, "replicas": {"type": "integer"}},
        },
    },
}


def definition(group, scope="Namespaced", **version):
    first = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "additionalPrinterColumns": [{"name": "size", "type": "integer", "jsonPath": ".spec.size"}],
        **version,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"]},
            "versions": [first, {**first, "name": "v2", "storage": False}],
        },
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
async def group(api):
    """A group of its own with one custom resource, `things`."""
    name = f"g{next(_numbers)}.rayster.io"
    answer = await api("POST", CRDS, definition(name))
    assert answer.status == 201, answer
    return name


@pytest.fixture
def thing(group):
    def make(name="t", version="v1", **spec):
        return {
            "apiVersion": f"{group}/{version}",
            "kind": "Thing",
            "metadata": {"name": name},
            "spec": {"size": 1, **spec},
        }

    return make


async def test_definition_is_established_and_discovered(api, group):
    found = (await api("GET", f"{CRDS}/things.{group}")).body
    conditions = {item["type"]: item["status"] for item in found["status"]["conditions"]}
    resources = (await api("GET", f"/apis/{group}/v1")).body["resources"]

    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert found["status"]["acceptedNames"]["singular"] == "thing"
    assert [item["name"] for item in resources] == ["things", "things/scale", "things/status"]
    assert resources[0]["shortNames"] == ["th"]
    groups = {item["name"]: item for item in (await api("GET", "/apis")).body["groups"]}
    assert [item["version"] for item in groups[group]["versions"]] == ["v1", "v2"]


async def test_created_object_gets_defaults_and_loses_status_and_unknown_fields(api, group, thing):
    body = {**thing(unknown=1, free={"kept": 1}, labels={"a": "b"}), "status": {"state": "x"}}

    created = await api.create("things", body, f"{group}/v1")

    assert created["spec"] == {
        "size": 1,
        "mode": "fast",
        "replicas": 1,
        "free": {"kept": 1},
        "labels": {"a": "b"},
        "nested": {"deep": "d"},
    }
    assert "status" not in created
    assert created["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "field", "reason", "message"),
    [
        pytest.param({"size": 0}, "spec.size", "FieldValueInvalid", "should be greater than or equal to 1", id="minimum"),
        pytest.param({"size": 10}, "spec.size", "FieldValueInvalid", "should be less than or equal to 9", id="maximum"),
        pytest.param({"size": "1"}, "spec.size", "FieldValueTypeInvalid", 'must be of type integer: "string"', id="type"),
        pytest.param({"size": True}, "spec.size", "FieldValueTypeInvalid", 'must be of type integer: "boolean"', id="boolean"),
        pytest.param({"mode": "odd"}, "spec.mode", "FieldValueNotSupported", 'supported values: "fast", "slow"', id="enum"),
        pytest.param({"word": "A"}, "spec.word", "FieldValueInvalid", "should match '^[a-z]+$'", id="pattern"),
        pytest.param({"word": "abcdef"}, "spec.word", "FieldValueTooLong", "may not be more than 5 bytes", id="length"),
        pytest.param({"labels": {"a": 1}}, "spec.labels.a", "FieldValueTypeInvalid", "must be of type string", id="additional"),
        pytest.param({"amount": True}, "spec.amount", "FieldValueTypeInvalid", "integer,string", id="int or string"),
        pytest.param({"items": [{}]}, "spec.items[0].id", "FieldValueRequired", "Required value", id="required in a list"),
        pytest.param({"items": [{"id": "a"}, {"id": "a"}]}, "spec.items[1]", "FieldValueDuplicate", "Duplicate value", id="duplicate key"),
        pytest.param({"items": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}, "spec.items", "FieldValueTooMany", "must have at most 2 items", id="too many"),
    ],
)  # fmt: skip
async def test_schema_is_enforced(api, group, thing, spec, field, reason, message):
    answer = await api("POST", api.path("things", group=f"{group}/v1"), thing(**spec))

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith(f'Thing.{group} "t" is invalid: {field}')
    cause = answer.body["details"]["causes"][0]
    assert (cause["field"], cause["reason"]) == (field, reason)
    assert message in cause["message"]


async def test_missing_spec_is_required(api, group):
    body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t"}}

    answer = await api("POST", api.path("things", group=f"{group}/v1"), body)

    assert answer.body["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec"}
    ]


async def test_status_has_its_own_path_and_no_generation(api, group, thing):
    created = await api.create("things", thing(), f"{group}/v1")
    path = api.path("things", "t", f"{group}/v1")

    await api.patch(path, {"status": {"state": "no"}})
    assert "status" not in (await api("GET", path)).body
    body = {**created, "status": {"state": "yes"}, "spec": {"size": 5}}
    body["metadata"] = {**body["metadata"], "labels": {"not": "taken"}}
    answer = await api("PUT", f"{path}/status", body)

    assert (answer.body["status"], answer.body["spec"]["size"]) == ({"state": "yes"}, 1)
    assert answer.body["metadata"]["generation"] == 1
    assert "labels" not in answer.body["metadata"]
    assert (await api.patch(path, {"spec": {"size": 2}})).body["metadata"]["generation"] == 2


async def test_put_needs_a_version(api, group, thing):
    await api.create("things", thing(), f"{group}/v1")

    answer = await api("PUT", api.path("things", "t", f"{group}/v1"), thing())

    assert (answer.status, "must be specified for an update" in answer.body["message"]) == (422, True)


async def test_strategic_merge_is_not_for_custom_resources(api, group, thing):
    await api.create("things", thing(), f"{group}/v1")

    answer = await api.patch(api.path("things", "t", f"{group}/v1"), {}, "strategic")

    assert answer.status == 415


async def test_two_versions_are_one_object(api, group, thing):
    await api.create("things", thing(), f"{group}/v1")

    answer = await api("GET", api.path("things", "t", f"{group}/v2"))
    listed = await api("GET", api.path("things", group=f"{group}/v2"))
    watched = await api.watch(api.path("things", group=f"{group}/v2"), count=1)

    assert answer.body["apiVersion"] == f"{group}/v2"
    assert listed.body["items"][0]["apiVersion"] == f"{group}/v2"
    assert watched[0]["object"]["apiVersion"] == f"{group}/v2"


async def test_scale_of_a_custom_resource(api, group, thing):
    await api.create("things", thing(), f"{group}/v1")
    path = api.path("things", "t/scale", f"{group}/v1")

    await api.patch(path, {"spec": {"replicas": 3}})

    assert (await api("GET", path)).body["spec"]["replicas"] == 3


async def test_table_has_the_definitions_columns(api, group, thing):
    await api.create("things", thing(size=7), f"{group}/v1")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}

    table = (await api("GET", api.path("things", group=f"{group}/v1"), headers=accept)).body

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "size"]
    assert table["rows"][0]["cells"] == ["t", 7]


async def test_apply_merges_a_keyed_list_of_the_schema(api, group, thing):
    path = api.path("things", "t", f"{group}/v1")
    await api.patch(path, thing(items=[{"id": "a", "n": 1}]), "apply", fieldManager="one")

    answer = await api.patch(path, thing(items=[{"id": "b", "n": 2}]), "apply", fieldManager="two")

    assert answer.body["spec"]["items"] == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]


async def test_deleted_definition_takes_its_objects_along(api, group, thing, eventually):
    held = thing()
    held["metadata"]["finalizers"] = ["rayster.io/hold"]
    await api.create("things", held, f"{group}/v1")

    await api("DELETE", f"{CRDS}/things.{group}")
    path = api.path("things", "t", f"{group}/v1")

    async def is_marked():
        return (await api("GET", path)).body["metadata"].get("deletionTimestamp")

    async def definition_is_gone():
        return (await api("GET", f"{CRDS}/things.{group}")).status == 404

    await eventually(is_marked)
    await api.patch(path, {"metadata": {"finalizers": None}})
    await eventually(definition_is_gone)
    assert (await api("GET", path)).body == "404 page not found\n"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"metadata": {"name": "other.g.io"}}, "metadata.name", id="name"),
        pytest.param({"spec": {"scope": "Odd"}}, "spec.scope", id="scope"),
        pytest.param({"spec": {"versions": []}}, "spec.versions", id="no versions"),
        pytest.param({"spec": {"versions": [{"name": "v1", "served": True, "storage": True}]}}, "spec.versions[0].schema.openAPIV3Schema", id="no schema"),
    ],
)  # fmt: skip
async def test_bad_definition_is_invalid(api, change, field):
    body = definition("bad.rayster.io")
    for key, value in change.items():
        body[key] = {**body[key], **value}

    answer = await api("POST", CRDS, body)

    assert answer.status == 422
    assert field in [cause["field"] for cause in answer.body["details"]["causes"]]


async def test_a_definition_of_a_megabyte_is_taken(api):
    """KubeRay's RayCluster definition has some 900 KB, mostly pod templates with descriptions."""
    body = definition(f"g{next(_numbers)}.rayster.io")
    properties = {f"field{index}": {"type": "string", "description": "x" * 400} for index in range(2000)}
    body["spec"]["versions"] = body["spec"]["versions"][:1]
    body["spec"]["versions"][0]["schema"] = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": properties}},
        }
    }
    text = yaml.safe_dump(body).encode()
    assert len(text) > 900_000

    answer = await api("POST", CRDS, text, {"Content-Type": "application/yaml"})

    assert answer.status == 201


@pytest.mark.parametrize(
    ("value", "schema", "valid"),
    [
        pytest.param(None, {"type": "string", "nullable": True}, True, id="null allowed"),
        pytest.param(None, {"type": "string"}, False, id="null"),
        pytest.param(2.0, {"type": "integer"}, True, id="whole float"),
        pytest.param(2, {"type": "number"}, True, id="integer is a number"),
        pytest.param(1, {"type": "integer", "minimum": 1, "exclusiveMinimum": True}, False, id="exclusive"),
        pytest.param(5, {"type": "integer", "multipleOf": 2}, False, id="multiple"),
        pytest.param(2**31, {"type": "integer", "format": "int32"}, False, id="int32"),
        pytest.param("x", {"type": "string", "minLength": 2}, False, id="short"),
        pytest.param("2026-01-01T00:00:00Z", {"type": "string", "format": "date-time"}, True, id="time"),
        pytest.param("soon", {"type": "string", "format": "date-time"}, False, id="no time"),
        pytest.param([1, 1], {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}}, False, id="set"),
        pytest.param({}, {"type": "object", "minProperties": 1}, False, id="too few"),
        pytest.param({"a": 1}, {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, True, id="any of"),
        pytest.param({}, {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, False, id="none of"),
        pytest.param({"a": 1, "b": 1}, {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, False, id="both of one"),
        pytest.param({"a": 1}, {"type": "object", "not": {"required": ["a"]}}, False, id="not"),
        pytest.param({"a": 1}, {"type": "object", "allOf": [{"required": ["b"]}]}, False, id="all of"),
    ],
)  # fmt: skip
def test_schema_keywords(value, schema, valid):
    assert (schemas.validate(value, schema, "spec") == []) is valid


async def test_objects_follow_when_another_version_is_stored(api, group, thing):
    await api.create("things", thing(), f"{group}/v1")
    found = (await api("GET", f"{CRDS}/things.{group}")).body
    for version in found["spec"]["versions"]:
        version["storage"] = version["name"] == "v2"
    assert (await api("PUT", f"{CRDS}/things.{group}", found)).status == 200

    for version in ("v1", "v2"):
        listed = await api("GET", api.path("things", group=f"{group}/{version}"))
        assert listed.body["items"][0]["apiVersion"] == f"{group}/{version}"
    patched = await api.patch(api.path("things", "t", f"{group}/v1"), {"spec": {"size": 2}})
    assert (patched.status, patched.body["apiVersion"]) == (200, f"{group}/v1")
