import subprocess
from ipaddress import IPv4Network

import pytest
from rayster_lab.launcher import command
from rayster_lab.launcher.node import describe
from rayster_lab.launcher.ports import claim_ports, ports_from
from rayster_lab.launcher.settings import NodeSettings

NODE = command.Node(
    head=False,
    address="10.128.7.1",
    ports=ports_from(12800, 1, gcs=20001, dashboard=20002),
    temp_dir="/tmp/rayn-1",
    plasma_directory="/dev/shm",
    object_store_bytes=300,
    cpus=4,
    gpus=1,
    memory_bytes=1000,
    name="ray-a-w-worker-x",
    labels={"rayster.dev/python": "3.11.7", "rayster.dev/pod": "ray-a-w-worker-x"},
)


def of(node: command.Node, head_address: str | None) -> dict[str, str]:
    words = command.ray_start(node, head_address)
    assert words[0] == "start"
    return dict(word.partition("=")[::2] for word in words[1:])


def test_a_worker_is_told_every_port_and_place():
    options = of(NODE, "10.128.7.9:20001")

    assert options["--address"] == "10.128.7.9:20001"
    assert options["--node-ip-address"] == "10.128.7.1"
    assert [options[f"--{name}"] for name in ("node-manager-port", "object-manager-port")] == [
        "12800",
        "12801",
    ]
    assert (options["--min-worker-port"], options["--max-worker-port"]) == ("12808", "12863")
    assert (options["--num-cpus"], options["--num-gpus"]) == ("4", "1")
    assert options["--labels"] == "rayster.dev/python=3.11.7,rayster.dev/pod=ray-a-w-worker-x"
    assert "--block" in options
    assert "--head" not in options and "--port" not in options


def test_what_tasks_may_ask_for_is_without_the_objects_share():
    options = of(NODE, "10.128.7.9:20001")

    assert (options["--memory"], options["--object-store-memory"]) == ("700", "300")


def test_a_head_is_told_its_own_ports_and_joins_nobody():
    options = of(command.Node(**(vars(NODE) | {"head": True, "dashboard_host": "10.128.7.1"})), None)

    assert (options["--port"], options["--dashboard-port"]) == ("20001", "20002")
    assert options["--dashboard-host"] == "10.128.7.1"
    assert "--address" not in options


def test_what_was_not_chosen_is_left_to_ray():
    options = of(command.Node(**(vars(NODE) | {"gpus": None, "memory_bytes": None, "labels": None})), "h:1")

    assert not {"--num-gpus", "--memory", "--labels"} & set(options)


def test_a_node_that_was_given_no_gpus_offers_none_of_its_machines():
    with claim_ports(0) as claim:
        found = describe(NodeSettings(node_network=IPv4Network("127.66.0.0/16")), None, claim, "/tmp/rayn-1")

    assert of(found, "h:1")["--num-gpus"] == "0"


def test_a_head_computes_nothing_unless_told():
    with claim_ports(0) as claim:
        found = describe(
            NodeSettings(head=True, node_network=IPv4Network("127.66.0.0/16")), None, claim, "/tmp/rayn-1"
        )

    assert (found.cpus, found.address.startswith("127.66.")) == (0, True)


def test_a_label_that_ray_would_refuse_is_left_out():
    assert command.labels_text({"a/b": "x" * 64, "a/c": "", "a/d": "ok"}) == "a/d=ok"


def test_kuberays_own_addresses_do_not_reach_ray():
    environ = {
        "RAY_ADDRESS": "h:6379",
        "RAY_PORT": "6379",
        "RAY_IP": "h",
        "FQ_RAY_IP": "h.ns",
        "PATH": "/bin",
    }

    assert set(command.ray_environment(environ, None)) & set(environ) == {"PATH"}


def test_a_token_switches_rays_authentication_on():
    found = command.ray_environment({}, "secret")

    assert (found["RAY_AUTH_MODE"], found["RAY_AUTH_TOKEN"]) == ("token", "secret")


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "0"), ({"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "2"}, "2")]
)
def test_a_node_ends_at_once_unless_told_otherwise(given, expected):
    assert command.ray_environment(given, None)["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] == expected


def test_a_users_file_in_the_working_directory_is_not_taken_for_a_module(tmp_path):
    (tmp_path / "users_module.py").write_text("def main(): print('taken')")

    ended = subprocess.run(
        command.python_module("users_module"), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert "No module named 'users_module'" in ended.stderr
