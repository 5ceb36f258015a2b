"""A hub that dies at any point of a spawn or a stop, twice in a row: one pod, one reachable server, counted throughout."""

import sqlite3
import threading
from contextlib import suppress

import pytest
import requests
from jupyterhub import orm
from sqlalchemy.orm import Session

from rayster_spawner.life.limits import accepted_servers

from .conftest import profiles_data

LIFE = "rayster_spawner.life"
# In the order of a spawn. The hub may answer the request from the first "accepted" one on.
BEFORE_ACCEPTED = {
    "row without a mark": "after jupyterhub.orm:User.new_api_token",
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


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub at whose site there is room for one server."""
    profiles = [{**profile, "limits": {"servers_total": 1}} for profile in profiles_data()]
    hub = make_hub(profiles)
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


def spawn_and_die(hub, user, options):
    """Ask for a server of a hub that may die over it."""
    with suppress(requests.ConnectionError):
        hub.spawn(user, options)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_hub_that_is_killed_twice_at_one_point_of_a_spawn(hub, site, player, until, point):
    user = f"u{list(POINTS.values()).index(point)}"
    hub.kill()
    hub.launch(dies=point)
    until(hub.is_up, 60)
    spawn_and_die(hub, user, {"profile": "padova", "cpu": 3})
    until(lambda: hub.is_dead, 60)
    is_accepted = point in ACCEPTED.values()
    assert counted(hub) == is_accepted

    hub.launch(dies=point)
    until(lambda: dies_or_is_ready(hub, user), 60)
    assert counted(hub) >= is_accepted
    hub.restart()
    until(lambda: hub.is_ready(user), 60)

    [pod] = site.pods()
    notebook = pod["spec"]["containers"][0]
    assert notebook["resources"]["limits"]["cpu"] == "3"
    assert row_port(hub, user) == [notebook["ports"][0]["containerPort"]]
    assert len(hub.tokens(user)) == 1
    assert counted(hub) == 1
    assert hub.spawn("late", {"profile": "padova"}).status_code in (202, 429)
    until(lambda: hub.server("late") is None)
    assert hub.stop(user).status_code == 204
    assert (site.pods(), hub.tokens(user), hub.server(user), counted(hub)) == ([], [], None, 0)
