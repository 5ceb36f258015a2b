"""What interLink's virtual kubelet makes of things: statuses, messages, node conditions, request bodies."""

from __future__ import annotations

import pytest

from rayster_testbed.pod_env import EnvError
from rayster_testbed.virtual_node.mapping import (
    deleted_status,
    failed_status,
    initial_status,
    refreshed_status,
    submitted_containers,
)
from rayster_testbed.virtual_node.modes import behaviour
from rayster_testbed.virtual_node.node import (
    Accelerator,
    VirtualNodeSettings,
    conditions,
    node_capacity,
    node_object,
    overridden_capacity,
    ping_message,
)
from rayster_testbed.virtual_node.payload import (
    MissingObject,
    check_volumes,
    create_request,
    with_literal_env,
)
from rayster_testbed.virtual_node.plugin import PluginError, creation_error, passed_on

NOW = "2026-11-21T00:00:00Z"


def pod(*, inits=(), names=("notebook",), **more):
    return {
        "metadata": {
            "name": "p",
            "namespace": "lab",
            "uid": "u",
            "labels": {"x": "1"},
            "annotations": {"y": "2"},
        },
        "spec": {
            "nodeName": "padova",
            "containers": [{"name": n, "image": "i"} for n in names],
            "initContainers": [{"name": n, "image": "i"} for n in inits],
            **more,
        },
    }


def submitted(**more):
    the_pod = pod(**more)
    return initial_status(the_pod, "127.0.0.1", NOW) | {"containerStatuses": submitted_containers(the_pod)}


def remote(state, *names, **more):
    containers = [{"name": n, "state": state, "ready": False, "image": ""} for n in names or ("notebook",)]
    return {"name": "p", "UID": "u", "containers": containers, **more}


def conditions_of(status):
    return [(c["type"], c["status"]) for c in status["conditions"]]


SUBMITTED = [("Initialized", "True"), ("Ready", "False"), ("PodScheduled", "True")]
RUNNING = {"running": {"startedAt": NOW}}


def test_a_submitted_pod():
    status = submitted()
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Pending", "127.0.0.1", "127.0.0.1")
    assert conditions_of(status) == SUBMITTED
    assert status["containerStatuses"][0]["state"] == {
        "waiting": {
            "reason": "Remote pod submitted",
            "message": "The pod has been submitted to the remote plugin for creation",
        }
    }
    assert conditions_of(submitted(inits=("i",)))[0] == ("Initialized", "False")


@pytest.mark.parametrize(
    ("answer", "phase", "reason", "state", "expected_conditions"),
    [
        pytest.param(remote({"waiting": {}}), "Pending", None, {"waiting": {}}, SUBMITTED, id="PD"),
        pytest.param(remote(RUNNING), "Running", "Running", RUNNING, [("Ready", "True")], id="R"),
        pytest.param(
            remote({"terminated": {"exitCode": 0}}),
            "Succeeded",
            "Completed",
            {"terminated": {"exitCode": 0, "reason": "Completed"}},
            [*SUBMITTED, ("Ready", "False")],
            id="CD: Ready twice",
        ),
        pytest.param(
            remote({"terminated": {"exitCode": 3}}),
            "Failed",
            "Error: 3",
            {"terminated": {"exitCode": 3, "reason": "Error: 3"}},
            SUBMITTED,
            id="exit 3",
        ),
        pytest.param(
            remote({"terminated": {"exitCode": 8, "reason": "SlurmJobTimeout", "message": "time limit"}}),
            "Failed",
            "Error: 8",
            {"terminated": {"exitCode": 8, "reason": "Error: 8", "message": "time limit"}},
            SUBMITTED,
            id="TO: the reason is lost, the message stays",
        ),
        pytest.param(remote({}), "Pending", None, {}, SUBMITTED, id="a container without a state"),
    ],
)
def test_one_refresh_as_found(answer, phase, reason, state, expected_conditions):
    status = refreshed_status(submitted(), answer)
    assert (status["phase"], status.get("reason")) == (phase, reason)
    assert status["containerStatuses"][0]["state"] == state
    assert conditions_of(status) == expected_conditions


def test_a_pod_ends_when_all_its_containers_have():
    status = submitted(names=("a", "b"))
    answer = remote({"terminated": {"exitCode": 5}}, "a")
    answer["containers"] += remote(RUNNING, "b")["containers"]
    status = refreshed_status(status, answer)
    assert status["phase"] == "Running"
    status = refreshed_status(status, remote({"terminated": {"exitCode": 0}}, "a", "b"))
    assert status["phase"] == "Succeeded"


