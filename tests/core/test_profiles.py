"""The admin's model: what it refuses, where it says so, and that the shipped set is right."""

import itertools
import json
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from rayster_spawner.profile_files import ProfilesError, load_profiles, parse_profiles, validate_profiles
from rayster_spawner.profiles import Profile, ProfileSet, profiles_schema

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
    ("mount-as-number", {"mounts": [{"source": "/a", "target": 5}]}, "profiles.0.mounts.0.target", "must be text"),
    ("home-as-number", {"home": {"path": 7}}, "profiles.0.home.path", "must be text"),
    ("cvmfs-as-list", {"cvmfs": [{"name": "c", "mount_path": []}]}, "profiles.0.cvmfs.0.mount_path", "must be text"),
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
    ("short-name-of-a-flag-of-ours", {"slurm": {"extra_flags": ["--part=x"]}}, "profiles.0.slurm.extra_flags.0", "use slurm.partition"),
    ("short-name-of-a-flag-that-breaks", {"slurm": {"extra_flags": ["--exclusive", "--wra=x"]}},
     "profiles.0.slurm.extra_flags.1", "would break"),
    ("flag-twice", {"slurm": {"extra_flags": ["--exclude=a", "--exclude=b"]}}, "profiles.0.slurm.extra_flags.1", "twice"),
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
    ("another-node", {"node_labels": {"kubernetes.io/hostname": "b"}}, "profiles.0.node_labels.kubernetes.io/hostname", "use site"),
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
    ("toleration-of-any-value", {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
     "profiles.0.tolerations.0.value", "left out"),
    ("toleration-of-no-key", {"tolerations": [{"key": "a"}, {"value": "x"}]}, "profiles.0.tolerations.1.key", "required"),
    ("toleration-for-a-while", {"tolerations": [{"key": "a", "tolerationSeconds": 5, "effect": "NoSchedule"}]},
     "profiles.0.tolerations.0.tolerationSeconds", "NoExecute"),
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
    "change,path,said",
    [
        ({"site": "A B"}, "site", "'A B': must be cloud, the name of a virtual node (lower-case letters, digits, - .), or"),
        ({"site": None}, "site", "is required"),
        ({"home": "nfs"}, "home", "'nfs': must be pvc, or a mapping with the path of a directory at the site"),
        ({"scheduler": "slrum"}, "scheduler", "'slrum': must be slurm, htcondor or none; did you mean slurm?"),
        ({"cpu": {"max": "4", "default": 1}}, "cpu.max", "'4': must be a number, without quotes"),
        ({"cpu": {"max": True, "default": 1}}, "cpu.max", "true: must be a number"),
        ({"cpu": {"max": 5000, "default": 1}}, "cpu.max", "5000: must be at most 4096"),
        ({"memory": {"max": "4Gi", "default": "8Gi"}}, "memory.default", "'8Gi': must be between min (1 GiB) and max (4 GiB)"),
        ({"walltime": {"max": "0m", "default": "1h"}}, "walltime.max", "'0m': must be more than 0"),
        ({"images": []}, "images", "a list of 0: must have at least 1 entry"),
        ({"environment": {"A": 1}}, "environment.A", "1: must be text; put it in quotes"),
        ({"slurm": {"extra_flags": "--x"}}, "slurm.extra_flags", "'--x': must be a list"),
        ({"access": {"groups": ["x\n"]}}, "access.groups.0", "'x\\n': must be text on one line, without control characters"),
        ({"network": {"mode": "site", "tunnel_ports": [{"port": 6006, "name": "A"}]}}, "network.tunnel_ports.0.name",
         "'A': must be at most 15 lower-case letters, digits and -, beginning with a letter"),
        ({"hub_url": "hub.example.org"}, "hub_url",
         "'hub.example.org': must be a web address such as https://hub.example.org, without user names, queries or spaces"),
        ({"mounts": [{"source": "/a", "read_only": "yes"}]}, "mounts.0.read_only", "'yes': must be true or false"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_in_plain_words(change, path, said):
    with pytest.raises(ProfilesError) as caught:
        parse_profiles(yaml.safe_dump({"profiles": [profile_data(**change)]}), "f")
    lines = [line for line in str(caught.value).splitlines() if f": profiles.0.{path}: " in line]
    assert len(lines) == 1
    assert lines[0].split(f"profiles.0.{path}: ")[1].startswith(said)


# Words of the library that validates, or of regular expressions.
JARGON = (
    "validation",
    "Input",
    "Value",
    "valid ",
    "should",
    "pattern",
    "^",
    "\\",
    "[A-Z",
    "pydantic",
    "instance",
    "dictionary",
)


@pytest.mark.parametrize(
    "nonsense", [None, "", "\n", "é;$(id)", 0, -1, 1.5, True, [], ["\n"], {}, {"a b": "c;d"}, {"x": []}]
)
@pytest.mark.parametrize("make", [profile_data, cloud_data])
def test_no_nonsense_in_any_field_is_answered_with_jargon(make, nonsense):
    right = make()
    wrong = [{**right, field: nonsense} for field in Profile.model_fields]
    wrong += [
        {**right, field: {**value, inner: nonsense}}
        for field, value in right.items()
        if isinstance(value, dict)
        for inner in value
    ]
    for entry in wrong:
        _, mistakes = validate_profiles({"profiles": [entry]})
        for mistake in mistakes:
            assert not any(word in mistake.reason for word in JARGON), mistake
            assert mistake.path[:2] == ("profiles", 0)


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
    "wrong",
    [
        {"profiles": [profile_data(site="x\x1b[2J")], "sites": {"y": {"agent": 1}}},
        {"profiles": [{**profile_data(), "a\nb\x1b[2J": 1}]},
        {"profiles": [profile_data(environment={"a\nb\x1b[2J": "x"})]},
    ],
    ids=["site", "key", "name"],
)
def test_every_mistake_is_one_line_whatever_stands_in_the_file(wrong):
    with pytest.raises(ProfilesError) as caught:
        parse_profiles(json.dumps(wrong))
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.mistakes)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "text,reason",
    [
        ("", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("profiles: []", "at least 1"),
        ("profiles: [1]", "must be a mapping"),
        ("profiles: {a: 1}", "must be a list"),
        ("profiles: [", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "is not YAML"),
        ("\x00", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("custom: {rayster: 3}", "must be a mapping"),
        ("singleuser: {}", "profiles: is required, at the top or under custom.rayster$"),
        ("profile: []", "profile: is not a key here; did you mean profiles?"),
        ("a: 1\n---\nb: 1", ":2: holds more than one YAML document"),
        ("? [a]\n: 1", ":1: is not YAML: a key that is not text"),
        ("profiles:\n- 1: x", ":2: profiles.0.1: 'x': is not a key here"),
        ("profiles:\n- null: x", ":2: profiles.0.null: 'x': is not a key here"),
        ("a: !!int x", "is not YAML: a value that does not fit its tag"),
        ("a: !!int ''", "is not YAML: a value that does not fit its tag"),
        ("a: !!timestamp 2001-13-41", "is not YAML: a value that does not fit its tag"),
        ('a: "\\UFFFFFFFF"', "is not YAML: an escape that stands for no character"),
        ("\ta: 1", ":1: is not YAML: found character"),
        ("profiles: &a [*a]", "must be a mapping"),
        ("profiles: [" + "1," * 50_000 + "]", "more than 50000 values"),
    ],
)
def test_a_file_of_nonsense_is_refused_with_a_reason(text, reason):
    with pytest.raises(ProfilesError, match=reason):
        parse_profiles(text)


def alias_bomb(line: str) -> str:
    """Return YAML whose last anchor holds 9 times as much as the one before, 20 times over."""
    names = [f"a{n}" for n in range(20)]
    return "a0: &a0 {k0: 1}\n" + "".join(
        line.format(name=name, nine=",".join([f"*{before}"] * 9))
        for before, name in itertools.pairwise(names)
    )


@pytest.mark.parametrize(
    "line", ["{name}: &{name} [{nine}]\n", "{name}: &{name} {{<<: [{nine}], {name}: 1}}\n"]
)
def test_a_bomb_of_aliases_costs_no_time(line):
    started = time.monotonic()
    with pytest.raises(ProfilesError):
        parse_profiles(alias_bomb(line) + "profiles: *a19\n")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("change", [
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b"custom:", b"---\ncustom:"),
    lambda text: b"hub: {config: {1: x, on: y}}\nproxy: &p {a: [1, 2]}\nother: *p\n" + text,
], ids=["crlf", "byte-order-mark", "document-start", "other-helm-values"])  # fmt: skip
def test_a_file_may_come_from_any_editor_and_hold_other_values(change):
    assert parse_profiles(change(SHIPPED.read_bytes())) == load_profiles(SHIPPED)


def test_profiles_may_share_anchors_and_merge_keys():
    text = """\
x: &amounts
  cpu: {max: 2, default: 1}
  memory: {max: 4Gi, default: 1Gi}
custom:
  rayster:
    profiles:
      - &a {<<: *amounts, name: a, title: A, site: cloud, images: &i [{name: x, title: X, image: x}]}
      - {<<: *a, name: b, title: B, cpu: {max: 8, default: 2}}
"""
    profiles = parse_profiles(text).profiles
    assert [(profile.name, profile.cpu.max) for profile in profiles] == [("a", 2), ("b", 8)]


@pytest.mark.parametrize(
    "text",
    ["a: 1\nb: 2\nc: é\n".encode("latin-1"), b"a: 1\nb: \xc3\xa9\nc: \x1b[2J\n", "a: 1\nb: 2\nc: \x00\n"],
    ids=["no UTF-8", "escape", "NUL"],
)
def test_a_character_that_yaml_does_not_know_has_a_line(text):
    with pytest.raises(ProfilesError) as caught:
        parse_profiles(text, "values.yaml")
    assert str(caught.value).startswith("values.yaml:3: is not YAML: unacceptable character")


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
