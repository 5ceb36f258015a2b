"""What is asked of a head before Ray is started, by workers and by notebooks."""

import time
from dataclasses import replace

import pytest
from rayster_lab import attachment
from rayster_lab.launcher import gcs, rendezvous, versions, waiting
from rayster_lab.launcher.failures import ExitCode, LaunchError
from rayster_lab.launcher.settings import NodeSettings

# A sentence must come before a user wonders; a refused connection answers at once.
SOON_SECONDS = 3.0


def target(fake_gcs, **other):
    return attachment.AttachTarget(
        **{"cluster": "ray-a", "network": "direct", "token": fake_gcs.token, "address": fake_gcs.address}
        | other
    )


def write_rendezvous(path, address, cluster="ray-a"):
    rendezvous.write(
        path,
        rendezvous.Rendezvous(
            cluster,
            address,
            address,
            "ray-a-head",
            time.time(),
            versions.own_ray() or "",
            versions.own_python(),
        ),
    )


def test_a_head_that_fits_is_taken(fake_gcs):
    waiting.check_head(fake_gcs.address, fake_gcs.token)


def test_a_worker_with_a_wrong_token_says_so(fake_gcs):
    with pytest.raises(LaunchError, match="token") as error:
        waiting.check_head(fake_gcs.address, "wrong")

    assert error.value.code == ExitCode.TOKEN_REFUSED


@pytest.mark.parametrize(
    ("other", "words"),
    [
        pytest.param({"ray": "2.9.0"}, f"Ray is {versions.own_ray()} here and 2.9.0 there", id="Ray"),
        pytest.param(
            {"python": "3.9.1"}, f"Python is {versions.own_python()} here and 3.9.1 there", id="Python"
        ),
    ],
)
def test_a_worker_with_another_version_says_which(fake_gcs, other, words):
    vars(fake_gcs).update(other)

    with pytest.raises(LaunchError) as error:
        waiting.check_head(fake_gcs.address, fake_gcs.token)

    assert error.value.code == ExitCode.VERSIONS_DIFFER
    assert words in str(error.value)


def test_somebody_else_behind_the_port_is_no_head(fake_gcs, unused_tcp_port):
    with pytest.raises(gcs.NoAnswer):
        gcs.ask(f"127.0.0.1:{unused_tcp_port}", None, timeout_seconds=0.5)


def test_a_worker_waits_until_the_head_has_said_where_it_is(fake_gcs, tmp_path):
    settings = NodeSettings(
        network="site", cluster="ray-a", rendezvous=str(tmp_path / "s" / "ray-a.json"), token=fake_gcs.token
    )
    calls = []

    def alive():
        calls.append(1)
        if len(calls) == 3:
            write_rendezvous(tmp_path / "s" / "ray-a.json", fake_gcs.address)

    assert waiting.wait_for_head(settings, alive).address == fake_gcs.address


def test_a_worker_passes_over_the_file_of_another_cluster(fake_gcs, tmp_path):
    path = tmp_path / "s" / "ray-a.json"
    write_rendezvous(path, fake_gcs.address, cluster="ray-b")

    assert waiting.find_head(NodeSettings(network="site", cluster="ray-a", rendezvous=str(path))) is None


def test_a_worker_finds_a_direct_head_by_its_name():
    settings = NodeSettings(gcs_host="localhost", gcs_port=20001)

    assert waiting.find_head(settings) == waiting.Head("127.0.0.1", 20001)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(
            NodeSettings(network="site", rendezvous="/nowhere/ray-a.json"),
            "/nowhere/ray-a.json was not written",
            id="no file",
        ),
        pytest.param(
            NodeSettings(gcs_host="head.invalid", gcs_port=20001), "head.invalid has no address", id="no name"
        ),
        pytest.param(
            NodeSettings(gcs_host="127.66.9.9", gcs_port=20001), "127.66.9.9:20001", id="nobody listens"
        ),
    ],
)
def test_a_worker_without_a_head_ends_in_time_and_says_what_it_looked_for(settings, words):
    began = time.monotonic()

    with pytest.raises(LaunchError) as error:
        waiting.wait_for_head(replace(settings, head_wait_seconds=0.3))

    assert error.value.code == ExitCode.HEAD_NOT_THERE
    assert words in str(error.value)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("gcs_other", "target_other", "expected", "words"),
    [
        pytest.param(
            {}, {"token": "wrong"}, attachment.TokenRefused, "does not take the token", id="wrong token"
        ),
        pytest.param({"ray": "2.9.0"}, {}, attachment.VersionsDiffer, "2.9.0 there", id="another Ray"),
        pytest.param({"python": "3.9.1"}, {}, attachment.VersionsDiffer, "3.9.1 there", id="another Python"),
    ],
)
def test_a_notebook_that_does_not_fit_is_told_soon(fake_gcs, gcs_other, target_other, expected, words):
    vars(fake_gcs).update(gcs_other)
    began = time.monotonic()

    with pytest.raises(expected, match=words):
        attachment.attach(target(fake_gcs, **target_other))

    assert time.monotonic() - began < SOON_SECONDS


def test_a_notebook_without_ray_is_told_in_a_sentence(fake_gcs, monkeypatch):
    monkeypatch.setattr(versions, "own_ray", lambda: None)

    with pytest.raises(attachment.NoRay, match="choose a kernel or an image with Ray"):
        attachment.attach(target(fake_gcs))


def test_a_token_is_not_shown_with_its_target(fake_gcs):
    assert fake_gcs.token not in repr(target(fake_gcs))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"cluster": "a", "network": "site", "token": "t"}, id="no place"),
        pytest.param({"cluster": "a", "network": "site", "token": 1, "rendezvous": "/x"}, id="wrong type"),
    ],
)
def test_an_answer_of_the_service_that_makes_no_sense_is_refused(answer):
    with pytest.raises(attachment.AttachError, match="does not say how to attach"):
        attachment.AttachTarget.from_json(answer)


def test_what_a_newer_service_adds_to_its_answer_is_left():
    answer = {
        "cluster": "a",
        "network": "direct",
        "token": "t",
        "address": "10.0.0.1:20001",
        "colour": "red",
        "session": None,
    }

    assert attachment.AttachTarget.from_json(answer).address == "10.0.0.1:20001"
