"""Lists: kinds, versions, pages and selectors."""

from __future__ import annotations

import pytest


@pytest.fixture
async def three(api):
    """Three config maps and what the namespace has of its own."""
    for name in ("a", "b", "c"):
        await api.create("configmaps", {"metadata": {"name": name, "labels": {"name": name}}})
    return api


async def test_list_says_what_it_lists(three):
    answer = await three("GET", three.path("configmaps"))

    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(answer.body["metadata"]["resourceVersion"]) > 0
    assert answer.names == ["a", "b", "c", "kube-root-ca.crt"]


async def test_empty_selectors_select_everything(three):
    answer = await three("GET", three.path("configmaps"), labelSelector="", fieldSelector="")

    assert len(answer.names) == 4


async def test_list_of_all_namespaces_is_sorted_by_namespace_and_name(three):
    answer = await three("GET", "/api/v1/configmaps")

    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer.body["items"]]
    assert keys == sorted(keys)
    assert (three.namespace, "a") in keys


async def test_pages_show_one_moment(three):
    path = three.path("configmaps")
    first = await three("GET", path, limit=2)
    await three("DELETE", three.path("configmaps", "c"))
    await three.create("configmaps", {"metadata": {"name": "d"}})

    second = await three("GET", path, limit=2, **{"continue": first.body["metadata"]["continue"]})

    assert first.names == ["a", "b"]
    assert first.body["metadata"]["remainingItemCount"] == 2
    assert second.names == ["c", "kube-root-ca.crt"]
    assert "continue" not in second.body["metadata"]
    assert second.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]


async def test_bad_continue_token_is_400(three):
    answer = await three("GET", three.path("configmaps"), **{"continue": "nonsense"})

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_exact_version_lists_the_past(three):
    before = (await three("GET", three.path("configmaps"))).body["metadata"]["resourceVersion"]
    await three("DELETE", three.path("configmaps", "a"))

    answer = await three(
        "GET", three.path("configmaps"), resourceVersion=before, resourceVersionMatch="Exact"
    )

    assert answer.names == ["a", "b", "c", "kube-root-ca.crt"]


async def test_not_older_than_lists_the_present(three):
    answer = await three(
        "GET", three.path("configmaps"), resourceVersion="0", resourceVersionMatch="NotOlderThan"
    )

    assert len(answer.names) == 4


async def test_future_version_is_504(three):
    answer = await three("GET", three.path("configmaps"), resourceVersion="99999999")

    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert answer.body["details"]["retryAfterSeconds"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param({"resourceVersionMatch": "Exact"}, 422, id="match without version"),
        pytest.param({"resourceVersion": "1", "resourceVersionMatch": "Near"}, 422, id="unknown match"),
        pytest.param({"resourceVersion": "x"}, 400, id="no version"),
        pytest.param({"limit": "x"}, 400, id="no limit"),
        pytest.param({"labelSelector": "a in b"}, 400, id="no label selector"),
        pytest.param({"fieldSelector": "spec.foo"}, 400, id="no field selector"),
        pytest.param({"fieldSelector": "spec.foo=x"}, 400, id="unknown field"),
    ],
)
async def test_bad_parameters_are_refused(api, query, status):
    answer = await api("GET", api.path("pods"), **query)

    assert answer.status == status
    assert answer.body["kind"] == "Status"


async def test_unknown_field_label_is_said(api):
    answer = await api("GET", api.path("pods"), fieldSelector="spec.foo=x")

    assert answer.body["message"] == "field label not supported: spec.foo"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        pytest.param("metadata.name=a", ["a"], id="name"),
        pytest.param("metadata.name!=a", ["b"], id="not the name"),
        pytest.param("spec.nodeName=n1", ["b"], id="node"),
        pytest.param("spec.nodeName=", ["a"], id="no node"),
        pytest.param("status.phase=Pending,spec.nodeName!=", ["b"], id="two fields"),
        pytest.param("spec.restartPolicy==Never", ["a"], id="double equals"),
        pytest.param("status.phase=Running", [], id="none"),
    ],
)
async def test_pods_are_selected_by_fields(api, pod, selector, found):
    await api.create("pods", pod("a", restartPolicy="Never"))
    await api.create("pods", pod("b", nodeName="n1"))

    assert (await api("GET", api.path("pods"), fieldSelector=selector)).names == found


async def test_events_are_selected_by_their_object(api):
    for name in ("one", "two"):
        subject = {"kind": "Pod", "name": name, "namespace": api.namespace, "uid": f"uid-{name}"}
        await api.create("events", {"metadata": {"name": f"e-{name}"}, "involvedObject": subject})

    selector = f"involvedObject.name=one,involvedObject.namespace={api.namespace},involvedObject.uid=uid-one"
    answer = await api("GET", api.path("events"), fieldSelector=selector)

    assert answer.names == ["e-one"]


async def test_table_has_kubectls_columns(api, pod):
    await api.create("pods", pod())
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}

    table = (await api("GET", api.path("pods"), headers=accept, limit=500)).body

    titles = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert (table["kind"], titles) == ("Table", ["Name", "Ready", "Status", "Restarts", "Age"])
    assert table["rows"][0]["cells"][:4] == ["a", "0/1", "Pending", 0]
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_metadata_alone_when_asked(api, pod):
    await api.create("pods", pod())
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}

    answer = (await api("GET", api.path("pods"), headers=accept)).body

    assert answer["kind"] == "PartialObjectMetadataList"
    assert sorted(answer["items"][0]) == ["apiVersion", "kind", "metadata"]
