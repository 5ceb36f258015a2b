"""Create, read, replace, delete: the answers of a real server, field by field."""

from __future__ import annotations

import asyncio

import pytest


async def test_created_object_has_what_the_server_owns(api, pod):
    created = await api.create("pods", pod("a"))

    meta = created["metadata"]
    assert meta["namespace"] == api.namespace
    assert meta["generation"] == 1
    assert int(meta["resourceVersion"]) > 0
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"].endswith("Z")
    assert created["status"]["phase"] == "Pending"


async def test_missing_object_is_404_with_details(api):
    answer = await api("GET", api.path("configmaps", "zzz"))

    assert answer.status == 404
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "zzz" not found',
        "reason": "NotFound",
        "details": {"name": "zzz", "kind": "configmaps"},
        "code": 404,
    }


async def test_missing_object_of_a_group_is_named_with_its_group(api):
    answer = await api("GET", api.path("deployments", "d", "apps/v1"))

    assert answer.body["message"] == 'deployments.apps "d" not found'
    assert answer.body["details"] == {"name": "d", "group": "apps", "kind": "deployments"}


async def test_missing_namespace_is_404_on_create(api, pod):
    answer = await api("POST", api.path("pods", namespace="nons"), pod())

    assert (answer.status, answer.body["message"]) == (404, 'namespaces "nons" not found')


async def test_second_create_is_409(api):
    await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("POST", api.path("configmaps"), {"metadata": {"name": "c"}})

    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.body["message"] == 'configmaps "c" already exists'


async def test_generate_name_gives_different_names(api):
    first = await api.create("configmaps", {"metadata": {"generateName": "c-"}})
    second = await api.create("configmaps", {"metadata": {"generateName": "c-"}})

    assert first["metadata"]["name"].startswith("c-")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert len(first["metadata"]["name"]) == len("c-") + 5


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(b"{nope", 400, "json parse error", id="no json"),
        pytest.param(b"", 400, "unexpected EOF", id="empty"),
        pytest.param(b"[]", 400, "cannot unmarshal array", id="a list"),
        pytest.param({"kind": "Pod", "apiVersion": "v1"}, 400, "cannot be handled as a ConfigMap", id="other kind"),
        pytest.param({"kind": "ConfigMap", "apiVersion": "apps/v1"}, 400, "does not match the expected API version", id="other version"),
        pytest.param(
            {"metadata": {"name": "c", "labels": {"a": 1}}},
            400,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
            id="label is a number",
        ),
        pytest.param({"metadata": {"name": "c", "namespace": "else"}}, 400, "the namespace of the provided object does not match the namespace sent on the request", id="other namespace"),
        pytest.param({"metadata": {}}, 422, "metadata.name: Required value: name or generateName is required", id="no name"),
        pytest.param({"metadata": {"name": "Not_DNS"}}, 422, "a lowercase RFC 1123 subdomain must consist of", id="bad name"),
        pytest.param({"metadata": {"name": "c", "labels": {"a b": "c"}}}, 422, "name part must consist of", id="bad label key"),
        pytest.param({"metadata": {"name": "c", "labels": {"a": "b c"}}}, 422, "a valid label must be an empty string or", id="bad label value"),
        pytest.param({"metadata": {"name": "c", "labels": {"a": "x" * 64}}}, 422, "must be no more than 63 characters", id="long label value"),
        pytest.param({"metadata": {"name": "c", "annotations": {"a": "x" * 262144}}}, 422, "metadata.annotations: Too long: may not be more than 262144 bytes", id="annotations too long"),
        pytest.param({"metadata": {"name": "c", "finalizers": ["a b"]}}, 422, "metadata.finalizers: Invalid value", id="bad finalizer"),
        pytest.param({"metadata": {"name": "c", "ownerReferences": [{"name": "x"}]}}, 422, "metadata.ownerReferences[0].uid: Invalid value", id="half an owner"),
        pytest.param({"metadata": {"name": "c"}, "data": {"a/b": "x"}}, 422, "a valid config key must consist of", id="bad key"),
        pytest.param({"metadata": {"name": "c", "resourceVersion": "5"}}, 500, "resourceVersion should not be set on objects to be created", id="with a version"),
    ],
)  # fmt: skip
async def test_bad_body_is_refused_in_the_servers_words(api, body, status, message):
    answer = await api("POST", api.path("configmaps"), body)

    assert answer.status == status
    assert answer.body["kind"] == "Status"
    assert message in answer.body["message"]


