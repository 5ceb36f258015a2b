"""Pods: defaults, admission, validation, what may change, binding, and how they end."""

from __future__ import annotations

import pytest

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


async def test_defaults_are_filled_in(api, pod):
    created = await api.create("pods", pod(automountServiceAccountToken=False))

    spec = created["spec"]
    expected = {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "securityContext": {},
    }
    assert {key: spec.get(key) for key in expected} == expected
    assert spec["containers"] == [
        {
            "name": "main",
            "image": "x:1",
            "imagePullPolicy": "IfNotPresent",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]
    assert created["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a", "Always"),
        ("a@sha256:0", "IfNotPresent"),
    ],
)
async def test_pull_policy_follows_the_tag(api, pod, image, policy):
    created = await api.create("pods", pod(image=image))

    assert created["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param({}, "BestEffort", id="nothing"),
        pytest.param({"requests": {"cpu": "1"}}, "Burstable", id="request"),
        pytest.param({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed", id="limits"),
        pytest.param(
            {"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": 1, "memory": "1024Mi"}},
            "Guaranteed",
            id="equal in other words",
        ),
    ],
)
async def test_quality_of_service(api, pod, resources, expected):
    body = pod()
    body["spec"]["containers"][0]["resources"] = resources

    created = await api.create("pods", body)

    assert created["status"]["qosClass"] == expected


async def test_limits_become_requests(api, pod):
    body = pod()
    body["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2", "nvidia.com/gpu": 1}}

    created = await api.create("pods", body)

    assert created["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2", "nvidia.com/gpu": "1"}


