"""The command line, as an admin meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rayster_spawner import interlink
from rayster_spawner.profile_files import load_profiles
from rayster_spawner.render import render_pod

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
        pod = render_pod(load_profiles(SHIPPED), {"profile": "padova-slurm"}, user=user, groups=None)
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


def test_groups_may_have_spaces_between_them():
    result = rayster("render", SHIPPED, "--profile", "leonardo-gpu", "--groups", "staff, leonardo")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "words,line",
    [
        (("--option", ""), "'': '': is not an option"),
        (("--option", "profile=cloud"), "profile: a list of 2: is not a profile of this hub"),
        (("--option", "image=x"), "image: 'x': must be lab"),
        (("--option", "memory_mib=1"), "memory_mib: '1': is not an option"),
        (("--user", ""), "user: '': must be the name of a user"),
        (("--user", "a\udcff"), r"user: 'a\udcff': must be the name of a user"),
        (("--groups", ""), "profile: 'padova-slurm': is not one of your profiles; yours are cloud"),
    ],
    ids=lambda value: value if isinstance(value, str) else "=".join(value),
)
def test_odd_words_are_answered_by_field(words, line):
    result = rayster("render", SHIPPED, "--profile", "padova-slurm", *words)
    assert result.returncode == 2
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == 1


HOSTILE_USERS = [
    "ada.lovelace", "Ada_L", "-x", "../..", "{username:>300000000}", "a\nb", "$(id)", "it's", "é雪🚀", "\u202e", "a" * 500,
]  # fmt: skip


@pytest.mark.parametrize("user", HOSTILE_USERS)
def test_any_user_name_gives_a_pod_that_holds_it_as_text_only(user):
    profiles = load_profiles(SHIPPED)
    for profile in profiles.profiles:
        pod = render_pod(profiles, {"profile": profile.name}, user=user, groups=None)
        annotations = pod["metadata"]["annotations"]
        assert annotations.pop("hub.jupyter.org/username") == user
        assert len(pod["metadata"]["name"]) <= 63
        for unsafe in ("$(", "..", "'s", "{", "\u202e", "é"):
            assert unsafe not in annotations.get(interlink.APPTAINER_OPTIONS, "") + pod["metadata"]["name"]


WITHOUT_EXTRAS = """\
import sys
for name in ("kubespawner", "jupyterhub", "kubernetes", "kubernetes_asyncio", "tornado", "traitlets", "aiohttp", "jinja2"):
    sys.modules[name] = None
from rayster_spawner.cli import app
app(sys.argv[1:])
"""


def rayster_without_extras(*words):
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_profiles_are_checked_where_only_rayster_is_installed():
    assert rayster_without_extras("profiles", "check", SHIPPED).returncode == 0
    assert json.loads(rayster_without_extras("profiles", "schema").stdout)


def test_rendering_says_what_to_install():
    result = rayster_without_extras("render", SHIPPED, "--profile", "cloud")
    assert result.returncode == 1
    assert result.stderr == "rayster render needs more packages: pip install 'rayster[hub]'\n"


def test_a_missing_file_is_told_without_a_traceback(tmp_path):
    result = rayster("render", str(tmp_path / "none.yaml"), "--profile", "x")
    assert result.returncode == 1
    assert "No such file" in result.stderr
    assert "Traceback" not in result.stderr
