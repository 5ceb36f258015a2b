"""What the operator refuses to work on."""

from __future__ import annotations

import pytest

from rayster_testbed.ray_operator.validation import metadata_problem, spec_problem

TOKEN = {"mode": "token"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("ray-0123456789", None, id="good"),
        pytest.param("a" * 54, "no more than 53 characters", id="long"),
        pytest.param("9lives", "DNS1035", id="digit first"),
        pytest.param("With_Other", "DNS1035", id="other characters"),
    ],
)
def test_names(name, words):
    problem = metadata_problem({"name": name})
    assert problem is None if words is None else words in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, None, id="good"),
        pytest.param({"authOptions": TOKEN}, None, id="with a token"),
        pytest.param(
            {"authOptions": TOKEN, "rayVersion": ""}, "RayVersion was not specified", id="token, no version"
        ),
        pytest.param(
            {"authOptions": TOKEN, "rayVersion": "new"}, "format is invalid: new", id="token, no number"
        ),
        pytest.param(
            {"authOptions": TOKEN, "rayVersion": "2.9.3"}, "minimum Ray version is 2.52.0", id="token, old"
        ),
        pytest.param({"enableInTreeAutoscaling": True}, "has no autoscaler", id="autoscaler"),
        pytest.param({"networkPolicy": {}}, "spec.networkPolicy", id="what it does not know"),
    ],
)
def test_specs(ray_cluster, change, words):
    problem = spec_problem(ray_cluster(**change)["spec"])
    assert problem is None if words is None else words in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"minReplicas": None}, "must set both minReplicas and maxReplicas", id="no bound"),
        pytest.param({"minReplicas": -1}, "negative minReplicas -1", id="negative"),
        pytest.param({"minReplicas": 5}, "minReplicas 5 greater than maxReplicas 4", id="upside down"),
        pytest.param({"numOfHosts": 2}, "numOfHosts 2", id="several hosts"),
        pytest.param({"template": {"spec": {"containers": []}}}, "at least one container", id="no container"),
        pytest.param(
            {"resources": {"cpu": "1"}, "rayStartParams": {"num-cpus": "1"}},
            "please use only one",
            id="twice",
        ),
        pytest.param({"rayStartParams": {"labels": "a=b"}}, "is not supported for w group", id="labels"),
    ],
)
def test_worker_groups(ray_cluster, change, words):
    spec = ray_cluster()["spec"]
    spec["workerGroupSpecs"][0] |= change
    assert words in spec_problem(spec)


def test_a_head_without_a_container(ray_cluster):
    spec = ray_cluster()["spec"]
    spec["headGroupSpec"]["template"]["spec"]["containers"] = []
    assert spec_problem(spec) == "headGroupSpec should have at least one container"
