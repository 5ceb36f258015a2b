"""The `sites:` of a profiles file: what it may say, every mistake with its line, and the published schema."""

from typing import Any

import jsonschema
import pytest
import yaml

from rayster_spawner.profile_files import ProfilesError, parse_profiles, validate_profiles
from rayster_spawner.profiles import profiles_schema

AGENT = {"url": "https://edge.example.org:8182", "token_file": "/etc/rayster/padova"}
PROFILE: dict[str, Any] = {
    "name": "padova",
    "title": "Padova",
    "site": "padova",
    "scheduler": "slurm",
    "cpu": {"max": 16, "default": 2},
    "memory": {"max": "64Gi", "default": "4Gi"},
    "walltime": {"max": "48h", "default": "4h"},
    "images": [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}],
}


def content(sites: Any, *profiles: dict[str, Any]) -> dict[str, Any]:
    return {"sites": sites, "profiles": list(profiles) or [PROFILE]}


def test_a_hub_without_sites_has_none():
    profiles, _ = validate_profiles({"profiles": [PROFILE]})
    assert profiles.sites == {}


@pytest.mark.parametrize(
    "agent",
    [
        AGENT,
        {"url": "http://10.0.0.7:8182/agent", "token_env": "PADOVA_TOKEN"},
        {**AGENT, "ca_file": "/etc/ssl/padova.pem"},
    ],
    ids=["token-file", "token-env", "own-certificates"],
)
def test_a_site_names_its_agent(agent):
    # when
    profiles, mistakes = validate_profiles(content({"padova": {"agent": agent}}))
    # then
    assert not mistakes
    assert profiles.sites["padova"].agent.url == agent["url"]
    jsonschema.Draft202012Validator(profiles_schema()).validate(content({"padova": {"agent": agent}}))


def test_a_profile_that_chooses_nodes_by_labels_is_its_own_site():
    # given
    profile = {**PROFILE, "name": "by-labels", "site": {"example.org/cluster": "x"}}
    # when
    profiles, mistakes = validate_profiles(content({"by-labels": {"agent": AGENT}}, profile))
    # then
    assert not mistakes
    assert list(profiles.sites) == ["by-labels"]


BAD_SITES = [
    ("not-a-mapping", [], "sites", "must be a mapping"),
    ("site-not-a-mapping", {"padova": None}, "sites.padova", "must be a mapping"),
    ("no-agent", {"padova": {}}, "sites.padova.agent", "is required"),
    ("unknown-key", {"padova": {"agent": AGENT, "agnet": 1}}, "sites.padova.agnet", "did you mean agent?"),
    ("unknown-key-of-agent", {"padova": {"agent": {**AGENT, "tokenfile": "/x"}}}, "sites.padova.agent.tokenfile",
     "known are url, token_file, token_env, ca_file; did you mean token_file?"),
    ("no-url", {"padova": {"agent": {"token_file": "/x"}}}, "sites.padova.agent.url", "is required"),
    ("url-without-scheme", {"padova": {"agent": {**AGENT, "url": "edge:8182"}}}, "sites.padova.agent.url",
     "must be a web address"),
    ("url-with-password", {"padova": {"agent": {**AGENT, "url": "https://a:b@edge"}}}, "sites.padova.agent.url",
     "without user names"),
    ("no-token", {"padova": {"agent": {"url": AGENT["url"]}}}, "sites.padova.agent.token_file",
     "is required, or token_env"),
    ("two-tokens", {"padova": {"agent": {**AGENT, "token_env": "X"}}}, "sites.padova.agent.token_env",
     "beside token_file"),
    ("relative-file", {"padova": {"agent": {**AGENT, "token_file": "x"}}}, "sites.padova.agent.token_file",
     "an absolute path"),
    ("bad-variable", {"padova": {"agent": {"url": AGENT["url"], "token_env": "A B"}}},
     "sites.padova.agent.token_env", "a variable name"),
    ("no-such-site", {"padva": {"agent": AGENT}}, "sites.padva", "known are padova; did you mean padova?"),
    ("cloud", {"cloud": {"agent": AGENT}}, "sites.cloud", "has no batch system"),
    ("bad-name", {"Padova!": {"agent": AGENT}}, "sites.Padova!", "the name of a node"),
]  # fmt: skip


@pytest.mark.parametrize(
    "sites,path,reason", [row[1:] for row in BAD_SITES], ids=[row[0] for row in BAD_SITES]
)
def test_a_mistake_names_its_path_and_what_is_allowed(sites, path, reason):
    # when
    profiles, mistakes = validate_profiles(content(sites))
    # then
    found = {".".join(map(str, mistake.path)): mistake.reason for mistake in mistakes}
    assert profiles is None
    assert path in found and reason in found[path], found


@pytest.mark.parametrize("sites", [row[1] for row in BAD_SITES if row[0] not in ("no-such-site", "cloud")])
def test_the_schema_refuses_what_the_models_refuse(sites):
    assert list(jsonschema.Draft202012Validator(profiles_schema()).iter_errors(content(sites)))


def test_every_mistake_stands_on_its_line_also_beside_a_broken_profile():
    # given
    text = yaml.safe_dump(
        {
            "sites": {"padova": {"agent": {"url": "edge"}}, "padua": {"agent": AGENT}},
            "profiles": [{**PROFILE, "cpu": {"max": "x", "default": 2}}],
        },
        sort_keys=False,
    )
    # when
    with pytest.raises(ProfilesError) as refused:
        parse_profiles(text, "p.yaml")
    # then
    lines = text.splitlines()
    said = {mistake.path: lines[mistake.line - 1].strip() for mistake in refused.value.mistakes}
    assert said == {
        "sites.padova.agent.url": "url: edge",
        "sites.padova.agent.token_file": "agent:",
        "sites.padua": "padua:",
        "profiles.0.cpu.max": "max: x",
    }
