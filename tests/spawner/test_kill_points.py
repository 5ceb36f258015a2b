"""A hub that dies at any point of a spawn or a stop, twice in a row: one pod, one reachable server, counted throughout."""

import sqlite3
import threading
from contextlib import contextmanager, suppress

import pytest
import requests
from jupyterhub import orm
from sqlalchemy.orm import Session

from rayster_spawner.life.limits import accepted_servers

from .conftest import profiles_data
from .processes import wait_until

LIFE = "rayster_spawner.life"
# In the order of a spawn. The hub may answer the request from the first "accepted" one on.
BEFORE_ACCEPTED = {
    "asked for": f"after {LIFE}.resume:ResumedSpawn.clear_state",
    "options taken": f"before {LIFE}.spawn_life:SpawnLife.save_mark",
}
ACCEPTED = {
    "accepted": f"after {LIFE}.spawn_life:SpawnLife.save_mark",
    "watches started": f"after {LIFE}.pod_watch:PodWatch.watch_or_fail",
    "pod built": "after kubespawner.spawner:KubeSpawner.get_pod_manifest",
    "pod not asked for": f"before {LIFE}.pod_requests:PodRequests._make_create_pod_request",
    "answer about the pod lost": f"before {LIFE}.pod_requests:PodRequests._see",
    "pod created": f"after {LIFE}.pod_requests:PodRequests._make_create_pod_request",
    "in the queue": f"before {LIFE}.server_wait:ServerWait.wait_for_server",
    "server answers": f"after {LIFE}.server_wait:ServerWait.wait_for_server",
    "address not told": f"after {LIFE}.spawn_life:SpawnLife._count_from_now",
    "hub looks for it": "before jupyterhub.user:User._wait_up",
    "hub has found it": "after jupyterhub.user:User._wait_up",
    "no route": "before jupyterhub.proxy:Proxy.add_user",
    "route added": "after jupyterhub.proxy:Proxy.add_user",
    "is up": f"after {LIFE}.spawn_life:SpawnLife.is_up",
}
POINTS = {**BEFORE_ACCEPTED, **ACCEPTED}
# What a hub does that begins an accepted spawn again.
AGAIN = {
    "nothing done yet": "before jupyterhub.user:User.spawn",
    "new row": "after jupyterhub.orm:User.new_api_token",
    "new request": f"after {LIFE}.resume:ResumedSpawn.clear_state",
    "no new mark": f"before {LIFE}.spawn_life:SpawnLife.save_mark",
}
NOTHING_WRITTEN = f"before {LIFE}.resume:ResumedSpawn.clear_state"
STOPS = {
    "pod not deleted yet": f"before {LIFE}.pod_requests:PodRequests._delete_once",
    "pod deleted": f"after {LIFE}.pod_requests:PodRequests._delete_once",
    "row not cleared": f"after {LIFE}.pod_requests:PodRequests.stop",
    "state not cleared": f"before {LIFE}.spawn_life:SpawnLife.run_post_stop_hook",
}


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub at whose site there is room for one server."""
    profiles = [{**profile, "limits": {"servers_total": 1}} for profile in profiles_data()]
    hub = make_hub(profiles)
    hub.points = list({*POINTS.values(), *AGAIN.values(), *STOPS.values(), NOTHING_WRITTEN})
    hub.restart()
    yield hub
    hub.close()


@pytest.fixture
def player(site):
    """A site that runs the server of every pod that it sees, each once."""
    played, over = set(), threading.Event()

    def play():
        while not over.wait(0.05):
            for pod in site.pods():
                name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
                if uid not in played:
                    played.add(uid)
                    site.queue(name)
                    site.run(name)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    yield played
    over.set()
    thread.join(10)


def counted(hub):
    """Return how many servers a hub that starts now would count."""
    engine = orm.create_engine(f"sqlite:///{hub.folder}/hub.sqlite")
    with Session(engine) as database:
        found = len(accepted_servers(database))
    engine.dispose()
    return found


def row_port(hub, user):
    """Return the port of a server in the hub's database."""
    with sqlite3.connect(hub.folder / "hub.sqlite", timeout=10) as database:
        query = "SELECT port FROM servers WHERE base_url = ?"
        return [port for (port,) in database.execute(query, (f"/user/{user}/",))]


def dies_or_is_ready(hub, user):
    """Tell whether the hub has died, or has the user's server ready."""
    return hub.is_dead or hub.is_ready(user)


