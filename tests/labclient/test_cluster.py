"""`RayCluster`: made, found, waited for, changed and closed."""

import threading

import pytest
from rayster_lab import AsyncRayCluster, RayCluster
from rayster_lab.attaching import driver
from rayster_lab.attachment import AttachError
from rayster_lab.client.errors import (
    CannotAttach,
    ClusterError,
    ClusterFailed,
    ClusterGone,
    NoSuchCluster,
    Refused,
    WaitedLong,
)

from .stub_service import cluster, error, profile, row

ID = "ray-0000000001"
pytestmark = pytest.mark.usefixtures("here")


def starting(**other):
    workers = [
        row(f"{ID}-w-1", "queued", job_id="12", reason="Waiting for free nodes.", raw_reason="Resources")
    ]
    told = {"state": "queued", "message": "0 of 1 worker joined, 1 queued.", "joined": 0, "workers": workers}
    wanted = {**cluster(ID)["wanted"], "workers": 1}
    return cluster(ID, **{**told, "wanted": wanted, **other})


def joined():
    return starting(
        state="running", message="1 of 1 worker joined.", joined=1, workers=[row(f"{ID}-w-1", "joined")]
    )


def later(seconds: float, what, *args) -> None:
    threading.Timer(seconds, what, args).start()


@pytest.fixture
def exists(stub):
    """A cluster that is there."""
    stub.tell(starting())
    return RayCluster.connect(ID)


def test_only_what_is_said_is_asked_for(stub):
    made = RayCluster("padova-slurm", workers=3, cpus=2, memory="4Gi", name="scan")
    asked = {
        "profile": "padova-slurm",
        "workers": 3,
        "cpus": 2,
        "memory": "4Gi",
        "name": "scan",
        "server": "",
    }
    assert stub.asked("POST", "clusters") == [asked]
    assert made.id == ID


def test_the_only_profile_need_not_be_named(stub):
    RayCluster()
    assert stub.asked("POST", "clusters")[0]["profile"] == "padova-slurm"


def test_of_several_profiles_one_has_to_be_named(stub):
    stub.profiles = [profile("a"), profile("b")]
    with pytest.raises(ClusterError, match="one of 'a', 'b'"):
        RayCluster()
    stub.profiles = []
    with pytest.raises(ClusterError, match="No profile"):
        RayCluster()
    assert stub.asked("POST", "clusters") == []


def test_a_refused_cluster_says_why(stub):
    fields = [{"field": "workers", "value": "99", "reason": "must be 0 to 8"}]
    stub.answer_once("POST", "clusters", lambda: error(400, "bad-request", "all", fields))
    with pytest.raises(Refused, match="workers = 99: must be 0 to 8"):
        RayCluster("padova-slurm", workers=99)


def test_clusters_of_the_panel_are_found_in_code(stub):
    stub.tell(cluster("ray-a"), cluster("ray-b"))
    assert [one.id for one in RayCluster.list()] == ["ray-a", "ray-b"]
    assert RayCluster.connect("ray-b").status.joined == 2
    with pytest.raises(NoSuchCluster):
        RayCluster.connect("ray-c")


def test_a_block_closes_its_cluster(stub):
    with RayCluster("padova-slurm") as made:
        assert made.status.state == "running"
    assert stub.clusters == []
    made.close()


def test_what_goes_wrong_in_a_block_is_not_hidden_by_its_end(stub, capsys):
    with pytest.raises(ZeroDivisionError), RayCluster("padova-slurm"):
        stub.answer_once("DELETE", f"clusters/{ID}", lambda: error(409, "refused", "not now"))
        raise ZeroDivisionError
    assert "could not be stopped: Not now." in capsys.readouterr().err


def test_waiting_ends_when_the_workers_have_joined(stub, exists, capsys):
    later(0.5, stub.tell, joined())
    exists.wait(workers=1, timeout=30)
    said = capsys.readouterr().out
    assert "0 of 1 worker joined" in said
    assert "queued · job 12 · Waiting for free nodes (Resources)" in said
    assert "1 of 1 worker joined" in said


def test_waiting_has_an_end_and_the_cluster_goes_on(stub, exists):
    with pytest.raises(WaitedLong, match=r"has not got all its workers within 0 s\. .*It goes on"):
        exists.wait(timeout=0.5)
    assert stub.clusters


def test_waiting_in_vain_ends_at_once_and_says_why(stub, exists):
    problem = {
        "code": "workers-failed",
        "message": "3 workers in a row have failed: out of memory.",
        "do": "Ask for more.",
    }
    later(0.5, stub.tell, starting(state="failed", problems=[problem]))
    with pytest.raises(ClusterFailed, match=r"out of memory\. Ask for more\. `\.restart\(\)`"):
        exists.wait(timeout=30)


def test_a_lost_head_is_replaced_so_waiting_goes_on(stub, exists):
    problem = {"code": "head-lost", "message": "The head was lost.", "do": ""}
    stub.tell(starting(state="failed", problems=[problem]))
    later(0.7, stub.tell, joined())
    exists.wait(timeout=30)


def test_more_workers_than_wanted_never_join(exists):
    with pytest.raises(ClusterFailed, match=r"\.scale\(3\)"):
        exists.wait(workers=3, timeout=30)


