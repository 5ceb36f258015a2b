"""The `ray` section of a profile: what it refuses, all at once and where it stands."""

import jsonschema
import pytest
import yaml

from rayster_spawner.profile_files import ProfilesError, parse_profiles
from rayster_spawner.profiles import Profile, profiles_schema

from .conftest import cloud_data, mistakes_of, profile_data

IMAGES = [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}]


def with_ray(ray, **changes):
    """Return a SLURM profile with a `ray` section over one that is right."""
    ray = {"version": "2.60.0", "workers": {"max": 8}, **ray}
    return profile_data(**{"images": IMAGES, "ray": ray, **changes})


SITE = {"network": {"mode": "site"}}
WRONG = [
    ("no-version", with_ray({"version": None}), "ray.version", "must be text"),
    ("version-is-a-number", with_ray({"version": 2.6}), "ray.version", "put it in quotes"),
    ("version-with-words", with_ray({"version": "latest"}), "ray.version", "such as 2.60.0"),
    ("version-without-tokens", with_ray({"version": "2.51.9"}), "ray.version", "2.52.0 or newer"),
    ("unknown-key", with_ray({"worker": {}}), "ray.worker", "did you mean workers?"),
    ("no-maximum", with_ray({"workers": {"default": 1}}), "ray.workers.max", "is required"),
    ("default-beyond", with_ray({"workers": {"max": 2, "default": 3}}), "ray.workers.default", "between min (0) and max (2)"),
    ("half-a-worker", with_ray({"workers": {"max": 2.5}}), "ray.workers.max", "whole number"),
    ("far-too-many", with_ray({"workers": {"max": 5000}}), "ray.workers.max", "at most 1000"),
    ("head-nowhere", with_ray({"head": {"place": "moon"}}), "ray.head.place", "must be site or cloud"),
    ("head-image-with-shell", with_ray({"head": {"image": "a;b"}}), "ray.head.image", "an image reference"),
    ("head-memory-without-unit", with_ray({"head": {"memory": 4}}), "ray.head.memory", "with a unit"),
    ("cloud-head-of-a-file", with_ray({"head": {"image": "/opt/h.sif"}}), "ray.head.image", "the head is in the cloud"),
    ("cloud-head-without-image", with_ray({}, images=[{**IMAGES[0], "image": "/opt/l.sif"}]), "ray.head.image", "is required"),
    ("half-a-core-of-a-job", with_ray({"head": {"place": "site", "cpu": 1.5}}), "ray.head.cpu", "a whole number of cores"),
    ("fine-grained-head", with_ray({"head": {"cpu": 0.0001}}), "ray.head.cpu", "three decimals"),
    ("no-rendezvous", with_ray({}, **SITE), "ray.shared_directory", "is required for network.mode: site"),
    ("cloud-head-that-no-job-reaches", with_ray({"shared_directory": "/w", "head": {"place": "cloud"}}, **SITE),
     "ray.head.place", "no job reaches the cloud"),
    ("site-head-that-is-no-sif", with_ray({"head": {"place": "site", "image": "/opt/h"}}), "ray.head.image", ".sif"),
    ("relative-directory", with_ray({"shared_directory": "ray"}), "ray.shared_directory", "an absolute path"),
    ("directory-with-dots", with_ray({"shared_directory": "/a/../b"}), "ray.shared_directory", "'..'"),
    ("directory-with-shell", with_ray({"shared_directory": "/w/$(id)"}), "ray.shared_directory", "an absolute path"),
    ("directory-with-other-braces", with_ray({"shared_directory": "/w/{user}"}), "ray.shared_directory", "{username}"),
    ("network-of-a-host", with_ray({"node_network": "10.0.0.1/8"}), "ray.node_network", "with zeros behind its length"),
    ("no-network", with_ray({"node_network": "ib0"}), "ray.node_network", "such as 10.128.0.0/16"),
    ("plasma-with-shell", with_ray({"plasma_directory": "/a b"}), "ray.plasma_directory", "an absolute path"),
    ("objects-beyond-a-worker", with_ray({"object_store": "1Gi"}), "ray.object_store", "less than memory.min (1 GiB)"),
    ("objects-beyond-the-head", with_ray({"object_store": "512Mi", "head": {"memory": "512Mi"}}),
     "ray.object_store", "less than ray.head.memory (512 MiB)"),
    ("bash-env-with-shell", with_ray({"bash_env": "x"}), "ray.bash_env", "an absolute path"),
    ("wait-beyond-the-job", with_ray({"head_wait": "48h"}), "ray.head_wait", "less than walltime.max"),
    ("warned-too-late", with_ray({"idle": {"stop_after": "10m", "warn_before": "10m"}}), "ray.idle.warn_before", "less than stop_after"),
    ("idle-never-said-so", with_ray({"idle": False}), "ray.idle", "mapping"),
    ("no-failure-allowed", with_ray({"failures_in_a_row": 0}), "ray.failures_in_a_row", "at least 1"),
    ("no-clusters", with_ray({"limits": {"clusters_per_user": 0}}), "ray.limits.clusters_per_user", "at least 1"),
    ("queue-with-spaces", with_ray({"queue": "a b"}), "ray.queue", "a Kubernetes label value"),
    ("token-in-the-environment", with_ray({}, environment={"RAY_AUTH_TOKEN": "x"}), "environment.RAY_AUTH_TOKEN", "set by RaySTER"),
    ("address-in-the-environment", with_ray({}, environment={"RAY_ADDRESS": "x"}), "environment.RAY_ADDRESS", "set by RaySTER"),
    ("launcher-in-the-environment", with_ray({}, environment={"RAYSTER_RAY_CPUS": "9"}), "environment.RAYSTER_RAY_CPUS", "set by RaySTER"),
    ("cloud-head-at-a-site", cloud_data(ray={"version": "2.60.0", "workers": {"max": 1}, "head": {"place": "site"}}),
     "ray.head.place", "must be cloud"),
]  # fmt: skip