def test_an_answer_without_containers_counts_as_success_only_as_found():
    empty = remote({}) | {"containers": []}
    assert refreshed_status(submitted(), empty)["phase"] == "Succeeded"
    assert refreshed_status(submitted(), empty, plugin_reasons=True)["phase"] == "Pending"


def test_ideal_statuses_keep_the_plugins_reason_and_one_ready_condition():
    answer = remote({"terminated": {"exitCode": 143, "reason": "SlurmJobTimeout", "message": "m"}})
    status = refreshed_status(submitted(), answer, plugin_reasons=True)
    assert (status["phase"], status["reason"]) == ("Failed", "SlurmJobTimeout")
    assert conditions_of(status) == [("Initialized", "True"), ("PodScheduled", "True"), ("Ready", "False")]


@pytest.mark.parametrize(
    ("init_state", "phase", "reason", "waiting"),
    [
        pytest.param(RUNNING, "Pending", "Init", "Init:0/1", id="runs"),
        pytest.param({"waiting": {}}, "Pending", "Waiting for init containers", "Init:0/1", id="waits"),
    ],
)
def test_a_plugin_that_reports_init_containers_holds_the_others(init_state, phase, reason, waiting):
    answer = remote(RUNNING, initContainers=[{"name": "i", "state": init_state}])
    status = refreshed_status(submitted(inits=("i",)), answer)
    assert (status["phase"], status["reason"]) == (phase, reason)
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": waiting}}


def test_a_refused_pod():
    status = failed_status(pod(inits=("i",)), "127.0.0.1", NOW, "why")
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "ProviderFailed", "why")
    assert {value for _, value in conditions_of(status)} == {"False"}
    for kind in ("containerStatuses", "initContainerStatuses"):
        assert status[kind][0]["state"]["terminated"] == {
            "exitCode": 1,
            "reason": "ProviderFailed",
            "message": "why",
        }


def test_a_deleted_pod_is_shown_terminated():
    status = deleted_status(submitted(), NOW)
    assert status["reason"] == "VKProviderPodDeleted"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "VKProviderPodContainerDeleted"


def test_the_message_of_a_refusal_is_wrapped_and_escaped():
    body = passed_on("CreatePod#70520", "sbatch: error: \"a\" <b> & 'c'\nsecond line")
    assert body == (
        "HTTP InterLink session CreatePod#70520:  call exit status: 500. "
        "Body: sbatch: error: &#34;a&#34; &lt;b&gt; &amp; &#39;c&#39;\nsecond line"
    )
    message = creation_error(PluginError(504, "two\nlines"))
    assert message == (
        "error doing createRequest() in RemoteExecution() return value  error detail "
        '&errors.errorString{s:"error creating pod (HTTP 504): two\\nlines"} '
        "error: error creating pod (HTTP 504): two\nlines"
    )
    assert creation_error(PluginError(500, "")).endswith("error: error creating pod (HTTP 500): ")


def test_the_node_has_interlinks_labels_and_taint():
    gpus = (Accelerator.parse("nvidia.com/gpu=8:a100"), Accelerator.parse("nvidia.com/gpu=4"))
    settings = VirtualNodeSettings("leonardo", accelerators=gpus, labels={"site": "cineca"})
    node = node_object(settings)
    assert node["metadata"]["labels"] == {
        "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
        "kubernetes.io/os": "virtual-kubelet",
        "kubernetes.io/hostname": "leonardo",
        "kubernetes.io/role": "agent",
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
        "virtual-node.interlink/type": "virtual-kubelet",
        "nvidia-gpu-type": "a100",
        "site": "cineca",
    }
    assert node["spec"] == {
        "providerID": "external:///leonardo",
        "taints": [{"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}],
    }
    assert node_capacity(settings) == {
        "cpu": "1000",
        "memory": "1000Gi",
        "pods": "1000",
        "nvidia.com/gpu": "12",
    }


@pytest.mark.parametrize("text", ["nvidia.com/gpu", "nvidia.com/gpu=x", "example.com/gpu=1", ""])
def test_an_accelerator_that_interlink_does_not_know_is_refused(text):
    with pytest.raises(ValueError, match="is not resource=count"):
        Accelerator.parse(text)


def test_conditions_before_and_after_a_ping():
    before = {c["type"]: c["status"] for c in conditions(NOW, ready=False)}
    assert before == {
        "Ready": "False",
        "OutOfDisk": "False",
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "NetworkUnavailable": "True",
    }
    message = ping_message(True, 200, "pong")
    after = {c["type"]: c for c in conditions(NOW, ready=True, ping=(True, message))}
    assert (after["Ready"]["status"], after["Ready"]["reason"]) == ("True", "KubeletPending")
    assert after["NetworkUnavailable"]["status"] == "False"
    assert after["InterlinkConnectivity"]["reason"] == "InterlinkPingSuccessful"
    assert after["InterlinkConnectivity"]["message"] == "Ping successful with code 200. Response: pong"


CAPACITY = {"cpu": "10", "memory": "10Gi", "pods": "5", "nvidia.com/gpu": "8"}


@pytest.mark.parametrize(
    ("answer", "changed"),
    [
        pytest.param({"status": "ok"}, {}, id="no resources"),
        pytest.param("pong", {}, id="no object"),
        pytest.param({"resources": {"cpu": "3", "memory": "1Gi"}}, {"cpu": "3", "memory": "1Gi"}, id="some"),
        pytest.param({"resources": {"cpu": "many", "pods": "1.5"}}, {}, id="invalid ones are left alone"),
        pytest.param(
            {"resources": {"accelerators": [{"resourceType": "nvidia.com/gpu", "available": "2"}]}},
            {"nvidia.com/gpu": "2"},
            id="accelerators",
        ),
    ],
)
def test_a_ping_may_override_the_capacity(answer, changed):
    assert overridden_capacity(CAPACITY, answer) == CAPACITY | changed


def with_env(*env, **more):
    the_pod = pod()
    the_pod["spec"]["containers"][0] |= {"env": list(env), **more}
    return the_pod


def field(path):
    return {"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['x']", "1"),
        ("metadata.annotations['y']", "2"),
        ("spec.nodeName", "padova"),
    ],
)
def test_fields_become_literal_values(path, value):
    resolved = with_literal_env(with_env(field(path), {"name": "W", "value": "n=$(V)"}), {})
    assert resolved["spec"]["containers"][0]["env"] == [
        {"name": "V", "value": value},
        {"name": "W", "value": f"n={value}"},
    ]