def test_a_cluster_that_is_stopped_is_not_waited_for(stub, exists):
    later(0.5, stub.tell)
    with pytest.raises(ClusterGone):
        exists.wait(timeout=30)


def test_a_service_that_is_started_anew_does_not_end_the_wait(stub, exists, capsys):
    later(0.3, stub.drop_streams)
    later(1.5, stub.tell, joined())
    exists.wait(timeout=30)
    assert "started anew" in capsys.readouterr().out


def test_news_from_before_the_cluster_was_made_do_not_end_the_wait(stub, exists):
    # The stream tells an old list; the question for the cluster itself tells that it is there.
    stub.answer_once("GET", "clusters/ray-new", *[lambda: web_json(cluster("ray-new"))] * 2)
    RayCluster._of(exists._session, "ray-new").wait(timeout=30)


def test_news_from_before_it_was_scaled_do_not_end_the_wait(stub, exists):
    old = starting(joined=2, wanted={**cluster(ID)["wanted"], "workers": 2})
    new = {**old, "wanted": {**old["wanted"], "workers": 3}}
    stub.tell(old)
    stub.answer_once("GET", f"clusters/{ID}", *[lambda: web_json(new)] * 20)
    with pytest.raises(WaitedLong):
        exists.wait(timeout=2)
    later(0.5, stub.tell, {**new, "joined": 3})
    exists.wait(workers=3, timeout=30)


def web_json(told):
    from aiohttp import web

    return web.json_response(told)


def test_it_is_scaled_restarted_and_its_log_read(stub, exists):
    exists.scale(4)
    exists.restart()
    assert stub.asked("PATCH", f"clusters/{ID}") == [{"workers": 4}]
    assert stub.asked("POST", f"clusters/{ID}/restart") == [{}]
    stub.log_lines = ["one", "two"]
    assert exists.logs() == "one\ntwo\n"
    lines = exists.logs(follow=True)
    assert next(lines) == "one"
    lines.close()


def test_the_dashboard_has_the_hubs_address_where_it_is_known(exists, monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_PUBLIC_HUB_URL", raising=False)
    assert exists.dashboard_url == f"/services/rayster/api/clusters/{ID}/dashboard/"
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", "https://hub.example/hub/")
    assert exists.dashboard_url == f"https://hub.example/services/rayster/api/clusters/{ID}/dashboard/"


class FakeRay:
    """Stands for `rayster_lab.attachment`."""

    def __init__(self) -> None:
        self.prepared, self.attached, self.fault = 0, None, None

    def prepare(self, share_cpus=0):
        self.prepared += 1

    def attach(self, target, share_cpus=0, on_lost=None):
        if self.fault:
            raise AttachError(self.fault)
        self.attached, self.on_lost = target, on_lost
        self.lost = None
        self.target = target
        return self

    def current(self):
        return self if self.attached else None

    def detach(self):
        self.attached = None


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.setattr("rayster_lab.attaching.attachment", fake)
    return fake


def test_attaching_waits_for_the_head_while_the_notebooks_node_starts(stub, ray, exists):
    stub.tell(starting(head=row(f"{ID}-head", "starting")))
    later(0.7, stub.tell, starting())
    exists.attach(timeout=30)
    assert (ray.prepared, ray.attached.cluster, exists.is_attached) == (1, ID, True)
    exists.detach()
    assert not exists.is_attached


def test_what_keeps_it_from_attaching_is_said_as_it_is(ray, exists):
    ray.fault = "There is no Ray in this kernel's environment: …"
    with pytest.raises(CannotAttach, match="There is no Ray"):
        exists.attach(timeout=30)


def test_a_panel_hears_of_attaching_and_of_its_loss(ray, exists, capsys):
    told = []
    stop = driver.listen(lambda: told.append(driver.attached))
    exists.attach(timeout=30)
    ray.lost = "The head does not answer."
    ray.on_lost("The head does not answer.")
    stop()
    assert [one.lost for one in told] == ["", "The head does not answer."]
    assert "The head does not answer." in capsys.readouterr().err
    assert not exists.is_attached


def test_closing_another_cluster_does_not_detach(stub, ray, exists):
    exists.attach(timeout=30)
    stub.tell(starting(), cluster("ray-b"))
    RayCluster.connect("ray-b").close()
    assert exists.is_attached


async def test_the_same_with_await(stub, ray):
    stub.made = lambda asked: starting()
    async with AsyncRayCluster.create("padova-slurm", workers=1) as made:
        later(0.5, stub.tell, joined())
        await made.wait(timeout=30)
        await made.attach(timeout=30)
        await made.scale(2)
        assert made.is_attached
        assert (await made.status()).joined == 1
        assert "Ray runtime started." in await made.logs()
        follow = made.follow_logs()
        assert await anext(follow) == "Ray runtime started."
        assert [one.id for one in await AsyncRayCluster.list()] == [ID]
    assert stub.clusters == []


async def test_an_awaited_wait_has_an_end(stub):
    stub.tell(starting())
    with pytest.raises(WaitedLong):
        await (await AsyncRayCluster.connect(ID)).wait(timeout=0.3)
