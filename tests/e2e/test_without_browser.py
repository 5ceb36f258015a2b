"""From login to Python inside a batch job over HTTP alone, with each batch system: runs where no browser is."""

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayster_testbed.slurm import programs
from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .hub_client import PADOVA, PRINT_JOB, HubUser, wait_for

CLOUD = {"profile": "cloud", "cpu": 0.5}
# jupyterhub_config.py's; a hub that counted refusals would end.
CONSECUTIVE_FAILURE_LIMIT = 5

BATCH_SYSTEMS = [pytest.param("queue", id="built-in")]
if not programs.missing():
    BATCH_SYSTEMS.append(pytest.param("slurm", id="slurm", marks=pytest.mark.slurm))


@pytest.fixture(scope="module", params=BATCH_SYSTEMS)
def demo(request: pytest.FixtureRequest, profiles_file: Path) -> Iterator[Testbed]:
    """The demo with either batch system; the one that it takes by itself is the other tests' too."""
    if request.param == "slurm" or programs.missing():
        yield request.getfixturevalue("testbed")
        return
    state_dir = Path(tempfile.mkdtemp(prefix="rayster-"))
    with Testbed(state_dir, hub=True, batch=request.param, profiles=profiles_file) as running:
        yield running
    if not os.environ.get("RAYSTER_KEEP_STATE"):
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest.fixture
def clean(demo: Testbed) -> Iterator[Testbed]:
    """The demo without servers; nothing is left of them afterwards."""
    assert (demo.cluster.pods("rayster"), jobs(demo)) == ([], [])
    yield demo
    for name in demo.users:
        person = HubUser(demo, name)
        for server in person.ask("GET", f"/users/{name}").json()["servers"]:
            person.server(server).stop()
    wait_for(lambda: not demo.cluster.pods("rayster"), "all pods are gone")
    wait_for(lambda: not jobs(demo), "all jobs are gone")


@pytest.fixture
def ada(clean: Testbed) -> HubUser:
    """A user of every site, logged in."""
    return HubUser(clean, "ada")


@pytest.fixture
def bruno(clean: Testbed) -> HubUser:
    """A user without groups, logged in."""
    return HubUser(clean, "bruno")


def test_python_runs_inside_a_job_with_the_chosen_amounts(ada):
    server = ada.server()
    assert server.spawn(PADOVA).status_code in (201, 202)
    told = server.progress(60)
    assert told[-1].get("ready"), told
    (job,) = jobs(ada.testbed, "padova", "R")
    assert server.run(PRINT_JOB).split() == [job, "padova"]
    assert ada.testbed.slurm("squeue", "-h", "-j", job, "-o", "%C %l").split() == ["1", "30:00"]
    server.stop()
    wait_for(lambda: not jobs(ada.testbed), "squeue is empty")
    assert ada.testbed.cluster.pods("rayster") == []


def test_python_runs_in_the_cloud_without_a_job(ada):
    server = ada.server()
    assert server.spawn(CLOUD).status_code in (201, 202)
    server.wait_ready()
    assert server.run(PRINT_JOB).split() == ["None", "None"]
    assert jobs(ada.testbed) == []
    server.stop()
    assert ada.testbed.cluster.pods("rayster") == []


def test_named_server_runs_beside_the_default_one(ada):
    default, named = ada.server(), ada.server("beside")
    for server, options in ((default, PADOVA), (named, CLOUD)):
        assert server.spawn(options).status_code in (201, 202)
    for server in (default, named):
        server.wait_ready()
    (job,) = jobs(ada.testbed, "padova")
    assert default.run(PRINT_JOB).split() == [job, "padova"]
    assert named.run(PRINT_JOB).split() == ["None", "None"]
    named.stop()
    assert default.run(PRINT_JOB).split() == [job, "padova"]


def test_two_users_at_once_are_apart(ada, bruno):
    together = threading.Barrier(2, timeout=30)

    def work(server, options):
        together.wait()
        assert server.spawn(options).status_code in (201, 202)
        server.wait_ready()
        return server.run(PRINT_JOB).split()

    with ThreadPoolExecutor(2) as pool:
        in_job = pool.submit(work, ada.server(), PADOVA)
        in_cloud = pool.submit(work, bruno.server(), CLOUD)
    assert in_job.result() == [*jobs(ada.testbed, "padova"), "padova"]
    assert in_cloud.result() == ["None", "None"]
    assert bruno.page("/user/ada/lab").status_code == 403
    assert ada.page("/user/bruno/lab").status_code == 403