async def test_lost_nodes_are_tolerated_for_five_minutes(api, pod):
    created = await api.create("pods", pod())

    assert created["spec"]["tolerations"] == [
        {
            "key": f"node.kubernetes.io/{name}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for name in ("not-ready", "unreachable")
    ]


async def test_own_tolerations_of_lost_nodes_are_kept(api, pod):
    own = [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute"}
        for name in ("not-ready", "unreachable")
    ]

    created = await api.create("pods", pod(tolerations=own))

    assert created["spec"]["tolerations"] == own


async def test_service_account_token_is_mounted(api, pod):
    created = await api.create("pods", pod())

    mount = created["spec"]["containers"][0]["volumeMounts"][0]
    assert (mount["mountPath"], mount["readOnly"]) == (TOKEN_MOUNT, True)
    volume = created["spec"]["volumes"][0]
    assert volume["name"] == mount["name"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["path"] == "token"


async def test_service_account_token_is_not_mounted_when_it_must_not(api, pod):
    created = await api.create("pods", pod(automountServiceAccountToken=False))

    assert "volumes" not in created["spec"]


async def test_unknown_service_account_is_forbidden(api, pod):
    answer = await api("POST", api.path("pods"), pod(serviceAccountName="nobody"))

    assert answer.status == 403
    assert answer.body["message"] == (
        f'pods "a" is forbidden: error looking up service account {api.namespace}/nobody: '
        'serviceaccount "nobody" not found'
    )


async def test_priority_comes_from_the_class(api, pod):
    name = f"high-{api.namespace}"
    await api("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": 7})

    created = await api.create("pods", pod(priorityClassName=name))
    unknown = await api("POST", api.path("pods"), pod("b", priorityClassName="none"))

    assert created["spec"]["priority"] == 7
    assert (unknown.status, "no PriorityClass with name none was found" in unknown.body["message"]) == (
        403,
        True,
    )


def container(**fields):
    return {"name": "main", "image": "x", **fields}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"containers": []}, "spec.containers", id="no containers"),
        pytest.param({"containers": [{"image": "x"}]}, "spec.containers[0].name", id="no name"),
        pytest.param({"containers": [{"name": "main"}]}, "spec.containers[0].image", id="no image"),
        pytest.param({"containers": [container(), container()]}, "spec.containers[1].name", id="same name"),
        pytest.param({"containers": [container(name="A_b")]}, "spec.containers[0].name", id="bad name"),
        pytest.param({"containers": [container(ports=[{"containerPort": 0}])]}, "spec.containers[0].ports[0].containerPort", id="port 0"),
        pytest.param({"containers": [container(ports=[{"containerPort": 1, "name": "much-too-long-name"}])]}, "spec.containers[0].ports[0].name", id="port name"),
        pytest.param({"containers": [container(env=[{"name": ""}])]}, "spec.containers[0].env[0].name", id="nameless variable"),
        pytest.param({"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])]}, "spec.containers[0].volumeMounts[0].name", id="mount of no volume"),
        pytest.param({"containers": [container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})]}, "spec.containers[0].resources.requests", id="request above limit"),
        pytest.param({"containers": [container(resources={"limits": {"cpu": "-1"}})]}, "spec.containers[0].resources.limits[cpu]", id="negative"),
        pytest.param({"containers": [container(resources={"limits": {"nvidia.com/gpu": "1500m"}})]}, "spec.containers[0].resources.limits[nvidia.com/gpu]", id="half a GPU"),
        pytest.param({"containers": [container(resources={"requests": {"nvidia.com/gpu": "1"}})]}, "spec.containers[0].resources.limits", id="GPU without a limit"),
        pytest.param({"containers": [container(imagePullPolicy="Maybe")]}, "spec.containers[0].imagePullPolicy", id="pull policy"),
        pytest.param({"containers": [container()], "restartPolicy": "Maybe"}, "spec.restartPolicy", id="restart policy"),
        pytest.param({"containers": [container()], "volumes": [{"name": "v"}, {"name": "v"}]}, "spec.volumes[1].name", id="same volume"),
        pytest.param({"containers": [container()], "nodeSelector": {"a b": "c"}}, "spec.nodeSelector", id="node selector"),
        pytest.param({"containers": [container()], "activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", id="deadline"),
        pytest.param({"containers": [container()], "tolerations": [{"operator": "Equal"}]}, "spec.tolerations[0].operator", id="toleration"),
        pytest.param({"containers": [container()], "tolerations": [{"operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 1}]}, "spec.tolerations[0].effect", id="toleration seconds"),
    ],
)  # fmt: skip
async def test_invalid_pod_names_the_field(api, spec, field):
    answer = await api("POST", api.path("pods"), {"metadata": {"name": "a"}, "spec": spec})

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert field in [cause["field"] for cause in answer.body["details"]["causes"]]


async def test_mistakes_in_metadata_and_spec_are_told_together(api):
    body = {"metadata": {"name": "a", "labels": {"a b": "c"}}, "spec": {"containers": []}}

    answer = await api("POST", api.path("pods"), body)

    assert {cause["field"] for cause in answer.body["details"]["causes"]} == {
        "metadata.labels",
        "spec.containers",
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"containers": [container(resources={"limits": {"cpu": "much"}})]}, "quantities must match the regular expression", id="quantity"),
        pytest.param({"containers": "x"}, "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container", id="containers"),
        pytest.param({"containers": [container(args="x")]}, "Go struct field Container.spec.containers.args of type []string", id="args"),
        pytest.param({"containers": [container(env=[{"name": "A", "value": 1}])]}, "Go struct field EnvVar.spec.containers.env.value of type string", id="value"),
        pytest.param({"containers": [container()], "hostNetwork": "yes"}, "cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool", id="bool"),
    ],
)  # fmt: skip
async def test_wrong_type_is_a_decoding_error(api, spec, message):
    answer = await api("POST", api.path("pods"), {"metadata": {"name": "a"}, "spec": spec})

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"].startswith('Pod in version "v1" cannot be handled as a Pod: ')
    assert message in answer.body["message"]


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        pytest.param({"containers": [{"name": "main", "image": "y:2"}]}, 200, id="image"),
        pytest.param({"activeDeadlineSeconds": 60}, 200, id="deadline"),
        pytest.param({"tolerations": [{"key": "new", "operator": "Exists"}]}, 422, id="toleration replaced"),
        pytest.param({"nodeName": "n"}, 422, id="node"),
        pytest.param({"nodeSelector": {"a": "b"}}, 422, id="selector"),
        pytest.param({"containers": [{"name": "main", "args": ["x"]}]}, 422, id="args"),
        pytest.param({"terminationGracePeriodSeconds": 5}, 422, id="grace"),
    ],
)
async def test_only_little_of_a_spec_may_change(api, pod, patch, status):
    await api.create("pods", pod(tolerations=[{"key": "own", "operator": "Exists"}]))

    answer = await api.patch(api.path("pods", "a"), {"spec": patch}, "strategic")

    assert answer.status == status
    if status == 422:
        assert answer.body["details"]["causes"][0]["reason"] == "FieldValueForbidden"
    else:
        assert answer.body["metadata"]["generation"] == 2


async def test_toleration_may_be_added(api, pod):
    created = await api.create("pods", pod())
    more = [*created["spec"]["tolerations"], {"key": "new", "operator": "Exists"}]

    answer = await api.patch(api.path("pods", "a"), {"spec": {"tolerations": more}})

    assert (answer.status, answer.body["spec"]["tolerations"]) == (200, more)


