"""What is true of all files of the repository, and of those that a cluster reads."""

import json
import re
import string
from pathlib import Path

import pytest
import yaml

from rayster_spawner.profile_files import load_profiles
from rayster_testbed.layout import SITES, Layout, choose_addresses, profile_words

REPOSITORY = Path(__file__).parents[2]
# Split, so that this file does not find itself.
REGISTRIES = re.compile(
    r"\b(gh"
    r"cr\.io|qu"
    r"ay\.io|doc"
    r"ker\.io|gc"
    r"r\.io|registry\.np"
    r"mjs\.org|registry\.ya"
    r"rnpkg\.com|files\.pytho"
    r"nhosted\.org)\b"
)


def test_no_file_names_a_registry(tracked_files):
    found = [
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path in tracked_files
        if (match := REGISTRIES.search(path.read_bytes().decode(errors="ignore")))
    ]
    assert found == []


def test_the_registry_check_would_find_one():
    assert REGISTRIES.search("image: qua" + "y.io/jupyterhub/k8s-hub:4")


@pytest.mark.parametrize("script", sorted((REPOSITORY / "bench").glob("*.py")), ids=lambda path: path.stem)
def test_every_measurement_can_be_quick_and_be_read_by_a_program(script):
    asked = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', script.read_text()))
    assert {"--quick", "--json"} <= asked


def test_every_npm_package_of_the_lock_has_a_hash():
    lock = json.loads((REPOSITORY / "scripts/node/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_every_yaml_file_parses(tracked_files):
    files = [path for path in tracked_files if path.suffix in (".yaml", ".yml")]
    assert len(files) >= 5
    for path in files:
        assert list(yaml.safe_load_all(path.read_text())), path


@pytest.mark.parametrize("file", ["rayster.yaml", "profiles.yaml"])
def test_helm_values_have_only_keys_that_the_chart_knows(file):
    known = {
        "hub",
        "proxy",
        "singleuser",
        "scheduling",
        "prePuller",
        "cull",
        "custom",
        "ingress",
        "debug",
        "rbac",
    }
    values = yaml.safe_load((REPOSITORY / "helm-values" / file).read_text())
    assert set(values) <= known


def test_helm_values_choose_the_spawner_by_its_entry_point():
    values = yaml.safe_load((REPOSITORY / "helm-values/rayster.yaml").read_text())
    assert values["hub"]["config"]["JupyterHub"]["spawner_class"] == "rayster"
    assert 'rayster = "rayster_spawner.spawner:RaysterSpawner"' in (REPOSITORY / "pyproject.toml").read_text()


def manifests(file: str) -> dict[tuple[str, str], dict]:
    """The objects of a file of helm-values, by kind and name."""
    documents = yaml.safe_load_all((REPOSITORY / "helm-values" / file).read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.mark.parametrize("role", ["rayster-hub", "rayster-service"])
def test_the_clusters_rights_are_reading_nodes_only(role):
    (rule,) = manifests("rbac.yaml")["ClusterRole", role]["rules"]
    assert (rule["resources"], rule["verbs"]) == (["nodes"], ["get", "list", "watch"])


def test_the_service_may_keep_clusters_and_delete_pods_and_reads_no_secret():
    roles = [document for (kind, _), document in manifests("rbac.yaml").items() if kind == "Role"]
    assert {"/".join(rule["resources"]): rule["verbs"] for role in roles for rule in role["rules"]} == {
        "pods": ["get", "list", "watch", "delete"],
        "pods/log": ["get"],
        "pods/finalizers": ["update"],
        "secrets": ["create", "delete"],
        "rayclusters": ["get", "list", "watch", "create", "patch", "delete"],
    }


def test_the_service_is_where_the_hub_and_its_policy_look_for_it():
    objects = manifests("service.yaml")
    pod = objects["Deployment", "rayster"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    (port,) = objects["Service", "rayster"]["spec"]["ports"]
    values = yaml.safe_load((REPOSITORY / "helm-values/rayster.yaml").read_text())
    assert values["hub"]["services"]["rayster"]["url"] == f"http://rayster:{port['port']}"
    assert f"--port={port['port']}" in container["args"]
    assert pod["metadata"]["labels"].items() >= objects["Service", "rayster"]["spec"]["selector"].items()
    policy = objects["NetworkPolicy", "rayster"]["spec"]["podSelector"]["matchLabels"]
    assert pod["metadata"]["labels"].items() >= policy.items()


def test_the_service_runs_as_the_account_that_has_the_rights_and_the_hubs_image():
    pod = manifests("service.yaml")["Deployment", "rayster"]["spec"]["template"]["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in manifests("rbac.yaml")
    image = yaml.safe_load((REPOSITORY / "helm-values/rayster.yaml").read_text())["hub"]["image"]
    assert pod["containers"][0]["image"] == f"{image['name']}:{image['tag']}"


def test_the_demos_profiles_are_good_once_they_know_the_testbed(tmp_path):
    words = profile_words(choose_addresses("127.0.0.1", None), Layout(tmp_path))
    text = string.Template((REPOSITORY / "rayster_testbed/demo/profiles.yaml").read_text()).substitute(words)
    (tmp_path / "profiles.yaml").write_text(text)
    profiles = load_profiles(tmp_path / "profiles.yaml")
    assert [profile.name for profile in profiles.profiles] == [
        "cloud", "leonardo-gpu", "leonardo-cpu", "padova-slurm", "padova-direct",
    ]  # fmt: skip
    assert profiles.sites.keys() == {site.name for site in SITES}
