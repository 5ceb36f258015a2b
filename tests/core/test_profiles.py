"""The admin's model: what it refuses, where it says so, and that the shipped set is right."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from rayster_spawner.profile_files import ProfilesError, load_profiles, parse_profiles
from rayster_spawner.profiles import ProfileSet, profiles_schema

from .conftest import cloud_data, mistakes_of, profile_data

SHIPPED = Path(__file__).parents[2] / "helm-values" / "profiles.yaml"


def test_the_shipped_set_has_the_five_sites():
    names = [profile.name for profile in load_profiles(SHIPPED).profiles]
    assert names == ["cloud", "leonardo-gpu", "leonardo-cpu", "padova-slurm", "infn-t1-htcondor"]


def test_the_shipped_set_fits_the_published_schema():
    content = yaml.safe_load(SHIPPED.read_text())["custom"]["rayster"]
    jsonschema.Draft202012Validator(profiles_schema()).validate(content)


def test_the_schema_refuses_what_the_models_refuse():
    validator = jsonschema.Draft202012Validator(profiles_schema())
    for bad in (
        {"descripton": "x"},
        {"name": "Bad Name"},
        {"environment": {"A;B": "x"}},
        {"memory": {"max": 4}},
    ):
        assert list(validator.iter_errors({"profiles": [profile_data(**bad)]})), bad


def test_the_raw_texts_say_so_in_the_schema():
    properties = profiles_schema()["$defs"]["Profile"]["properties"]
    assert "RUN AS IT IS" in properties["pre_exec"]["description"]
    json.dumps(profiles_schema())


BAD_FIELDS = [
    ("unknown-key", {"descripton": "x"}, "profiles.0.descripton", "did you mean description?"),
    ("image-with-shell", {"images": [{"name": "a", "title": "A", "image": "busybox; touch X"}]},
     "profiles.0.images.0.image", "must be an image reference"),
    ("image-with-newline", {"images": [{"name": "a", "title": "A", "image": "busybox\n"}]},
     "profiles.0.images.0.image", "must be an image reference"),
    ("image-path-not-sif", {"images": [{"name": "a", "title": "A", "image": "/opt/x"}]},
     "profiles.0.images.0.image", "must be the absolute path of a .sif file"),
    ("no-images", {"images": []}, "profiles.0.images", "at least 1"),
    ("mount-with-shell", {"mounts": [{"source": "/mnt/$(id)"}]}, "profiles.0.mounts.0.source", "an absolute path"),
    ("mount-with-dots", {"mounts": [{"source": "/a/../etc"}]}, "profiles.0.mounts.0.source", "'..'"),
    ("mount-relative", {"mounts": [{"source": "a"}]}, "profiles.0.mounts.0.source", "an absolute path"),
    ("mounted-twice", {"mounts": [{"source": "/a"}, {"source": "/b", "target": "/a"}]},
     "profiles.0.mounts.1.target", "twice"),
    ("environment-name", {"environment": {"A;touch X;B": "1"}}, "profiles.0.environment.A;touch X;B", "a variable name"),
    ("environment-of-the-hub", {"environment": {"JUPYTERHUB_API_TOKEN": "1"}},
     "profiles.0.environment.JUPYTERHUB_API_TOKEN", "set by the hub"),
    ("partition-with-newline", {"slurm": {"partition": "a\n#SBATCH --wrap=x"}}, "profiles.0.slurm.partition", "one word"),
    ("partition-with-space", {"slurm": {"partition": "a b"}}, "profiles.0.slurm.partition", "one word"),
    ("gres-without-count", {"slurm": {"gres": "gpu:a100"}}, "profiles.0.slurm.gres", "gpu:a100:{n}"),
    ("flag-with-quotes", {"slurm": {"extra_flags": ['--comment="a\nb"']}}, "profiles.0.slurm.extra_flags.0", "sbatch option"),
    ("flag-of-ours", {"slurm": {"extra_flags": ["--time=1"]}}, "profiles.0.slurm.extra_flags.0", "use walltime"),
    ("flag-that-breaks", {"slurm": {"extra_flags": ["--job-name=x"]}}, "profiles.0.slurm.extra_flags.0", "would break"),
    ("apptainer-option-with-shell", {"apptainer_options": ["--nv;id"]}, "profiles.0.apptainer_options.0", "one word"),
    ("annotation-of-ours", {"annotations": {"slurm-job.vk.io/flags": "--x"}},
     "profiles.0.annotations.slurm-job.vk.io/flags", "use slurm"),
    ("annotation-with-shell", {"annotations": {"slurm-job.vk.io/image-root": "$(id)"}},
     "profiles.0.annotations.slurm-job.vk.io/image-root", "site's shell"),
    ("annotation-as-option", {"annotations": {"slurm-job.vk.io/image-root": "x --uid=0"}},
     "profiles.0.annotations.slurm-job.vk.io/image-root", "site's shell"),
    ("pod-ip-with-shell", {"annotations": {"interlink.eu/pod-ip": "127.0.0.1; id"}},
     "profiles.0.annotations.interlink.eu/pod-ip", "IPv4"),
    ("no-walltime", {"walltime": None}, "profiles.0.walltime", "required"),
    ("walltime-without-unit", {"walltime": {"max": 4, "default": "1h"}}, "profiles.0.walltime.max", "a duration"),
    ("default-above-max", {"cpu": {"max": 2, "default": 8}}, "profiles.0.cpu.default", "between min"),
    ("min-above-max", {"memory": {"min": "8Gi", "max": "4Gi", "default": "4Gi"}}, "profiles.0.memory.min", "above max"),
    ("half-a-core", {"cpu": {"max": 2.5, "default": 1}}, "profiles.0.cpu.max", "whole number"),
    ("core-nan", {"cpu": {"max": float("nan"), "default": 1}}, "profiles.0.cpu.max", "finite"),
    ("core-text", {"cpu": {"max": "many", "default": 1}}, "profiles.0.cpu.max", "number"),
    ("pvc-on-hpc", {"home": "pvc"}, "profiles.0.home", "interLink drops volume claims"),
    ("tunnel-without-site", {"network": {"mode": "direct", "tunnel_ports": [{"port": 6006, "name": "tb"}]}},
     "profiles.0.network.tunnel_ports", "needs network.mode: site"),
    ("linux-node", {"node_labels": {"kubernetes.io/os": "linux"}}, "profiles.0.node_labels.kubernetes.io/os", "never has"),
    ("gpu-on-htcondor", {"scheduler": "htcondor", "slurm": None}, "profiles.0.gpu", "cannot ask for GPUs"),
    ("slurm-on-htcondor", {"scheduler": "htcondor", "gpu": None}, "profiles.0.slurm", "htcondor"),
    ("two-defaults", {"images": [{"name": n, "title": n, "image": n, "default": True} for n in "ab"]},
     "profiles.0.images.1.default", "only one"),
    ("one-image-name-twice", {"images": [{"name": "a", "title": n, "image": n} for n in "ab"]},
     "profiles.0.images.1.name", "more than one"),
    ("annotation-of-interlink", {"annotations": {"JobID": "7"}}, "profiles.0.annotations.JobID", "written by interLink"),
    ("annotation-of-the-hub", {"annotations": {"rayster.dev/spawn-id": "7"}},
     "profiles.0.annotations.rayster.dev/spawn-id", "written by the hub"),
    ("command-of-interlink", {"annotations": {"interlink.eu/wstunnel-client-commands": "touch /tmp/x"}},
     "profiles.0.annotations.interlink.eu/wstunnel-client-commands", "written by interLink"),
    ("annotation-of-another-plugin", {"annotations": {"job.vk.io/options": "$(id)"}},
     "profiles.0.annotations.job.vk.io/options", "site's shell"),
    ("texts-too-long", {"pre_exec": "x" * 60000, "annotations": {f"a{n}": "x" * 8192 for n in range(20)}},
     "profiles.0.annotations", "is too long"),
    ("environment-too-long", {"environment": {f"A{n}": "x" * 32768 for n in range(9)}}, "profiles.0.environment", "too long"),
    ("tunnel-port-twice", {"network": {"mode": "site", "tunnel_ports": [{"port": 6006, "name": n} for n in "ab"]}},
     "profiles.0.network.tunnel_ports.1.port", "taken"),
    ("tunnel-name-of-the-server", {"network": {"mode": "site", "tunnel_ports": [{"port": 6006, "name": "notebook-port"}]}},
     "profiles.0.network.tunnel_ports.0.name", "taken"),
    ("home-without-batch", {"scheduler": "none", "slurm": None, "home": {"path": "/x"},
     "images": [{"name": "a", "title": "A", "image": "a"}]}, "profiles.0.home", "is for batch systems"),
    ("image-that-htcondor-runs-bare", {"scheduler": "htcondor", "slurm": None, "gpu": None,
     "images": [{"name": "a", "title": "A", "image": "localhost:5000/a"}]}, "profiles.0.images.0.image", "host"),
    ("hub-url", {"hub_url": "javascript:alert(1)"}, "profiles.0.hub_url", "must be"),
]  # fmt: skip


@pytest.mark.parametrize(
    "change,path,reason", [row[1:] for row in BAD_FIELDS], ids=[row[0] for row in BAD_FIELDS]
)
def test_a_mistake_names_its_path_and_what_is_allowed(change, path, reason):
    mistakes = mistakes_of(profile_data(**change))
    assert path in mistakes, mistakes
    assert reason in mistakes[path]
    assert len(mistakes) == 1


@pytest.mark.parametrize(
    "change,path",
    [
        ({"scheduler": "slurm", "walltime": {"max": "1h", "default": "1h"}}, "profiles.0.scheduler"),
        ({"pre_exec": "echo hi"}, "profiles.0.pre_exec"),
        ({"mounts": [{"source": "/a"}]}, "profiles.0.mounts"),
        ({"home": {"path": "/home/x"}}, "profiles.0.home"),
        ({"network": {"mode": "site"}}, "profiles.0.network.mode"),
        ({"cpu": {"max": 2, "default": 0.12345}}, "profiles.0.cpu.default"),
        ({"images": [{"name": "a", "title": "A", "image": "/a/b.sif"}]}, "profiles.0.images.0.image"),
    ],
)
def test_the_cloud_refuses_what_only_a_batch_site_can_do(change, path):
    assert path in mistakes_of(cloud_data(**change))


def test_all_mistakes_come_at_once_each_with_its_line():
    text = """\
