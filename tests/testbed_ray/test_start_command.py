"""The `ray start` command that KubeRay makes of parameters and resources."""

from __future__ import annotations

import pytest

from rayster_testbed.ray_operator.start_command import head_port, ray_start, start_params

ALWAYS = " --block  --dashboard-agent-listen-port=52365 "
METRICS = " --metrics-export-port=8080 "


def command(node_type="worker", group=None, **resources):
    return ray_start(node_type, start_params(group or {}, node_type, "rc-head-svc.lab:6379", resources))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(
            command("head"),
            f"ray start --head {ALWAYS} --dashboard-host=0.0.0.0 {METRICS}",
            id="head",
        ),
        pytest.param(command(), f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS}{METRICS}", id="worker"),
        pytest.param(
            command(limits={"cpu": "1500m", "memory": "2Gi"}),
            f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS} --memory=2147483648 {METRICS} --num-cpus=2 ",
            id="limits, rounded up",
        ),
        pytest.param(
            command(requests={"cpu": "3", "memory": "1Gi"}),
            f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS}{METRICS} --num-cpus=3 ",
            id="requests count for cpu only",
        ),
        pytest.param(
            command(limits={"nvidia.com/gpu": "4"}),
            f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS}{METRICS} --num-gpus=4 ",
            id="gpus",
        ),
        pytest.param(
            command(
                group={"rayStartParams": {"address": "elsewhere:1", "num-cpus": "0"}}, limits={"cpu": "2"}
            ),
            f"ray start  --address=elsewhere:1 {ALWAYS}{METRICS} --num-cpus=0 ",
            id="own parameters win",
        ),
        pytest.param(
            command(
                group={"rayStartParams": {"no-monitor": "true", "verbose": "false", "log-color": "false"}}
            ),
            f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS} --log-color=false {METRICS} --no-monitor ",
            id="truth values",
        ),
        pytest.param(
            command(group={"labels": {"b": "2", "a": "1"}, "resources": {"cpu": "2", "special": "1"}}),
            f"ray start  --address=rc-head-svc.lab:6379 {ALWAYS} --labels=a=1,b=2 {METRICS} --num-cpus=2 "
            " --resources='{\"special\":1.0}' ",
            id="labels and resources of the group",
        ),
    ],
)
def test_a_command(made, words):
    assert made == words


def test_the_heads_port_is_rays_own_unless_the_head_says_another():
    assert head_port({"headGroupSpec": {}}) == "6379"
    assert head_port({"headGroupSpec": {"rayStartParams": {"port": "20001"}}}) == "20001"
