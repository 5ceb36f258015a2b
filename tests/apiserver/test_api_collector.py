"""Owners and their dependents; namespaces and what is in them."""

from __future__ import annotations

import asyncio

import pytest


def owned_by(owner, **more):
    meta = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        **more,
    }


def config_map(name, *owners, **meta):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": list(owners), **meta},
    }


@pytest.fixture
def gone(api, eventually):
    """Waits until a config map is gone."""

    async def wait(name):
        async def check():
            return (await api("GET", api.path("configmaps", name))).status == 404

        await eventually(check)

    return wait


async def test_dependents_go_after_their_owner(api, pod, gone):
    owner = await api.create("pods", pod())
    child = await api.create("configmaps", config_map("child", owned_by(owner)))
    await api.create("configmaps", config_map("grandchild", owned_by(child)))

    await api("DELETE", api.path("pods", "a"))

    await gone("child")
    await gone("grandchild")


async def test_owner_is_meant_by_its_uid(api, pod, gone):
    owner = await api.create("pods", pod())
    await api.create(
        "configmaps", config_map("stranger", owned_by(owner, uid="00000000-0000-0000-0000-000000000000"))
    )

    await gone("stranger")

    assert (await api("GET", api.path("pods", "a"))).status == 200


async def test_object_with_another_owner_left_stays(api, pod, eventually):
    first, second = await api.create("pods", pod("a")), await api.create("pods", pod("b"))
    await api.create("configmaps", config_map("child", owned_by(first), owned_by(second)))

    await api("DELETE", api.path("pods", "a"))

    async def has_one_owner():
        child = (await api("GET", api.path("configmaps", "child"))).body
        return [owner["name"] for owner in child["metadata"]["ownerReferences"]] == ["b"]

    await eventually(has_one_owner)


async def test_orphans_stay(api, eventually):
    owner = await api.create("configmaps", config_map("owner"))
    await api.create("configmaps", config_map("child", owned_by(owner)))

    await api("DELETE", api.path("configmaps", "owner"), {"propagationPolicy": "Orphan"})

    async def is_orphan():
        child = (await api("GET", api.path("configmaps", "child"))).body
        owner_gone = (await api("GET", api.path("configmaps", "owner"))).status == 404
        return owner_gone and not child["metadata"].get("ownerReferences")

    await eventually(is_orphan)


async def test_foreground_waits_for_those_that_block(api, gone):
    owner = await api.create("configmaps", config_map("owner"))
    await api.create(
        "configmaps",
        config_map("child", owned_by(owner, blockOwnerDeletion=True), finalizers=["rayster.io/hold"]),
    )

    answer = await api("DELETE", api.path("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    await asyncio.sleep(0.2)

    assert answer.body["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert (await api("GET", api.path("configmaps", "child"))).body["metadata"]["deletionTimestamp"]
    assert (await api("GET", api.path("configmaps", "owner"))).status == 200
    await api.patch(api.path("configmaps", "child"), {"metadata": {"finalizers": None}})
    await gone("child")
    await gone("owner")


async def test_foreground_does_not_wait_for_others(api, gone):
    owner = await api.create("configmaps", config_map("owner"))
    await api.create("configmaps", config_map("child", owned_by(owner), finalizers=["rayster.io/hold"]))

    await api("DELETE", api.path("configmaps", "owner"), propagationPolicy="Foreground")

    await gone("owner")
    await api.patch(api.path("configmaps", "child"), {"metadata": {"finalizers": None}})
    await gone("child")


async def test_owner_of_an_unknown_kind_is_left_alone(api):
    unknown = {"apiVersion": "none.io/v1", "kind": "None", "name": "n", "uid": "u"}
    await api.create("configmaps", config_map("child", unknown))

    await asyncio.sleep(0.2)

    assert (await api("GET", api.path("configmaps", "child"))).status == 200


async def test_new_namespace_is_furnished(api):
    space = (await api("GET", f"/api/v1/namespaces/{api.namespace}")).body

    assert space["status"] == {"phase": "Active"}
    assert space["metadata"]["labels"] == {"kubernetes.io/metadata.name": api.namespace}
    assert (await api("GET", api.path("serviceaccounts", "default"))).status == 200
    assert (await api("GET", api.path("configmaps", "kube-root-ca.crt"))).status == 200


async def test_furniture_comes_back(api, eventually):
    await api("DELETE", api.path("serviceaccounts", "default"))

    async def is_back():
        return (await api("GET", api.path("serviceaccounts", "default"))).status == 200

    await eventually(is_back)


async def test_namespace_empties_itself_and_goes(api, pod, eventually):
    await api.create("pods", pod(nodeName="n"))
    await api.create("configmaps", {"metadata": {"name": "c"}})
    path = f"/api/v1/namespaces/{api.namespace}"

    answer = await api("DELETE", path)

    async def only_the_pod_is_left():
        return (await api("GET", api.path("configmaps"))).names == []

    async def is_gone():
        return (await api("GET", path)).status == 404

    assert answer.body["status"]["phase"] == "Terminating"
    await eventually(only_the_pod_is_left)
    late = await api("POST", api.path("configmaps"), {"metadata": {"name": "late"}})
    assert (late.status, late.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert (await api("GET", path)).status == 200
    await api("DELETE", api.path("pods", "a"), gracePeriodSeconds=0)
    await eventually(is_gone)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_system_namespaces_stay(api, name):
    answer = await api("DELETE", f"/api/v1/namespaces/{name}")

    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
