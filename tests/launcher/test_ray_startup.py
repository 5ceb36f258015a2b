"""What is changed in the order in which Ray starts a node; a Ray that lacks it would start slowly, and nobody told."""

import pytest
from rayster_lab.launcher.ray_startup import yielding

NICE = ["/usr/bin/nice", "-n", "10"]


@pytest.mark.parametrize(
    ("process_type", "command", "expected"),
    [
        pytest.param(
            "log_monitor", ["python", "m.py"], [*NICE, "python", "m.py"], id="the log monitor yields"
        ),
        pytest.param("gcs_server", ["gcs", "--x"], ["gcs", "--x"], id="the GCS does not"),
        pytest.param(
            "raylet",
            [
                "raylet",
                "--a=b=c",
                "--dashboard_agent_command=python agent.py --x=y",
                "--runtime_env_agent_command=python r.py",
            ],
            [
                "raylet",
                "--a=b=c",
                "--dashboard_agent_command=/usr/bin/nice -n 10 python agent.py --x=y",
                "--runtime_env_agent_command=/usr/bin/nice -n 10 python r.py",
            ],
            id="the raylet does not, its agents do",
        ),
    ],
)
def test_what_only_watches_yields_to_the_workers(process_type, command, expected):
    assert yielding(command, process_type, NICE) == expected


def test_the_installed_ray_has_all_that_is_changed():
    import ray.scripts.scripts as scripts
    from ray import _raylet
    from ray._private import services
    from ray._private.node import Node

    wanted = {
        scripts: ["get_ray_client_dependency_error", "main"],
        Node: ["start_api_server", "start_ray_processes"],
        services: ["get_node", "start_ray_process"],
        _raylet: [
            "AuthenticationTokenLoader",
            "Config",
            "DASHBOARD_AGENT_LISTEN_PORT_NAME",
            "GcsClient",
            "METRICS_AGENT_PORT_NAME",
            "METRICS_EXPORT_PORT_NAME",
            "RUNTIME_ENV_AGENT_PORT_NAME",
            "persist_port",
        ],
    }

    assert [name for owner, names in wanted.items() for name in names if not hasattr(owner, name)] == []