custom:
  rayster:
    profiles:
      - name: a
        title: A
        site: cloud
        scheduler: slurm
        cpu: {max: 2, default: 8}
        memory: {max: 4, default: 1Gi}
        images: [{name: x, title: X, image: "busybox; id"}]
        titel: again
      - name: a
        title: B
        site: cloud
        cpu: {max: 2, default: 1}
        memory: {max: 4Gi, default: 1Gi}
        images: [{name: x, title: X, image: x}]
        title: C
"""
    with pytest.raises(ProfilesError) as caught:
        parse_profiles(text, "values.yaml")
    found = {
        (mistake.line, mistake.path.removeprefix("custom.rayster.")) for mistake in caught.value.mistakes
    }
    assert found == {
        (4, "profiles.0.walltime"),
        (4, "profiles.0.name"),
        (7, "profiles.0.scheduler"),
        (8, "profiles.0.cpu.default"),
        (9, "profiles.0.memory.max"),
        (10, "profiles.0.images.0.image"),
        (11, "profiles.0.titel"),
        (12, "profiles.1.name"),
        (18, "profiles.1.title"),
    }
    assert all(line.startswith("values.yaml:") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    "text,reason",
    [
        ("", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("profiles: []", "at least 1"),
        ("profiles: [1]", "must be a mapping"),
        ("profiles: {a: 1}", "must be a valid list"),
        ("profiles: [", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "is not YAML"),
        ("\x00", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("custom: {rayster: 3}", "must be a mapping"),
        ("singleuser: {}", "profiles"),
    ],
)
def test_a_file_of_nonsense_is_refused_with_a_reason(text, reason):
    with pytest.raises(ProfilesError, match=reason):
        parse_profiles(text)


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path):
    with pytest.raises(ProfilesError, match="No such file"):
        load_profiles(tmp_path / "none.yaml")


def test_hours_are_not_read_as_base_sixty():
    # In plain YAML 1.1, 24:00 is the number 1440 and `no` is false.
    profiles = parse_profiles(
        yaml.safe_dump({"profiles": [profile_data(title="no")]}).replace("48h", "48:00").replace("'no'", "no")
    )
    assert profiles.profiles[0].walltime.max == 48 * 60
    assert profiles.profiles[0].title == "no"


def test_access_is_by_group_or_user_and_empty_means_all():
    def closed(**access):
        return profile_data(access=access)

    profiles = ProfileSet.model_validate(
        {"profiles": [cloud_data(), closed(groups=["herd"]), {**closed(users=["ada"]), "name": "hers"}]}
    )

    def names(user, groups):
        return [profile.name for profile in profiles.allowed(user, frozenset(groups))]

    assert names("bob", []) == ["cloud"]
    assert names("bob", ["herd"]) == ["cloud", "padova"]
    assert names("ada", []) == ["cloud", "hers"]
