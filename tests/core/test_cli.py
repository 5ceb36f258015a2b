"""The command line, as an admin meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SHIPPED = str(Path(__file__).parents[2] / "helm-values" / "profiles.yaml")


def rayster(*words):
    return subprocess.run(
        [sys.executable, "-m", "rayster_spawner.cli", *words], capture_output=True, text=True, timeout=60
    )


def test_the_shipped_profiles_are_right():
    result = rayster("profiles", "check", SHIPPED)
    assert result.returncode == 0, result.stderr
    assert "5 profiles" in result.stdout


def test_every_mistake_of_every_file_is_told_with_its_line(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("profiles:\n  - name: A B\n    cpus: 3\n")
    worse = tmp_path / "worse.yaml"
    worse.write_text("profiles: [")
    result = rayster("profiles", "check", str(bad), SHIPPED, str(worse))
    assert result.returncode == 1
    assert f"{bad}:2: profiles.0.name: 'A B': must be lower-case letters" in result.stderr
    assert f"{bad}:3: profiles.0.cpus" in result.stderr
    assert f"{worse}:1: is not YAML" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_schema_is_json():
    assert json.loads(rayster("profiles", "schema").stdout)["title"] == "RaySTER profiles"


@pytest.mark.parametrize(
    "profile", ["cloud", "leonardo-gpu", "leonardo-cpu", "padova-slurm", "infn-t1-htcondor"]
)
def test_every_shipped_profile_renders_to_a_pod(profile):
    result = rayster("render", SHIPPED, "--profile", profile, "--option", "cpu=2", "--user", "Ada L.")
    assert result.returncode == 0, result.stderr
    pod = yaml.safe_load(result.stdout)
    assert pod["kind"] == "Pod"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"


def test_two_users_get_ports_of_their_own():
    def port(user):
        pod = yaml.safe_load(rayster("render", SHIPPED, "--profile", "padova-slurm", "--user", user).stdout)
        return pod["spec"]["containers"][0]["ports"][0]["containerPort"]

    assert port("ada") != port("bruno")


def test_bad_options_are_one_line_a_field_and_status_two():
    words = ["cpu=99", "memory=$(id)", "x=1", "gpu", "walltime=1h", "walltime=2h"]
    options = [word for option in words for word in ("--option", option)]
    result = rayster("render", SHIPPED, "--profile", "padova-slurm", *options)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "x: '1': is not an option; known are profile, image, cpu, memory, gpu, walltime",
        "cpu: '99': must be 1 to 16 cores",
        "memory: '$(id)': must be an amount with a unit, such as 512Mi, 4Gi or 1.5GB; 1 GiB to 60 GiB",
        "gpu: '': must be 0: this profile has no GPUs",
        "walltime: a list of 2: must be a number, 10 min to 48 h",
    ]


@pytest.mark.parametrize(
    "words,reason",
    [
        (("--profile", "nowhere"), "is not a profile of this hub"),
        (("--profile", "leonardo-gpu", "--groups", "padova"), "is not one of your profiles"),
    ],
)
def test_a_profile_that_is_not_theirs_is_status_two(words, reason):
    result = rayster("render", SHIPPED, *words)
    assert result.returncode == 2
    assert result.stderr.startswith("profile: ")
    assert reason in result.stderr


def test_a_missing_file_is_told_without_a_traceback(tmp_path):
    result = rayster("render", str(tmp_path / "none.yaml"), "--profile", "x")
    assert result.returncode == 1
    assert "No such file" in result.stderr
    assert "Traceback" not in result.stderr