async def test_invalid_object_lists_its_causes(api):
    answer = await api("POST", api.path("configmaps"), {"metadata": {"name": "Bad", "labels": {"a": "b c"}}})

    assert answer.body["reason"] == "Invalid"
    assert answer.body["message"].startswith(
        'ConfigMap "Bad" is invalid: [metadata.name: Invalid value: "Bad"'
    )
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == [
        "metadata.name",
        "metadata.labels",
    ]
    assert {cause["reason"] for cause in answer.body["details"]["causes"]} == {"FieldValueInvalid"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nothing", 404, id="unknown path"),
        pytest.param("GET", "/api/v1/nothings", 404, id="unknown resource"),
        pytest.param("GET", "/apis/none.io/v1", 404, id="unknown group"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/a/nothing", 404, id="unknown subresource"),
        pytest.param("GET", "/api/v1/namespaces/default/nodes", 404, id="namespace where none belongs"),
    ],
)
async def test_unknown_path_is_a_text_404(api, method, path, status):
    answer = await api(method, path)

    assert (answer.status, answer.body) == (status, "404 page not found\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("PUT", "/api/v1/namespaces/default/pods", id="put to a collection"),
        pytest.param("POST", "/api/v1/namespaces/default/pods/a", id="post to an object"),
        pytest.param("POST", "/api/v1/pods", id="create without a namespace"),
        pytest.param("DELETE", "/api/v1/namespaces/default/pods/a/log", id="delete a log"),
        pytest.param("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", id="list reviews"),
    ],
)
async def test_wrong_method_is_405(api, method, path):
    answer = await api(method, path, {})

    assert (answer.status, answer.body["reason"]) == (405, "MethodNotAllowed")


async def test_unknown_media_type_is_415(api):
    answer = await api("POST", api.path("configmaps"), b"x", {"Content-Type": "text/plain"})

    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


async def test_body_above_three_mebibytes_is_413(api):
    body = {"metadata": {"name": "c"}, "data": {"a": "x" * (3 * 1024 * 1024)}}

    answer = await api("POST", api.path("configmaps"), body)

    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.body["message"] == "Request entity too large: limit is 3145728"


async def test_yaml_body_is_taken(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"

    answer = await api("POST", api.path("configmaps"), body, {"Content-Type": "application/yaml"})

    assert (answer.status, answer.body["data"]) == (201, {"a": "b"})


@pytest.mark.parametrize(
    ("mode", "status"), [("Strict", 400), ("Warn", 201), ("Ignore", 201), ("", 201)], ids=str
)
async def test_unknown_field_is_refused_or_dropped(api, mode, status):
    body = {"metadata": {"name": "c"}, "dta": {"a": "b"}}

    answer = await api("POST", api.path("configmaps"), body, fieldValidation=mode)

    assert answer.status == status
    assert "dta" not in answer.body
    if mode == "Strict":
        assert 'strict decoding error: unknown field "dta"' in answer.body["message"]
    assert ("Warning" in answer.headers) is (mode in ("Warn", ""))


async def test_put_with_an_old_version_is_a_conflict(api):
    first = await api.create("configmaps", {"metadata": {"name": "c"}})
    path = api.path("configmaps", "c")
    second = (await api("PUT", path, {**first, "data": {"a": "1"}})).body

    answer = await api("PUT", path, {**first, "data": {"a": "2"}})

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "the object has been modified; please apply your changes" in answer.body["message"]
    assert (await api("GET", path)).body == second


async def test_put_without_a_version_overwrites(api):
    await api.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})

    answer = await api("PUT", api.path("configmaps", "c"), {"metadata": {"name": "c"}, "data": {"b": "2"}})

    assert (answer.status, answer.body["data"]) == (200, {"b": "2"})