@pytest.mark.parametrize("profile,path,reason", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_cannot_be_is_refused_where_it_stands(profile, path, reason):
    assert reason in mistakes_of(profile)[f"profiles.0.{path}"]


def test_all_mistakes_are_told_at_once_each_with_its_line():
    data = with_ray(
        {"version": "1.0.0", "workers": {"max": 0}, "queue": "a b", "object_store": "9Gi"}, **SITE
    )
    with pytest.raises(ProfilesError) as refused:
        parse_profiles(yaml.safe_dump({"profiles": [data]}))
    paths = {mistake.path for mistake in refused.value.mistakes}
    assert paths >= {f"profiles.0.ray.{name}" for name in ("version", "workers.max", "queue")}
    assert all(mistake.line > 1 for mistake in refused.value.mistakes)


def test_other_mistakes_hide_none_of_rays():
    found = mistakes_of(with_ray({}, **SITE, title=5))
    assert {"profiles.0.title", "profiles.0.ray.shared_directory"} <= set(found)


RIGHT = [
    ("least", with_ray({})),
    ("most", with_ray({"node_network": "127.60.0.0/16", "plasma_directory": "/dev/shm", "idle": None, "queue": "q",
                       "object_store": "512Mi", "limits": {"clusters_per_user": None}})),
    ("site", with_ray({"shared_directory": "/work/ray/{username}"}, **SITE)),
    ("file-images-with-a-head-of-its-own", with_ray({"head": {"image": "r:1"}}, images=[{**IMAGES[0], "image": "/opt/l.sif"}])),
    ("cloud", cloud_data(ray={"version": "2.52.0", "workers": {"max": 1}})),
]  # fmt: skip


@pytest.mark.parametrize("data", [row[1] for row in RIGHT], ids=[row[0] for row in RIGHT])
def test_what_can_be_is_taken_by_models_and_schema(data):
    assert mistakes_of(data) == {}
    jsonschema.Draft202012Validator(profiles_schema()).validate({"profiles": [data]})


def test_a_profile_says_nothing_of_ray_unless_it_has_workers():
    assert Profile.model_validate(profile_data()).ray is None


def test_the_defaults_are_those_that_are_written_down():
    ray = Profile.model_validate(with_ray({})).ray
    assert (ray.workers.min, ray.workers.default, ray.head.cpu, ray.head.memory) == (0, 1, 1, 2048)
    assert (ray.idle.stop_after, ray.idle.warn_before, ray.head_wait) == (60, 10, 15)
    assert (ray.failures_in_a_row, ray.limits.clusters_per_user, ray.limits.workers_per_user) == (3, 2, None)
    assert ray.bash_env == "/opt/rayster/skip-gcs-wait.sh"


@pytest.mark.parametrize(
    "data,place",
    [
        (with_ray({}), "cloud"),
        (with_ray({"head": {"place": "site"}}), "site"),
        (with_ray({"shared_directory": "/w"}, **SITE), "site"),
        (cloud_data(ray={"version": "2.60.0", "workers": {"max": 1}}), "cloud"),
    ],
    ids=["direct", "direct-at-the-site", "site", "cloud"],
)
def test_the_head_is_where_its_nodes_reach_it(data, place):
    assert Profile.model_validate(data).ray_head_place == place


def test_the_schema_requires_what_the_models_require():
    without_version, without_maximum = with_ray({}), with_ray({"workers": {"default": 1}})
    del without_version["ray"]["version"]
    validator = jsonschema.Draft202012Validator(profiles_schema())
    for data in (without_version, without_maximum):
        assert list(validator.iter_errors({"profiles": [data]})) and mistakes_of(data)
