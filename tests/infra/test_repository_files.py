"""What is true of all files of the repository, and of those that a cluster reads."""

import json
import re
from pathlib import Path

import pytest
import yaml

from rayster_spawner.profile_files import load_profiles

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


def test_the_clusters_rights_are_reading_only():
    documents = list(yaml.safe_load_all((REPOSITORY / "helm-values/rbac.yaml").read_text()))
    rules = [rule for document in documents for rule in document.get("rules", ())]
    assert rules
    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list", "watch"}
    assert {resource for rule in rules for resource in rule["resources"]} == {"nodes"}


def test_the_demos_profiles_are_good_once_they_know_the_state_directory(tmp_path):
    text = (REPOSITORY / "rayster_testbed/demo/profiles.yaml").read_text().replace("${STATE}", "/var/x")
    (tmp_path / "profiles.yaml").write_text(text)
    profiles = load_profiles(tmp_path / "profiles.yaml")
    assert [profile.name for profile in profiles.profiles] == [
        "cloud", "leonardo-gpu", "leonardo-cpu", "padova-slurm",
    ]  # fmt: skip
