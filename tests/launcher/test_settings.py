import pytest
from rayster_lab.launcher.failures import ExitCode, LaunchError
from rayster_lab.launcher.settings import settings_from

DIRECT = {"RAYSTER_RAY_GCS_PORT": "20001", "FQ_RAY_IP": "ray-a-head-svc.servers.svc.cluster.local"}
SITE = {"RAYSTER_RAY_NETWORK": "site", "RAYSTER_RAY_RENDEZVOUS": "/work/ray/ada/ray-a.json"}


def test_a_worker_takes_from_the_environment_what_the_service_said():
    settings = settings_from(
        DIRECT
        | {
            "RAYSTER_RAY_CLUSTER": "ray-a",
            "RAYSTER_RAY_CPUS": "4",
            "RAYSTER_RAY_GPUS": "1",
            "RAYSTER_RAY_MEMORY_BYTES": "4294967296",
            "RAYSTER_RAY_NODE_NETWORK": "10.128.3.4/16",
            "RAYSTER_RAY_HEAD_WAIT_SECONDS": "900",
            "RAY_CLOUD_INSTANCE_ID": "ray-a-w-worker-x",
            "RAY_AUTH_TOKEN": "secret",
        },
        head=False,
    )

    assert (settings.gcs_host, settings.gcs_port) == (DIRECT["FQ_RAY_IP"], 20001)
    assert (settings.cluster, settings.pod, settings.token) == ("ray-a", "ray-a-w-worker-x", "secret")
    assert (settings.cpus, settings.gpus, settings.memory_bytes) == (4, 1, 4294967296)
    assert str(settings.node_network) == "10.128.0.0/16"
    assert settings.head_wait_seconds == 900


def test_half_a_cpu_is_one_place_for_a_task():
    assert settings_from(DIRECT | {"RAYSTER_RAY_CPUS": "0.5"}, head=False).cpus == 1


def test_a_direct_head_needs_no_name_of_its_own():
    assert settings_from({"RAYSTER_RAY_GCS_PORT": "20001"}, head=True).gcs_port == 20001


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        pytest.param(
            DIRECT | {"RAYSTER_RAY_NETWORK": "mesh"}, ["'mesh'", "direct, site"], id="unknown network"
        ),
        pytest.param({"RAYSTER_RAY_NETWORK": "site"}, ["RENDEZVOUS", "not set"], id="site without a file"),
        pytest.param({"RAYSTER_RAY_GCS_PORT": "20001"}, ["FQ_RAY_IP", "None"], id="direct without a name"),
        pytest.param({"FQ_RAY_IP": "h"}, ["GCS_PORT", "None"], id="direct without a port"),
        pytest.param(
            DIRECT | {"RAYSTER_RAY_GCS_PORT": "80"}, ["'80'", "1024", "65535"], id="privileged port"
        ),
        pytest.param(DIRECT | {"RAYSTER_RAY_CPUS": "many"}, ["'many'"], id="no number"),
        pytest.param(DIRECT | {"RAYSTER_RAY_CPUS": "nan"}, ["'nan'"], id="not a number"),
        pytest.param(DIRECT | {"RAYSTER_RAY_CPUS": "-1"}, ["'-1'"], id="negative"),
        pytest.param(DIRECT | {"RAYSTER_RAY_MEMORY_BYTES": "inf"}, ["'inf'"], id="infinite"),
        pytest.param(
            DIRECT | {"RAYSTER_RAY_NODE_NETWORK": "ib0"}, ["'ib0'", "10.128.0.0/16"], id="no network"
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(environ, words):
    with pytest.raises(LaunchError) as error:
        settings_from(environ, head=False)

    assert error.value.code == ExitCode.BAD_SETTINGS
    assert all(word in str(error.value) for word in words), str(error.value)


def test_the_order_of_site_settings_does_not_need_a_head_name():
    assert settings_from(SITE, head=False).rendezvous == "/work/ray/ada/ray-a.json"
