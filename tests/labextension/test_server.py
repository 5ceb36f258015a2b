"""The server extension in a real Jupyter server."""

import time

import pytest

PATH = "rayster/walltime"


@pytest.fixture(scope="module")
def server(start_server):
    """The server of a job that SLURM ends in an hour."""
    return start_server(SLURM_JOB_END_TIME=int(time.time()) + 3600)


def test_its_user_is_told_the_walltime(server):
    answer = server.get(PATH)
    assert answer.status_code == 200
    body = answer.json()
    assert 3600 - 120 < body.pop("seconds_left") <= 3600
    assert len(body.pop("run_id")) == 32
    assert body == {"is_exact": True, "source": "slurm"}


def test_the_name_of_the_run_stays(server):
    assert server.get(PATH).json()["run_id"] == server.get(PATH).json()["run_id"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "token wrong"}], ids=["no token", "wrong token"])
def test_nobody_else_is_told(server, headers):
    answer = server.get(PATH, headers=headers, allow_redirects=False)
    assert answer.status_code == 403
    assert "seconds_left" not in answer.text


def test_the_answer_is_not_kept_by_caches(server):
    assert server.get(PATH).headers["Cache-Control"] == "no-store"


def test_asking_does_not_keep_an_idle_server_from_being_culled(server):
    before = server.get("api/status").json()["last_activity"]
    server.get(PATH)
    assert server.get("api/status").json()["last_activity"] == before
