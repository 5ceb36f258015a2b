"""The pods are pods: no field is misspelt, of a wrong type, or refused by an API server."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from kubernetes import client

from rayster_spawner.profile_files import load_profiles
from rayster_spawner.profiles import ProfileSet
from rayster_spawner.render import render_pod

from .conftest import cloud_data, profile_data

SHIPPED = load_profiles(Path(__file__).parents[2] / "helm-values" / "profiles.yaml")
TOLERATION = {
    "key": "pool",
    "operator": "Equal",
    "value": "a",
    "effect": "NoExecute",
    "tolerationSeconds": 60,
}
FULL = ProfileSet.model_validate(
    {
        "profiles": [
            profile_data(
                name="full",
                gpu={"max": 4, "default": 2},
                mounts=[{"source": "/data", "read_only": True}],
                environment={"A": "é\n$(id)"},
                apptainer_options=["--nv"],
                pre_exec="module load cuda",
                cvmfs=[{"name": "cvmfs"}],
                fuse=[{"name": "s3", "mount_path": "/s3", "script": "#!/bin/sh\nmount"}],
                tolerations=[TOLERATION, {"operator": "Exists"}],
                node_labels={"example.org/pool": "a"},
                annotations={"example.org/note": "x"},
                network={"mode": "site", "tunnel_ports": [{"port": 6006, "name": "tensorboard"}]},
                home={"path": "/home/{username}"},
            ),
            cloud_data(
                name="full-cloud",
                cpu={"min": 0.1, "max": 2, "default": 0.125},
                gpu={"max": 1, "default": 1},
                walltime={"max": "8h", "default": "1h"},
                tolerations=[TOLERATION],
                node_labels={"disk": "ssd"},
            ),
        ]
    }
)
PODS = {
    profile.name: render_pod(profiles, {"profile": profile.name}, user="Ada Lovelace", groups=None)
    for profiles in (SHIPPED, FULL)
    for profile in profiles.profiles
}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_the_model_of_a_pod_knows_every_field(pod):
    api = client.ApiClient()
    # Its public name takes other arguments in each version of the client.
    model = api._ApiClient__deserialize(pod, "V1Pod")
    assert api.sanitize_for_serialization(model) == pod


@pytest.fixture(scope="module")
def pods_url(tmp_path_factory):
    """The address of the pods of a namespace, at an API server that ends with the tests."""
    folder = tmp_path_factory.mktemp("apiserver")
    port_file = folder / "port"
    command = [sys.executable, "-m", "rayster_testbed.apiserver", "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--port-file", str(port_file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not port_file.exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "the API server did not start in 30 s"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}/api/v1/namespaces/default/pods"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def create(pods_url, pod):
    request = urllib.request.Request(
        f"{pods_url}?fieldValidation=Strict",
        json.dumps(pod).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("name", PODS)
def test_an_api_server_takes_the_pod_as_it_is(pods_url, name):
    status, answer = create(pods_url, {**PODS[name], "metadata": {**PODS[name]["metadata"], "name": name}})
    assert status == 201, answer
    assert answer["metadata"]["annotations"] == PODS[name]["metadata"]["annotations"]
    assert answer["spec"]["containers"][0]["resources"] == PODS[name]["spec"]["containers"][0]["resources"]


def test_the_api_server_would_have_said_so(pods_url):
    pod = json.loads(json.dumps(PODS["padova-slurm"]))
    pod["spec"]["tolerationz"] = []
    assert create(pods_url, pod)[0] == 400