def test_a_resource_field_is_dropped_and_a_pod_address_is_refused():
    dropped = with_literal_env(
        with_env({"name": "V", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}), {}
    )
    assert dropped["spec"]["containers"][0]["env"] == []
    with pytest.raises(EnvError, match=r"unsupported fieldPath: status\.podIP"):
        with_literal_env(with_env(field("status.podIP")), {})


def test_the_request_holds_for_each_container_what_its_volumes_need():
    volumes = [
        {"name": "cm", "configMap": {"name": "config", "items": [{"key": "a", "path": "b"}]}},
        {"name": "sec", "secret": {"secretName": "secret"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "home", "persistentVolumeClaim": {"claimName": "c"}},
        {
            "name": "down",
            "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]},
        },
        {"name": "proj", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]
    the_pod = pod(inits=("i",), volumes=volumes)
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    the_pod["spec"]["containers"][0]["volumeMounts"] = mounts
    objects = {
        ("configmaps", "config"): {"metadata": {"name": "config"}, "data": {"a": "1", "z": "2"}},
        ("secrets", "secret"): {"metadata": {"name": "secret"}, "data": {"k": "dg=="}},
    }
    request = create_request(the_pod, objects, {"token": "t0k"})
    assert set(request) == {"pod", "container", "jobConfig"}
    init, main = request["container"]
    assert init == {
        "name": "i",
        "configMaps": None,
        "projectedvolumemaps": None,
        "secrets": None,
        "emptyDirs": None,
    }
    assert main["configMaps"] == [objects[("configmaps", "config")]]  # whole, items or not
    assert main["secrets"] == [objects[("secrets", "secret")]]
    assert [m["data"] for m in main["projectedvolumemaps"]] == [{"n": "p"}, {"token": "t0k"}]
    sent = {v["name"]: set(v) - {"name"} for v in request["pod"]["spec"]["volumes"]}
    assert sent["down"] == {"projected"}
    assert volumes[4]["downwardAPI"]  # the pod itself is untouched


def test_a_missing_object_holds_the_pod_even_when_it_is_optional():
    spec = {"volumes": [{"name": "v", "secret": {"secretName": "s", "optional": True}}]}
    with pytest.raises(MissingObject, match='secret "s" of volume v'):
        check_volumes(spec, {("secrets", "s"): None})


def test_modes():
    found, ideal = behaviour("as-found"), behaviour("ideal")
    assert (found.status_interval_seconds, found.refresh_seconds, found.ping_seconds) == (5, 10, 30)
    assert not found.careful and not found.first_ping_at_once
    assert (ideal.status_interval_seconds, ideal.refresh_seconds) == (1, 0)
    assert ideal.careful and ideal.first_ping_at_once
    assert behaviour("as-found", 0.1, 0.2, 0.3).refresh_seconds == 0.2
    with pytest.raises(ValueError, match="as-found, ideal"):
        behaviour("perfect")