def padova(**options: Any) -> dict[str, Any]:
    return {**PADOVA, **options}


# JupyterHub 6 refuses these itself, RaySTER does on 5.
NO_OBJECT = ("options", "Body must be a JSON object")
# what is sent, the field that the answer must name
HOSTILE = {
    "list": (["padova-slurm"], NO_OBJECT),
    "text": ('"padova-slurm"', NO_OBJECT),
    "number": ("7", NO_OBJECT),
    "true": ("true", NO_OBJECT),
    "nested": (padova(cpu={"cpu": {"cpu": 1}}), "cpu"),
    "deep": ('{"profile": ' + "[" * 500 + "]" * 500 + "}", "profile"),
    "huge int": (padova(cpu=10**400), "cpu"),
    "not a number": ('{"profile": "padova-slurm", "cpu": NaN}', "cpu"),
    "out of bounds": (padova(walltime="3000h"), "walltime"),
    "wrong type": (padova(memory=["1Gi"]), "memory"),
    "unknown key": (padova(slurm_flags="--uid=0"), "slurm_flags"),
    "KubeSpawner's own key": (padova(**{"image--unlisted-choice": "evil"}), "image--unlisted-choice"),
    "format specification": (padova(image="{username:>300000000}"), "image"),
    "shell": (padova(memory="$(touch /tmp/x)"), "memory"),
    "newline": (padova(walltime="01:00\n#SBATCH --wrap=x"), "walltime"),
    "no profile of that name": ({"profile": "nosuch"}, "profile"),
}


def test_hostile_options_are_refused_one_after_another_and_the_hub_lives(ada, clean):
    hub = clean.parts["hub"].pid
    assert len(HOSTILE) > 2 * CONSECUTIVE_FAILURE_LIMIT
    for what, (body, field) in HOSTILE.items():
        answer = ada.server().spawn(body)
        assert answer.status_code == 400, (what, answer.text)
        assert answer.json()["message"].startswith(field), (what, answer.text)
    assert (ada.server().model(), clean.cluster.pods("rayster"), jobs(clean)) == (None, [], [])
    assert clean.parts["hub"].pid == hub


def test_profile_of_another_group_is_refused_over_and_over(bruno, clean):
    hub = clean.parts["hub"].pid
    for _ in range(CONSECUTIVE_FAILURE_LIMIT + 2):
        answer = bruno.server().spawn({"profile": "leonardo-gpu"})
        assert answer.status_code == 403
        assert answer.json()["message"].startswith("profile: 'leonardo-gpu': ")
    assert (bruno.server().model(), clean.cluster.pods("rayster")) == (None, [])
    assert clean.parts["hub"].pid == hub


def test_vanished_profile_is_refused_also_when_it_was_the_last_choice(ada, clean):
    profiles = clean.layout.profiles
    before = profiles.read_text()
    content = yaml.safe_load(before)
    cloud = next(entry for entry in content["profiles"] if entry["name"] == "cloud")
    content["profiles"].append({**cloud, "name": "passing", "title": "Passing"})
    try:
        profiles.write_text(yaml.safe_dump(content))
        assert ada.server().spawn({"profile": "passing"}).status_code in (201, 202)
        ada.server().wait_ready()
        ada.server().stop()
    finally:
        profiles.write_text(before)
    for chosen in ({"profile": "passing"}, None):
        answer = ada.server().spawn(chosen)
        assert (answer.status_code, answer.json()["message"].partition(": ")[0]) == (400, "profile")
    assert clean.cluster.pods("rayster") == []


def test_spawn_link_shows_the_form_and_starts_nothing(ada, clean):
    page = ada.page("/hub/spawn?profile=padova-slurm&cpu=3&walltime=2h")
    assert page.ok and re.search(r'name="padova-slurm--cpu" value="3"', page.text)
    assert (ada.server().model(), clean.cluster.pods("rayster"), jobs(clean)) == (None, [], [])
