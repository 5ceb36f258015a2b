"""The testbed with all its real parts but the hub: it comes up, its rights are enforced, and it goes away whole."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from rayster_testbed import kube
from rayster_testbed.cluster import Cluster, read_manifests
from rayster_testbed.layout import REPOSITORY, SITES
from rayster_testbed.leftovers import processes_of
from rayster_testbed.testbed import Testbed

HUB_POD = {
    "metadata": {"name": "server"},
    "spec": {"containers": [{"name": "notebook", "image": "x", "command": ["sleep", "600"]}]},
}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory):
    """A testbed with the built-in queue, which is there on every machine."""
    state_dir = tmp_path_factory.mktemp("tb")
    with Testbed(state_dir, batch="queue") as running:
        yield running
    assert processes_of(state_dir) == []


def test_all_nodes_are_ready(testbed):
    names = ["cloud-0", *(site.name for site in SITES)]
    assert all(testbed.cluster.node_is_ready(name) for name in names)


def test_the_batch_system_answers(testbed):
    assert testbed.slurm("squeue", "-h") == ""
    with pytest.raises(subprocess.CalledProcessError):
        testbed.slurm("scancel", "not-a-job")


def test_the_api_servers_certificate_is_good_for_strict_clients(testbed):
    context = ssl.create_default_context(cafile=str(testbed.layout.pki / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost", "kubernetes.default.svc"):
        with (
            socket.create_connection(("127.0.0.1", testbed.addresses.apiserver), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            pass


def as_hub(testbed, ask):
    return Cluster(testbed.kubeconfig("hub")).call(ask)


def as_service(testbed, ask):
    return Cluster(testbed.kubeconfig("service")).call(ask)


def test_the_hub_may_do_what_its_roles_say(testbed):
    created = as_hub(testbed, lambda api: api.create(kube.path("pods", "rayster"), HUB_POD))
    assert created["metadata"]["name"] == "server"
    assert as_hub(testbed, lambda api: api.get(kube.path("nodes")))["items"]
    assert "items" in as_hub(testbed, lambda api: api.get(kube.path("events", "rayster")))
    as_hub(testbed, lambda api: api.delete(kube.path("pods", "rayster", "server"), grace_seconds=0))


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda api: api.get(kube.path("pods", "kube-system")), id="pods elsewhere"),
        pytest.param(lambda api: api.get(kube.path("configmaps", "rayster")), id="config maps"),
        pytest.param(lambda api: api.delete(kube.path("nodes", name="cloud-0")), id="delete a node"),
        pytest.param(lambda api: api.merge(kube.path("pods", "rayster", "x"), {}), id="patch a pod"),
    ],
)
def test_the_hub_may_do_no_more(testbed, ask):
    with pytest.raises(kube.ApiError) as error:
        as_hub(testbed, ask)
    assert error.value.status == 403


def test_the_service_may_do_what_its_roles_say(testbed):
    as_hub(testbed, lambda api: api.create(kube.path("pods", "rayster"), HUB_POD))
    assert as_service(testbed, lambda api: api.get(kube.path("nodes")))["items"]
    assert as_service(testbed, lambda api: api.get(kube.path("pods", "rayster")))["items"]
    as_service(testbed, lambda api: api.delete(kube.path("pods", "rayster", "server"), grace_seconds=0))


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda api: api.get(kube.path("pods", "kube-system")), id="pods elsewhere"),
        pytest.param(lambda api: api.get(kube.path("secrets", "rayster")), id="secrets"),
        pytest.param(lambda api: api.create(kube.path("pods", "rayster"), HUB_POD), id="create a pod"),
        pytest.param(lambda api: api.merge(kube.path("pods", "rayster", "x"), {}), id="patch a pod"),
        pytest.param(lambda api: api.delete(kube.path("nodes", name="cloud-0")), id="delete a node"),
    ],
)
def test_the_service_may_do_no_more(testbed, ask):
    with pytest.raises(kube.ApiError) as error:
        as_service(testbed, ask)
    assert error.value.status == 403


def test_the_cluster_takes_the_services_manifests(testbed):
    manifests = read_manifests(REPOSITORY / "helm-values" / "service.yaml")
    testbed.cluster.apply(manifests, "rayster")
    testbed.cluster.apply(manifests, "rayster")  # as an upgrade does
    stored = testbed.cluster.call(
        lambda api: api.get(kube.path("deployments", "rayster", "rayster", api="apis/apps/v1"))
    )
    sent = next(document for document in manifests if document["kind"] == "Deployment")
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    (sent_container,) = sent["spec"]["template"]["spec"]["containers"]
    # What an API server does not know it drops: a misspelt field would be missing.
    assert container.keys() >= sent_container.keys()
    assert stored["spec"]["template"]["spec"].keys() >= sent["spec"]["template"]["spec"].keys()


def test_objects_survive_a_killed_api_server(testbed):
    as_hub(testbed, lambda api: api.create(kube.path("pods", "rayster"), HUB_POD))
    server = testbed.parts["apiserver"]
    server.kill()
    server.start()
    server.wait_ready()
    assert [pod["metadata"]["name"] for pod in testbed.cluster.pods("rayster")] == ["server"]
    assert testbed.cluster.delete_pods("rayster", 10) == 0


def test_applying_the_manifests_twice_changes_nothing(testbed):
    path = kube.path("roles", "rayster", "hub", api="apis/rbac.authorization.k8s.io/v1")
    before = testbed.cluster.call(lambda api: api.get(path))
    testbed.cluster.apply([{**before, "metadata": {"name": "hub"}}], "rayster")
    assert testbed.cluster.call(lambda api: api.get(path))["rules"] == before["rules"]


def test_a_pod_outlives_a_killed_kubelet_and_is_found_by_the_next(testbed):
    as_hub(testbed, lambda api: api.create(kube.path("pods", "rayster"), HUB_POD))
    wait_until(lambda: testbed.cluster.pods("rayster")[0]["status"].get("phase") == "Running")
    pod_process = [p for p in processes_of(testbed.layout.root) if p.command == "sleep 600"]
    testbed.parts["kubelet"].kill()
    # Also while no kubelet knows it, the orchestrator does.
    assert [p for p in processes_of(testbed.layout.root) if p.command == "sleep 600"] == pod_process != []
    testbed.parts["kubelet"].start()
    testbed.parts["kubelet"].wait_ready()
    assert testbed.cluster.delete_pods("rayster", 15) == 0
    assert not pod_process[0].is_alive


def wait_until(is_so, timeout_seconds=15):
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# The command


def rayster_testbed(*words: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rayster_testbed.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def up(state_dir):
    """`rayster testbed up` as a process, ready."""
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-m", "rayster_testbed.cli", "up", "--state-dir", str(state_dir)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:
        if "Stop" in line:
            break
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_faults_can_be_played_from_another_terminal_and_ctrl_c_ends_it_all(up, state_dir):
    status = rayster_testbed("status", "--state-dir", state_dir)
    assert status.returncode == 0, status.stdout
    assert "leonardo-booster-plugin" in status.stdout

    killed = rayster_testbed("kill", "scheduler", "--state-dir", state_dir)
    assert "Sent SIGKILL to scheduler" in killed.stdout
    assert "down on purpose" in rayster_testbed("status", "--state-dir", state_dir).stdout
    assert "scheduler runs" in rayster_testbed("start", "scheduler", "--state-dir", state_dir).stdout
    unknown = rayster_testbed("kill", "nosuch", "--state-dir", state_dir)
    assert unknown.returncode == 2 and "apiserver" in unknown.stderr

    began = time.monotonic()
    os.killpg(up.pid, signal.SIGINT)
    rest, _ = up.communicate(timeout=60)
    # 15 s is the promise; a busy CI machine gets more room.
    assert time.monotonic() - began < 30
    assert up.returncode == 0
    assert "nothing of it runs any more" in rest
    assert processes_of(state_dir) == []
    assert rayster_testbed("status", "--state-dir", state_dir).returncode == 1


def test_down_ends_what_a_killed_command_left(up, state_dir):
    up.kill()
    up.wait()
    assert processes_of(state_dir)
    down = rayster_testbed("down", "--state-dir", state_dir)
    assert down.returncode == 0
    assert "Ended a leftover" in down.stdout
    assert processes_of(state_dir) == []


def test_a_taken_port_is_refused_before_anything_starts(state_dir):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = rayster_testbed("up", "--state-dir", state_dir, "--port", port)
    assert answer.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in answer.stdout
    assert not (state_dir / "logs").exists()


def test_the_summary_names_the_orchestrator(testbed):
    assert json.loads(testbed.layout.summary.read_text())["api"] == testbed.addresses.api_url