async def test_put_keeps_what_the_server_owns(api):
    first = await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("PUT", api.path("configmaps", "c"), {"metadata": {"name": "c", "generation": 9}})

    for name in ("uid", "creationTimestamp"):
        assert answer.body["metadata"][name] == first["metadata"][name]
    assert "generation" not in answer.body["metadata"]


@pytest.mark.parametrize(
    ("meta", "status", "message"),
    [
        pytest.param({"name": "other"}, 400, "the name of the object (other) does not match the name on the URL (c)", id="name"),
        pytest.param({"uid": "x"}, 409, "Precondition failed: UID in precondition: x", id="uid"),
        pytest.param({"creationTimestamp": "2001-01-01T00:00:00Z"}, 422, "metadata.creationTimestamp: Invalid value", id="creation"),
    ],
)  # fmt: skip
async def test_put_that_changes_the_identity_is_refused(api, meta, status, message):
    await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("PUT", api.path("configmaps", "c"), {"metadata": {"name": "c", **meta}})

    assert answer.status == status
    assert message in answer.body["message"]


async def test_write_that_changes_nothing_keeps_the_version(api):
    first = await api.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})

    answer = await api.patch(api.path("configmaps", "c"), {"data": {"a": "1"}})

    assert answer.body["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_times_come_back_as_go_writes_them(api):
    created = await api.create("configmaps", {"metadata": {"name": "c"}})
    python_time = created["metadata"]["creationTimestamp"].replace("Z", "+00:00")

    answer = await api("PUT", api.path("configmaps", "c"), {"metadata": {**created["metadata"], "creationTimestamp": python_time}, "data": {"a": "b"}})  # fmt: skip

    assert answer.body["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]


async def test_dry_run_changes_nothing(api, pod):
    created = await api("POST", api.path("pods"), pod(), dryRun="All")

    assert (created.status, created.body["spec"]["restartPolicy"]) == (201, "Always")
    assert (await api("GET", api.path("pods", "a"))).status == 404

    await api.create("pods", pod())
    assert (await api("DELETE", api.path("pods", "a"), dryRun="All")).status == 200
    assert (
        await api.patch(api.path("pods", "a"), {"metadata": {"labels": {"x": "y"}}}, dryRun="All")
    ).status == 200
    assert (await api("GET", api.path("pods", "a"))).body["metadata"].get("labels", {}) == {}


async def test_delete_answers_a_status_with_the_uid(api):
    created = await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("DELETE", api.path("configmaps", "c"))

    assert answer.body["status"] == "Success"
    assert answer.body["details"] == {"name": "c", "kind": "configmaps", "uid": created["metadata"]["uid"]}


@pytest.mark.parametrize(
    "preconditions", [{"uid": "another"}, {"resourceVersion": "1"}], ids=["uid", "version"]
)
async def test_delete_of_another_object_is_a_conflict(api, preconditions):
    await api.create("configmaps", {"metadata": {"name": "c"}})

    answer = await api("DELETE", api.path("configmaps", "c"), {"preconditions": preconditions})

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert (await api("GET", api.path("configmaps", "c"))).status == 200


async def test_finalizer_holds_an_object_until_it_is_removed(api):
    await api.create("configmaps", {"metadata": {"name": "c", "finalizers": ["rayster.io/hold"]}})
    path = api.path("configmaps", "c")

    held = await api("DELETE", path)
    assert held.body["metadata"]["deletionTimestamp"]
    added = await api.patch(path, {"metadata": {"finalizers": ["rayster.io/hold", "rayster.io/more"]}})
    assert (added.status, added.body["details"]["causes"][0]["field"]) == (422, "metadata.finalizers")

    await api.patch(path, {"metadata": {"finalizers": None}})
    assert (await api("GET", path)).status == 404


async def test_delete_collection_takes_what_the_selector_selects(api):
    for name, label in (("a", "x"), ("b", "y"), ("c", "x")):
        await api.create("configmaps", {"metadata": {"name": name, "labels": {"k": label}}})

    await api("DELETE", api.path("configmaps"), labelSelector="k=x")

    assert (await api("GET", api.path("configmaps"))).names == ["b", "kube-root-ca.crt"]


async def test_secret_strings_become_base64(api):
    created = await api.create("secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})

    assert created["data"] == {"a": "Yg=="}
    assert created["type"] == "Opaque"
    assert "stringData" not in created


async def test_services_get_addresses_of_their_own(api):
    spec = {"ports": [{"port": 80}]}
    first = await api.create("services", {"metadata": {"name": "a"}, "spec": spec})
    second = await api.create("services", {"metadata": {"name": "b"}, "spec": spec})
    headless = await api.create(
        "services", {"metadata": {"name": "c"}, "spec": {**spec, "clusterIP": "None"}}
    )

    assert first["spec"]["clusterIP"].startswith("127.96.")
    assert first["spec"]["clusterIP"] != second["spec"]["clusterIP"]
    assert headless["spec"]["clusterIP"] == "None"
    assert first["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert first["spec"]["type"] == "ClusterIP"


async def test_claim_is_bound_and_protected_while_used(api, pod, eventually):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await api.create("persistentvolumeclaims", {"metadata": {"name": "home"}, "spec": claim})
    path = api.path("persistentvolumeclaims", "home")

    async def is_bound() -> bool:
        return (await api("GET", path)).body["status"]["phase"] == "Bound"

    async def is_gone() -> bool:
        return (await api("GET", path)).status == 404

    await eventually(is_bound)
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
    await api.create("pods", pod(volumes=volumes))
    await api("DELETE", path)
    await asyncio.sleep(0.1)
    assert (await api("GET", path)).body["metadata"]["deletionTimestamp"]

    await api("DELETE", api.path("pods", "a"))
    await eventually(is_gone)


async def test_new_node_is_tainted_until_its_agent_is_ready(api):
    node = {"metadata": {"name": f"node-{api.namespace}"}, "status": {"capacity": {"cpu": "8"}}}

    created = (await api("POST", "/api/v1/nodes", node)).body

    assert created["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert created["status"]["capacity"] == {"cpu": "8"}
    assert created["status"]["allocatable"] == {"cpu": "8"}


async def test_status_changes_only_through_its_path(api):
    name = f"node-{api.namespace}"
    await api("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    conditions = [{"type": "Ready", "status": "True"}]

    await api.patch(f"/api/v1/nodes/{name}", {"status": {"conditions": conditions}})
    assert "conditions" not in (await api("GET", f"/api/v1/nodes/{name}")).body["status"]

    body = {"spec": {"unschedulable": True}, "status": {"conditions": conditions}}
    await api.patch(f"/api/v1/nodes/{name}/status", body)
    node = (await api("GET", f"/api/v1/nodes/{name}")).body
    assert node["status"]["conditions"] == conditions
    assert "unschedulable" not in node["spec"]


async def test_scale_reads_and_sets_replicas(api):
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    await api.create("deployments", {"metadata": {"name": "d"}, "spec": spec}, "apps/v1")
    path = api.path("deployments", "d/scale", "apps/v1")

    assert (await api("GET", path)).body["spec"] == {"replicas": 1}
    await api.patch(path, {"spec": {"replicas": 4}})

    deployment = (await api("GET", api.path("deployments", "d", "apps/v1"))).body
    assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (4, 2)


async def test_events_are_the_same_in_both_groups(api):
    subject = {"kind": "Pod", "name": "a", "namespace": api.namespace}
    event = {
        "metadata": {"name": "e"},
        "involvedObject": subject,
        "reason": "Why",
        "message": "words",
        "type": "Normal",
    }
    await api.create("events", event)

    answer = await api("GET", api.path("events", "e", "events.k8s.io/v1"))

    assert answer.body["apiVersion"] == "events.k8s.io/v1"
    assert (answer.body["regarding"], answer.body["note"]) == (subject, "words")


async def test_event_of_another_namespace_is_invalid(api):
    subject = {"kind": "Pod", "name": "a", "namespace": "else"}

    answer = await api("POST", api.path("events"), {"metadata": {"name": "e"}, "involvedObject": subject})

    assert answer.status == 422
    assert "does not match event.namespace" in answer.body["message"]
