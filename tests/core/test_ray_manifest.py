"""The objects of a Ray cluster: every rule of KubeRay and interLink that they must keep, and users' words kept inert."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner import interlink
from rayster_spawner.offload import OffloadError
from rayster_spawner.profiles import Profile
from rayster_spawner.ray import names
from rayster_spawner.ray.manifest import ray_cluster, token_secret
from rayster_spawner.ray.network import ClusterNetwork, network_told, read_network
from rayster_spawner.ray.owner import Owner
from rayster_spawner.ray.ports import HeadPorts
from rayster_spawner.ray.request import ClusterRequest

from .conftest import cloud_data, profile_data

ID = "ray-0123456789"
OWNER = Owner("jupyter-ada", "0000-uid", "Ada", "gpu", "ada")
PORTS = HeadPorts(20010, 20011)


def ray_data(**changes: Any) -> dict[str, Any]:
    """Return a `ray` section, with ``changes``."""
    return {"version": "2.60.0", "workers": {"max": 8, "default": 2}, **changes}


def site_profile(**changes: Any) -> Profile:
    """Return a SLURM profile in whose network only the site itself is."""
    ray = ray_data(shared_directory="/work/ray/{username}")
    return Profile.model_validate(profile_data(**{"network": {"mode": "site"}, "ray": ray, **changes}))


def direct_profile(**changes: Any) -> Profile:
    """Return a SLURM profile whose nodes and the cloud reach each other."""
    images = [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}]
    return Profile.model_validate(profile_data(**{"images": images, "ray": ray_data(), **changes}))


def cloud_profile(**changes: Any) -> Profile:
    """Return a cloud profile with Ray workers."""
    return Profile.model_validate(cloud_data(**{"ray": ray_data(), **changes}))


def made(profile: Profile, owner: Owner = OWNER, **asked: Any) -> dict[str, Any]:
    """Return the RayCluster of a request."""
    request = ClusterRequest.parse({"profile": profile.name, **asked}, profile, user="Ada")
    return ray_cluster(ID, request, profile, owner, PORTS, 1764093600.0)


def head(cluster: dict[str, Any]) -> dict[str, Any]:
    return cluster["spec"]["headGroupSpec"]["template"]


def worker(cluster: dict[str, Any]) -> dict[str, Any]:
    return cluster["spec"]["workerGroupSpecs"][0]["template"]


def container(template: dict[str, Any]) -> dict[str, Any]:
    (only,) = template["spec"]["containers"]
    return only


def environment(template: dict[str, Any]) -> dict[str, Any]:
    entries = container(template)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


LAYOUTS = {"site": site_profile, "direct": direct_profile, "cloud": cloud_profile}
every_layout = pytest.mark.parametrize("profile", LAYOUTS.values(), ids=LAYOUTS.keys())
every_pod = pytest.mark.parametrize("pod", [head, worker])


# What KubeRay must not do


@every_layout
def test_the_operator_leaves_the_launchers_command_as_it_is(profile):
    cluster = made(profile())
    assert cluster["metadata"]["annotations"]["ray.io/overwrite-container-cmd"] == "true"
    assert (container(head(cluster))["command"], container(head(cluster))["args"]) == (
        ["rayster"],
        ["ray", "start", "--head"],
    )
    assert container(worker(cluster))["args"] == ["ray", "start"]


@every_layout
@every_pod
def test_a_pod_is_gone_soon_and_never_begun_again_by_its_node(profile, pod):
    spec = pod(made(profile()))["spec"]
    assert spec["terminationGracePeriodSeconds"] == 3  # for so long KubeRay does nothing to the group
    assert spec["restartPolicy"] == "Never"
    assert environment(pod(made(profile())))["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] == "0"


@every_layout
@every_pod
def test_a_pod_has_no_credential_and_no_service_links(profile, pod):
    spec = pod(made(profile()))["spec"]
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert "serviceAccountName" not in spec


@every_layout
@every_pod
def test_probes_of_ones_own_keep_the_operators_away(profile, pod):
    # its own ask port 52365, which two nodes on one host cannot both have, and end the job when nobody answers
    for kind in ("readinessProbe", "livenessProbe"):
        probe = container(pod(made(profile())))[kind]
        assert probe["exec"]["command"] == ["true"] and probe["failureThreshold"] >= 1000
    assert "52365" not in json.dumps(made(profile()))


@every_layout
def test_the_operator_adds_no_memory_volume(profile):
    # which interLink makes a directory on a shared disk
    spec = made(profile())["spec"]
    for group in (spec["headGroupSpec"], spec["workerGroupSpecs"][0]):
        assert group["rayStartParams"]["plasma-directory"]
        assert "/dev/shm" not in json.dumps(group["template"])


@every_layout
@every_pod
def test_every_container_declares_its_metrics_port(profile, pod):
    # else KubeRay declares 8080, which interLink's tunnel has itself
    ports = {port["name"]: port["containerPort"] for port in container(pod(made(profile())))["ports"]}
    assert "metrics" in ports and 8080 not in ports.values()


def test_the_service_of_the_head_has_the_heads_own_ports():
    cluster = made(direct_profile())
    ports = {port["name"]: port["containerPort"] for port in container(head(cluster))["ports"]}
    assert (ports["gcs-server"], ports["dashboard"]) == (20010, 20011)
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["port"] == "20010"
    assert cluster["metadata"]["annotations"]["rayster.dev/ray-gcs-port"] == "20010"
    assert cluster["metadata"]["annotations"]["rayster.dev/ray-dashboard-port"] == "20011"


def test_the_operators_endless_wait_for_the_head_is_ended_in_workers():
    cluster = made(site_profile(ray=ray_data(shared_directory="/w", bash_env="/opt/skip.sh")))
    assert environment(worker(cluster))["BASH_ENV"] == "/opt/skip.sh"
    assert "BASH_ENV" not in environment(head(cluster))


@every_layout
def test_workers_give_up_a_lost_head_soon(profile):
    assert environment(worker(made(profile())))["RAY_gcs_rpc_server_reconnect_timeout_s"] == "10"


@every_layout
@every_pod
def test_what_the_operator_says_to_a_node_is_not_said_before(profile, pod):
    # of these KubeRay leaves alone what it finds, and a token of somebody else would let nobody in
    own = {
        "RAY_ADDRESS",
        "RAY_PORT",
        "RAY_IP",
        "FQ_RAY_IP",
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_REDIS_ADDRESS",
    }
    assert not own & set(environment(pod(made(profile()))))


@every_layout
def test_the_cluster_is_one_that_the_operator_takes(profile):
    # `ValidateRayClusterSpec`: it says no in an event only
    cluster = made(profile(), workers=0)
    assert len(cluster["metadata"]["name"]) <= 53
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["replicas"], group["maxReplicas"]) == (0, 0, 8)
    assert cluster["spec"]["rayVersion"] == "2.60.0"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    for spec in (cluster["spec"]["headGroupSpec"], group):
        assert "labels" not in spec["rayStartParams"]
        assert not ("resources" in spec and "num-cpus" in spec["rayStartParams"])


def test_a_queue_of_kueue_is_named_on_the_cluster():
    cluster = made(site_profile(ray=ray_data(shared_directory="/w", queue="gpus")))
    assert cluster["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert "kueue.x-k8s.io/queue-name" not in made(site_profile())["metadata"]["labels"]


# Where pods run


@pytest.mark.parametrize("pod", [head, worker])
def test_in_network_site_head_and_workers_are_jobs(pod):
    template = pod(made(site_profile(), walltime="2h"))
    assert template["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "padova"}
    flags = template["metadata"]["annotations"]["slurm-job.vk.io/flags"]
    assert "--partition=padova" in flags and "--time=02:00:00" in flags
    assert template["metadata"]["labels"]["rayster.dev/site"] == "padova"


@pytest.mark.parametrize("pod", [head, worker])
def test_a_virtual_node_that_looks_away_costs_no_place_in_the_queue(pod):
    tolerations = pod(made(site_profile()))["spec"]["tolerations"]
    for key in ("not-ready", "unreachable", "network-unavailable"):
        assert {"key": f"node.kubernetes.io/{key}", "operator": "Exists"} in tolerations
    assert {"key": "virtual-node.interlink/no-schedule", "operator": "Exists"} in tolerations


@pytest.mark.parametrize("pod", [head, worker])
def test_jobs_get_literal_values_only(pod):
    # interLink resolves no label, and calls 127.0.0.1 the pod's address
    assert not any("valueFrom" in entry for entry in container(pod(made(site_profile())))["env"])


def test_in_network_direct_the_head_is_a_small_pod_in_the_cloud():
    profile = direct_profile(ray=ray_data(head={"cpu": 0.5, "memory": "3Gi", "image": "rayster/head:1"}))
    template = head(made(profile, gpus=1))
    assert "nodeSelector" not in template["spec"] and "tolerations" not in template["spec"]
    assert template["metadata"]["labels"]["rayster.dev/site"] == "cloud"
    assert not any(interlink.is_read_at_site(key) for key in template["metadata"].get("annotations", {}))
    assert container(template)["image"] == "rayster/head:1"
    assert container(template)["resources"]["limits"] == {"cpu": "0.5", "memory": "3072Mi"}
    assert environment(template)["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert container(template)["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_head_of_network_direct_can_be_a_job_too():
    template = head(made(direct_profile(ray=ray_data(head={"place": "site"}))))
    assert template["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "padova"}


def test_no_task_runs_beside_the_head():
    profile = site_profile()
    for template in (head(made(profile, gpus=2)), head(made(direct_profile(), gpus=2))):
        assert environment(template)["RAYSTER_RAY_CPUS"] == environment(template)["RAYSTER_RAY_GPUS"] == "0"
        assert "nvidia.com/gpu" not in container(template)["resources"]["limits"]
    assert "--gres" not in head(made(profile, gpus=2))["metadata"]["annotations"]["slurm-job.vk.io/flags"]


def test_a_worker_gets_what_was_asked_for():
    template = worker(made(site_profile(), cpus=4, memory="8Gi", gpus=2, walltime="90m", image="sif"))
    assert container(template)["resources"]["limits"] == {
        "cpu": "4", "memory": "8192Mi", "nvidia.com/gpu": "2",
    }  # fmt: skip
    assert container(template)["image"] == "/opt/images/lab.sif"
    flags = template["metadata"]["annotations"]["slurm-job.vk.io/flags"]
    assert "--gres=gpu:a100:2" in flags and "--time=01:30:00" in flags
    told = environment(template)
    assert (told["RAYSTER_RAY_CPUS"], told["RAYSTER_RAY_GPUS"]) == ("4", "2")
    assert told["RAYSTER_RAY_MEMORY_BYTES"] == str(8 * 2**30)


def test_the_head_at_the_site_has_an_image_of_its_own_where_the_profile_says_so():
    ray = ray_data(shared_directory="/w", head={"image": "/opt/images/head.sif"})
    cluster = made(site_profile(ray=ray))
    assert container(head(cluster))["image"] == "/opt/images/head.sif"
    assert container(worker(cluster))["image"] == "rayster/notebook:0.1.0"


def test_the_end_of_a_cluster_in_the_cloud_is_not_the_end_of_its_heads_pod():
    # KubeRay would make another one
    profile = cloud_profile(walltime={"max": "8h", "default": "1h"})
    cluster = made(profile)
    assert "activeDeadlineSeconds" not in head(cluster)["spec"]
    assert worker(cluster)["spec"]["activeDeadlineSeconds"] == 3600


def test_ports_that_people_tunnel_for_notebooks_are_not_tunnelled_for_every_worker():
    network = {"mode": "site", "tunnel_ports": [{"port": 6006, "name": "tensorboard"}]}
    cluster = made(site_profile(network=network))
    for pod in (head, worker):
        assert interlink.TUNNEL_PORTS not in pod(cluster)["metadata"]["annotations"]


# What the launcher is told


def test_nodes_of_a_site_find_each_other_by_a_file_of_the_user():
    cluster = made(site_profile())
    for pod in (head, worker):
        told = environment(pod(cluster))
        assert told["RAYSTER_RAY_NETWORK"] == "site"
        assert told["RAYSTER_RAY_RENDEZVOUS"] == f"/work/ray/ada/{ID}.json"


def test_nodes_of_network_direct_find_the_head_by_name():
    told = environment(worker(made(direct_profile())))
    assert told["RAYSTER_RAY_NETWORK"] == "direct" and "RAYSTER_RAY_RENDEZVOUS" not in told
    assert (told["RAYSTER_RAY_GCS_PORT"], told["RAYSTER_RAY_DASHBOARD_PORT"]) == ("20010", "20011")


def test_what_the_profile_leaves_out_the_launcher_chooses():
    told = environment(worker(made(site_profile())))
    absent = {"NODE_NETWORK", "PLASMA_DIRECTORY", "OBJECT_STORE_BYTES"}
    assert not {f"RAYSTER_RAY_{name}" for name in absent} & set(told)
    assert told["RAYSTER_RAY_HEAD_WAIT_SECONDS"] == "900"


def test_what_the_profile_says_of_nodes_is_told_to_nodes_there():
    said = ray_data(
        node_network="10.128.0.0/16", plasma_directory="/dev/shm", object_store="512Mi", head_wait="2m"
    )
    cluster = made(direct_profile(ray=said))
    told = environment(worker(cluster))
    assert told["RAYSTER_RAY_NODE_NETWORK"] == "10.128.0.0/16"
    assert told["RAYSTER_RAY_PLASMA_DIRECTORY"] == "/dev/shm"
    assert told["RAYSTER_RAY_OBJECT_STORE_BYTES"] == str(512 * 2**20)
    assert told["RAYSTER_RAY_HEAD_WAIT_SECONDS"] == "120"
    # and not to a head that is elsewhere
    assert "RAYSTER_RAY_NODE_NETWORK" not in environment(head(cluster))


@pytest.mark.parametrize(
    "network,host",
    [({"mode": "site"}, "0.0.0.0"), ({"mode": "site", "bind_address": "127.0.0.1"}, "127.0.0.1")],
)
def test_the_dashboard_listens_where_the_profile_says(network, host):
    assert environment(head(made(site_profile(network=network))))["RAYSTER_RAY_DASHBOARD_HOST"] == host


def test_the_profiles_environment_is_the_nodes_but_never_speaks_for_the_service():
    profile = site_profile(environment={"PROXY": "http://proxy.site:3128"})
    assert environment(worker(made(profile)))["PROXY"] == "http://proxy.site:3128"


# Whose it is


def test_whose_a_cluster_is_stands_on_it_as_the_hub_spells_it():
    cluster = made(site_profile(), name="Fits", server="gpu")
    annotations = cluster["metadata"]["annotations"]
    assert (annotations["hub.jupyter.org/username"], annotations["hub.jupyter.org/servername"]) == (
        "Ada",
        "gpu",
    )
    assert annotations["rayster.dev/title"] == "Fits"
    assert float(annotations["rayster.dev/requested-at"]) == 1764093600
    assert ClusterRequest.from_json(annotations["rayster.dev/ray-request"]).workers == 2
    for labels in (
        cluster["metadata"]["labels"],
        head(cluster)["metadata"]["labels"],
        worker(cluster)["metadata"]["labels"],
    ):
        assert labels["hub.jupyter.org/username"] == "ada"
        assert (labels["rayster.dev/profile"], labels["rayster.dev/cluster"]) == ("padova", ID)


def test_cluster_and_secret_belong_to_the_servers_pod():
    secret = token_secret(ID, "t" * 44, OWNER)
    assert secret["stringData"] == {"auth_token": "t" * 44} and secret["metadata"]["name"] == ID
    for thing in (secret, made(site_profile())):
        assert thing["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "v1", "kind": "Pod", "name": "jupyter-ada", "uid": "0000-uid",
                "controller": False, "blockOwnerDeletion": True,
            }
        ]  # fmt: skip


def test_the_token_is_in_no_pod_template():
    assert "t" * 44 not in json.dumps(made(site_profile()))


# Hostile words

HOSTILE = [
    "{username}",
    "{{x}}",
    "$(id)",
    "`id`",
    "a;b",
    "'\"",
    "\\",
    "${HOME}",
    "--flag",
    "%s",
    "é😀",
    "../..",
]


@every_layout
@pytest.mark.parametrize("word", HOSTILE)
def test_what_a_user_says_is_data_in_annotations_and_nowhere_else(profile, word):
    owner = Owner("jupyter-ada", "0000-uid", f"ada{word}", f"srv{word}", "ada-1234")
    plain = made(profile(), Owner("jupyter-ada", "0000-uid", "ada", "srv", "ada-1234"))
    hostile = made(profile(), owner, name=f"x {word}")
    assert hostile["spec"] == plain["spec"]
    assert hostile["metadata"]["annotations"]["rayster.dev/title"] == f"x {word}"
    assert hostile["metadata"]["annotations"]["hub.jupyter.org/username"] == f"ada{word}"


@pytest.mark.parametrize("label", ["", "a/b", "../x", "a\nb", "{x}", "-a"])
def test_a_name_that_is_not_escaped_enters_no_path(label):
    with pytest.raises(OffloadError, match="not escaped"):
        made(site_profile(), Owner("jupyter-ada", "uid", "ada", "", label))


@given(
    title=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60),
    user=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80),
)
def test_whatever_the_words_are_the_spec_is_the_same(title, user):
    if not title.isprintable():
        title = ""
    profile = site_profile()
    owner = Owner("jupyter-ada", "uid", user, user, "ada")
    assert made(profile, owner, name=title)["spec"] == made(profile)["spec"]


@given(workers=st.integers(0, 8), cpus=st.integers(1, 16), gpus=st.integers(0, 4))
def test_every_value_in_a_pod_is_text_or_a_number_that_kubernetes_takes(workers, cpus, gpus):
    cluster = made(site_profile(), workers=workers, cpus=cpus, gpus=gpus)
    for pod in (head, worker):
        for entry in container(pod(cluster))["env"]:
            assert isinstance(entry["value"], str)
            assert set(entry["name"]) <= set(string.ascii_letters + string.digits + "_")
    for group in (cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"][0]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    assert all(isinstance(value, str) for value in cluster["metadata"]["annotations"].values())


# What a notebook is told


@pytest.mark.parametrize(
    "profile,head_address,told",
    [
        (direct_profile, "10.0.0.7", {"address": "10.0.0.7:20010", "rendezvous": None, "network": "direct"}),
        (direct_profile, None, {"address": f"{ID}-head-svc.ns.svc.cluster.local:20010", "rendezvous": None}),
        (site_profile, "127.60.0.1", {"address": None, "rendezvous": f"/work/ray/ada/{ID}.json"}),
    ],
    ids=["direct", "direct-by-name", "site"],
)
def test_a_notebook_is_told_where_the_head_is(profile, head_address, told):
    answer = network_told(made(profile()), "ns", head_address=head_address, is_at_site=True)
    assert answer is not None and answer.items() >= told.items()


@pytest.mark.parametrize("is_at_site,network", [(True, "10.128.0.0/16"), (False, None)])
def test_a_notebook_elsewhere_is_told_nothing_of_the_sites_nodes(is_at_site, network):
    cluster = made(direct_profile(ray=ray_data(node_network="10.128.0.0/16")))
    told = network_told(cluster, "ns", head_address=None, is_at_site=is_at_site)
    assert told is not None and told["node_network"] == network


def test_the_network_of_a_cluster_outlives_its_profile():
    cluster = made(site_profile())
    assert read_network(cluster) == ClusterNetwork("site", f"/work/ray/ada/{ID}.json")


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"mode": "none"}', '{"mode": "site", "x": 1}', "{"]
)
def test_a_network_that_nobody_wrote_so_is_none(text):
    assert read_network({"metadata": {"annotations": {names.NETWORK: text}}}) is None
