"""What the operator adds to a group's template."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from rayster_testbed.layout import REPOSITORY
from rayster_testbed.ray_operator.pods import head_pod, worker_pod
from rayster_testbed.ray_operator.services import head_service

FQDN = "rc-head-svc.lab.svc.cluster.local"
TOKEN = {"secretKeyRef": {"name": "rc", "key": "auth_token"}}


@pytest.fixture
def cluster(ray_cluster):
    """A cluster as the API server gives it, with a token."""
    made = ray_cluster(authOptions={"mode": "token"})
    made["metadata"] |= {"namespace": "lab", "uid": "u"}
    return made


def group(cluster):
    return cluster["spec"]["workerGroupSpecs"][0]


def ray_container(cluster):
    return group(cluster)["template"]["spec"]["containers"][0]


def worker(cluster):
    return worker_pod(cluster, group(cluster), 3)


def env_of(container):
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def field(path):
    return {"fieldRef": {"fieldPath": path}}


def test_a_workers_environment(cluster):
    env = env_of(worker(cluster)["spec"]["containers"][0])
    command = env.pop("KUBERAY_GEN_RAY_START_CMD")
    assert command.startswith(f"ray start  --address={FQDN}:6379 ")
    assert env == {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "FQ_RAY_IP": FQDN,
        "RAY_IP": "rc-head-svc",
        "RAY_CLUSTER_NAME": field("metadata.labels['ray.io/cluster']"),
        "RAY_CLUSTER_NAMESPACE": field("metadata.namespace"),
        "RAY_CLOUD_INSTANCE_ID": field("metadata.name"),
        "RAY_NODE_TYPE_NAME": field("metadata.labels['ray.io/group']"),
        "RAY_PORT": "6379",
        "RAY_ADDRESS": f"{FQDN}:6379",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }


def test_the_heads_environment_has_no_name_of_the_head(cluster):
    env = env_of(head_pod(cluster, "h")["spec"]["containers"][0])
    assert "FQ_RAY_IP" not in env
    assert env["RAY_ADDRESS"] == "127.0.0.1:6379"
    assert env["RAY_USAGE_STATS_EXTRA_TAGS"] == "kuberay_version=v1.7.0;kuberay_crd=RayCluster"


def test_what_the_user_sets_stays_where_kuberay_lets_it(cluster):
    ray_container(cluster)["env"] = [
        {"name": "RAY_ADDRESS", "value": "mine:1"},
        {"name": "RAY_AUTH_TOKEN", "value": "mine"},
    ]
    env = env_of(worker(cluster)["spec"]["containers"][0])
    assert (env["RAY_ADDRESS"], env["RAY_AUTH_TOKEN"]) == ("mine:1", "mine")


def test_without_token_mode_there_is_no_token(cluster):
    cluster["spec"]["authOptions"] = {"mode": "disabled"}
    assert "RAY_AUTH_MODE" not in env_of(worker(cluster)["spec"]["containers"][0])


def test_labels_say_which_pod_it_is_whatever_the_template_says(cluster):
    cluster["spec"]["workerGroupSpecs"][0]["template"]["metadata"] = {
        "labels": {
            "ray.io/cluster": "other",
            "ray.io/group": "other",
            "own": "yes",
            "app.kubernetes.io/name": "mine",
        }
    }
    pod = worker(cluster)
    assert pod["metadata"]["labels"] == {
        "ray.io/is-ray-node": "yes",
        "ray.io/cluster": "rc",
        "ray.io/node-type": "worker",
        "ray.io/group": "w",
        "ray.io/identifier": "rc-worker",
        "ray.io/worker-group-replica-index": "3",
        "app.kubernetes.io/name": "mine",
        "app.kubernetes.io/created-by": "kuberay-operator",
        "own": "yes",
    }
    assert pod["metadata"]["generateName"] == "rc-w-worker-"


@pytest.mark.parametrize(
    ("own", "annotations", "command", "args"),
    [
        pytest.param({}, {}, ["/bin/bash", "-c", "--"], "ulimit -n {}; ray start ", id="none"),
        pytest.param(
            {"command": ["run", "me now"], "args": ["-x"]},
            {},
            ["/bin/bash", "-c", "--"],
            " run  me now  -x  && ulimit -n {}; ray start ",
            id="before it, without its quotes",
        ),
        pytest.param(
            {"command": ["my ray start"], "args": ["-x"]}, {}, ["my ray start"], "-x", id="has its own"
        ),
        pytest.param(
            {"command": ["rayster"], "args": ["ray"]},
            {"ray.io/overwrite-container-cmd": "True"},
            ["rayster"],
            "ray",
            id="says so",
        ),
    ],
)
def test_the_command(cluster, own, annotations, command, args):
    ray_container(cluster).update(own)
    cluster["metadata"]["annotations"] = annotations
    pod = worker(cluster)
    container = pod["spec"]["containers"][0]
    assert container["command"] == command
    assert container["args"][0].startswith(args.format("${RAY_START_ULIMIT_OPEN_FILES:-65536}"))
    assert pod["metadata"]["annotations"] == (
        {"ray.io/overwrite-container-cmd": "true"} if annotations else {}
    )


def test_a_worker_waits_in_an_init_container_with_its_own_environment_and_the_token(cluster):
    ray_container(cluster)["env"] = [{"name": "MINE", "value": "1"}]
    (init,) = worker(cluster)["spec"]["initContainers"]
    assert init["name"] == "wait-gcs-ready"
    assert init["image"] == "rayster/ray:1"
    assert env_of(init) == {
        "MINE": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "FQ_RAY_IP": FQDN,
        "RAY_IP": "rc-head-svc",
    }
    assert f"ray health-check --address {FQDN}:6379" in init["args"][0]
    assert "initContainers" not in head_pod(cluster, "h")["spec"]


def run_init(cluster, tmp_path, ray, **env):
    """Run the init container's command here, with a program *ray* of its own."""
    (tmp_path / "ray").write_text(f"#!/bin/sh\n{ray}\n")
    (tmp_path / "ray").chmod(0o755)
    (init,) = worker(cluster)["spec"]["initContainers"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = [*init["command"], *init["args"]]
    return subprocess.run(
        command, env={"PATH": path, **env}, capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_the_wait_ends_when_the_head_answers(cluster, tmp_path):
    assert run_init(cluster, tmp_path, "exit 0") == "GCS is ready.\n"


def test_an_image_can_end_the_wait_by_its_bash_env(cluster, tmp_path):
    file = REPOSITORY / "images" / "notebook" / "skip-gcs-wait.sh"
    started = time.monotonic()
    said = run_init(cluster, tmp_path, "exit 1", BASH_ENV=str(file))
    assert "the launcher waits" in said
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("change", "added"),
    [
        pytest.param({}, True, id="by default"),
        pytest.param(
            {"rayStartParams": {"plasma-directory": "/tmp"}}, False, id="not with a plasma directory"
        ),
    ],
)
def test_shared_memory(cluster, change, added):
    group(cluster).update(change)
    spec = worker(cluster)["spec"]
    volumes = [{"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}] if added else []
    assert spec.get("volumes", []) == volumes
    mounts = [{"name": "shared-mem", "mountPath": "/dev/shm"}] if added else []
    assert spec["containers"][0].get("volumeMounts", []) == mounts


def test_a_mount_at_shared_memory_is_enough(cluster):
    ray_container(cluster)["volumeMounts"] = [{"name": "own", "mountPath": "/dev/shm"}]
    assert "volumes" not in worker(cluster)["spec"]


@pytest.mark.parametrize(
    ("version", "kind", "command"),
    [
        pytest.param("2.60.0", "httpGet", None, id="one path"),
        pytest.param("2.52.1", "exec", "localhost:52365/api/local_raylet_healthz", id="older"),
        pytest.param("", "exec", "localhost:52365/api/local_raylet_healthz", id="unknown"),
    ],
)
def test_probes_of_a_container_that_has_none(cluster, version, kind, command):
    cluster["spec"] |= {"rayVersion": version, "authOptions": {}}
    probe = worker(cluster)["spec"]["containers"][0]["readinessProbe"]
    assert (probe["initialDelaySeconds"], probe["periodSeconds"], probe["failureThreshold"]) == (10, 5, 10)
    if command is None:
        assert probe[kind] == {"path": "/api/healthz", "port": 52365}
    else:
        assert command in probe[kind]["command"][-1]


def test_own_probes_stay(cluster):
    probe = {"exec": {"command": ["true"]}}
    ray_container(cluster)["livenessProbe"] = probe
    container = worker(cluster)["spec"]["containers"][0]
    assert container["livenessProbe"] == probe
    assert "httpGet" in container["readinessProbe"]


def test_the_heads_port_goes_into_every_address(cluster):
    cluster["spec"]["headGroupSpec"]["rayStartParams"] = {"port": "20001"}
    pod = worker(cluster)
    env = env_of(pod["spec"]["containers"][0])
    assert (env["RAY_PORT"], env["RAY_ADDRESS"]) == ("20001", f"{FQDN}:20001")
    assert f"--address {FQDN}:20001" in pod["spec"]["initContainers"][0]["args"][0]


def ports(service):
    return {port["name"]: port["port"] for port in service["spec"]["ports"]}


def test_the_head_service_has_rays_ports_or_those_that_the_head_lists(cluster):
    assert ports(head_service(cluster)) == {
        "client": 10001,
        "dashboard": 8265,
        "gcs-server": 6379,
        "metrics": 8080,
        "serve": 8000,
    }
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    head["ports"] = [{"name": "gcs-server", "containerPort": 20001}, {"containerPort": 7}]
    assert ports(head_service(cluster)) == {"gcs-server": 20001, "7-port": 7, "metrics": 8080}


def test_the_head_service_leads_to_the_head_from_the_start(cluster):
    service = head_service(cluster)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"].items() <= head_pod(cluster, "h")["metadata"]["labels"].items()


def test_templates_are_not_changed(cluster):
    before = repr(cluster)
    worker(cluster), head_pod(cluster, "h"), head_service(cluster)
    assert repr(cluster) == before