@contextmanager
def dying(hub, point):
    """Let the hub die at a point of what is done meanwhile; a request gets no answer then."""
    if hub.is_dead:
        hub.start()
    hub.die_at(point)
    try:
        with suppress(requests.ConnectionError):
            yield
        wait_until(lambda: hub.is_dead, 60)
    finally:
        hub.die_at("")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_hub_that_is_killed_twice_at_one_point_of_a_spawn(hub, site, player, until, point):
    user = f"u{list(POINTS.values()).index(point)}"
    is_accepted = point in ACCEPTED.values()
    with dying(hub, point):
        hub.spawn(user, {"profile": "padova", "cpu": 3})
    assert counted(hub) == is_accepted

    hub.die_at(point)
    hub.launch()
    until(lambda: dies_or_is_ready(hub, user), 60)
    assert counted(hub) >= is_accepted
    hub.die_at("")
    hub.restart()
    until(lambda: hub.is_ready(user), 60)
    check_the_only_server(hub, site, user)
    assert hub.stop(user).status_code == 204
    assert nothing_is_left(hub, site, user)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", AGAIN.values(), ids=AGAIN)
def test_hub_that_is_killed_while_it_begins_a_spawn_again(hub, site, player, until, point):
    user = f"a{list(AGAIN.values()).index(point)}"
    with dying(hub, ACCEPTED["accepted"]):
        hub.spawn(user, {"profile": "padova", "cpu": 3})
    hub.die_at(point)
    hub.launch()
    until(lambda: hub.is_dead, 60)
    assert counted(hub) == 1, "there is no moment in which another one could take its place"
    hub.die_at("")
    hub.start()
    until(lambda: hub.is_ready(user), 60)
    check_the_only_server(hub, site, user)
    assert hub.stop(user).status_code == 204
    assert nothing_is_left(hub, site, user)


def check_the_only_server(hub, site, user):
    """Check that there is one server with the options of these tests, reachable, with one token, and counted."""
    [pod] = site.pods()
    notebook = pod["spec"]["containers"][0]
    assert notebook["resources"]["limits"]["cpu"] == "3"
    assert row_port(hub, user) == [notebook["ports"][0]["containerPort"]]
    assert len(hub.tokens(user)) == 1
    assert counted(hub) == 1
    assert hub.spawn("late", {"profile": "padova"}).status_code == 429


def nothing_is_left(hub, site, user):
    """Tell whether all of a user's server is gone."""
    return (site.pods(), hub.tokens(user), hub.server(user), counted(hub)) == ([], [], None, 0)


def test_server_that_is_begun_again_can_be_stopped_at_once(hub, site, until):
    with dying(hub, ACCEPTED["accepted"]):
        hub.spawn("stan", {"profile": "padova"})
    hub.start()
    assert hub.stop("stan").status_code == 204
    assert nothing_is_left(hub, site, "stan")
    assert hub.spawn("stan", {"profile": "padova"}).status_code == 202
    assert site.wait_for("jupyter-stan")
    assert hub.stop("stan").status_code == 204


def test_request_of_which_nothing_was_written_leaves_nothing_and_says_nothing(hub, site, until):
    with dying(hub, NOTHING_WRITTEN):
        hub.spawn("nina", {"profile": "padova"})
    hub.start()
    until(lambda: nothing_is_left(hub, site, "nina"))
    assert "last_end" not in state_of(hub, "nina")
    assert hub.spawn("nina", {"profile": "padova"}).status_code == 202
    assert site.wait_for("jupyter-nina")
    assert hub.stop("nina").status_code == 204


@pytest.mark.parametrize("point", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("is_up", [True, False], ids=["running", "queued"])
def test_stop_in_which_the_hub_is_killed_is_finished_and_nobody_else_is_blamed(
    hub, site, until, point, is_up
):
    user = f"s{list(STOPS.values()).index(point)}{'r' if is_up else 'q'}"
    if hub.is_dead:
        hub.start()
    hub.spawn(user, {"profile": "padova"})
    site.queue(f"jupyter-{user}")
    if is_up:
        site.run(f"jupyter-{user}")
        until(lambda: hub.is_ready(user))
    with dying(hub, point):
        hub.stop(user)
    hub.start()
    until(lambda: nothing_is_left(hub, site, user))
    assert "last_end" not in state_of(hub, user)


def state_of(hub, user):
    """Return the saved state of a user's default server."""
    with sqlite3.connect(hub.folder / "hub.sqlite", timeout=10) as database:
        query = "SELECT spawners.state FROM spawners JOIN users ON users.id = user_id WHERE users.name = ?"
        return database.execute(query, (user,)).fetchone()[0] or ""