async def test_binding_gives_the_node_once(api, pod):
    await api.create("pods", pod())
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "a"},
        "target": {"kind": "Node", "name": "n"},
    }

    first = await api("POST", api.path("pods", "a/binding"), binding)
    second = await api("POST", api.path("pods", "a/binding"), binding)

    assert (first.status, first.body["status"]) == (201, "Success")
    assert (second.status, 'pod a is already assigned to node "n"' in second.body["message"]) == (409, True)
    bound = (await api("GET", api.path("pods", "a"))).body
    assert bound["spec"]["nodeName"] == "n"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]


async def test_status_keeps_spec_and_takes_metadata(api, pod):
    created = await api.create("pods", pod())
    created["status"] = {"phase": "Running", "podIP": "127.0.0.1"}
    created["spec"]["containers"][0]["image"] = "other"
    created["metadata"]["annotations"] = {"JobID": "7"}
    created["metadata"]["resourceVersion"] = "0"

    answer = await api("PUT", api.path("pods", "a/status"), created)

    assert answer.body["status"] == {"phase": "Running", "podIP": "127.0.0.1", "qosClass": "BestEffort"}
    assert answer.body["spec"]["containers"][0]["image"] == "x:1"
    assert answer.body["metadata"]["annotations"] == {"JobID": "7"}
    assert answer.body["metadata"]["generation"] == 1


HOSTILE_ADDRESS = "127.0.50.7; touch /tmp/x"


@pytest.mark.parametrize(
    ("status", "field"),
    [
        pytest.param({"podIP": HOSTILE_ADDRESS}, "status.podIPs[0]", id="podIP alone"),
        pytest.param(
            {"podIP": HOSTILE_ADDRESS, "podIPs": [{"ip": HOSTILE_ADDRESS}]}, "status.podIPs[0]", id="both"
        ),
        pytest.param(
            {"podIP": "::1", "podIPs": [{"ip": "::1"}, {"ip": HOSTILE_ADDRESS}]},
            "status.podIPs[1]",
            id="second",
        ),
        pytest.param({"hostIPs": [{"ip": HOSTILE_ADDRESS}]}, "status.hostIPs[0]", id="host"),
    ],
)
async def test_address_that_is_none_is_refused(api, pod, status, field):
    await api.create("pods", pod())

    answer = await api.patch(api.path("pods", "a/status"), {"status": status})

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert (
        f'{field}: Invalid value: "{HOSTILE_ADDRESS}": must be a valid IP address' in answer.body["message"]
    )
    assert "podIP" not in (await api("GET", api.path("pods", "a"))).body["status"]


@pytest.mark.parametrize("grace", [0, 1, None], ids=["0", "1", "default"])
async def test_unscheduled_pod_goes_at_once(api, pod, grace):
    await api.create("pods", pod())
    query = {} if grace is None else {"gracePeriodSeconds": grace}

    answer = await api("DELETE", api.path("pods", "a"), **query)

    assert (answer.status, answer.body["kind"]) == (200, "Pod")
    assert (await api("GET", api.path("pods", "a"))).status == 404


async def test_scheduled_pod_stays_terminating_until_its_agent_says_so(api, pod):
    created = await api.create("pods", pod(nodeName="n"))
    path = api.path("pods", "a")

    marked = (await api("DELETE", path)).body["metadata"]
    assert (marked["deletionGracePeriodSeconds"], marked["generation"]) == (30, 2)
    shorter = (await api("DELETE", path, gracePeriodSeconds=5)).body["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] < marked["deletionTimestamp"]
    longer = (await api("DELETE", path, gracePeriodSeconds=60)).body["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5

    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": created["metadata"]["uid"]}}
    assert (await api("DELETE", path, options)).status == 200
    assert (await api("GET", path)).status == 404


async def test_finished_pod_goes_at_once(api, pod):
    await api.create("pods", pod(nodeName="n"))
    await api.patch(api.path("pods", "a/status"), {"status": {"phase": "Succeeded"}})

    await api("DELETE", api.path("pods", "a"))

    assert (await api("GET", api.path("pods", "a"))).status == 404


async def test_eviction_asks_the_disruption_budget(api, pod):
    await api.create("pods", pod(labels={"app": "x"}, nodeName="n"))
    await api.patch(api.path("pods", "a/status"), {"status": {"phase": "Running"}})
    budget = {
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
    }
    await api.create("poddisruptionbudgets", budget, "policy/v1")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}

    refused = await api("POST", api.path("pods", "a/eviction"), eviction)
    await api("DELETE", api.path("poddisruptionbudgets", "b", "policy/v1"))
    allowed = await api("POST", api.path("pods", "a/eviction"), eviction)

    assert (refused.status, refused.body["reason"]) == (429, "TooManyRequests")
    assert allowed.status == 201
    assert (await api("GET", api.path("pods", "a"))).body["metadata"]["deletionTimestamp"]
