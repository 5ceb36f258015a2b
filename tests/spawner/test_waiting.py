"""What a server's user sees and gets while it waits: states, gaps, late and wrong phases, failures, dead nodes."""

import time

import pytest
import requests

from .processes import own_ip

REFUSED = (
    "error creating pod (HTTP 504): HTTP InterLink session CreatePod#70520:  call exit status: 500. Body: "
    "sbatch: error: invalid partition specified: nosuch&#xA;sbatch: error: Batch job submission failed: &lt;b&gt;Invalid"
)


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub whose patience is short."""
    hub = make_hub(
        RaysterSpawner={
            "stop_timeout": 2,
            "boot_timeout": 5,
            "answer_timeout": 2,
            "poll_interval": 1,
            "start_timeout": 1,
            "storage_pvc_ensure": True,
            "storage_capacity": "1Gi",
            "k8s_api_request_retry_timeout": 5,
        }
    )
    yield hub
    hub.close()


def page_of(hub, user, text):
    """Return the pending page of a user when ``text`` is in it."""
    page = hub.login(user).get(f"/spawn-pending/{user}").text
    return page if text in page else None


def is_over(event):
    """Tell whether a progress event is the last one."""
    return bool(event.get("failed") or event.get("ready"))


def test_server_that_answers_is_running_although_its_pod_says_pending(hub, site, until):
    hub.spawn("lena", {"profile": "padova"})
    site.queue("jupyter-lena")
    site.serve("jupyter-lena")
    until(lambda: hub.is_ready("lena"))
    assert site.pod("jupyter-lena")["status"]["phase"] == "Pending"


def test_somebody_elses_server_on_the_port_is_not_taken_for_ours(hub, site, until):
    hub.spawn("oli", {"profile": "padova"})
    pod = site.queue("jupyter-oli")
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    stranger = site.serve_at(own_ip(), port, "/user/somebody/")
    time.sleep(3)
    assert hub.server("oli")["pending"] == "spawn"
    stranger.shutdown()
    stranger.server_close()
    site.run("jupyter-oli")
    until(lambda: hub.is_ready("oli"))


def test_configuring_job_that_is_shown_as_succeeded_is_waited_for(hub, site, until):
    hub.spawn("connie", {"profile": "padova"})
    site.queue("jupyter-connie")
    site.say_succeeded("jupyter-connie")
    time.sleep(1)
    assert hub.server("connie")["pending"] == "spawn"
    site.serve("jupyter-connie")
    until(lambda: hub.is_ready("connie"))
    time.sleep(2.5)
    assert hub.is_ready("connie"), "polled twice: its server answers, whatever the pod says"


def test_job_that_ended_before_its_server_was_up_fails(hub, site, until):
    hub.spawn("ella", {"profile": "padova"})
    site.queue("jupyter-ella")
    site.say_succeeded("jupyter-ella")
    assert until(lambda: page_of(hub, "ella", "The job ended before its server was up."))


def test_running_job_whose_server_cannot_be_reached_fails_and_says_so(hub, site, until):
    hub.spawn("noah", {"profile": "padova"})
    site.queue("jupyter-noah")
    site.say_running("jupyter-noah")
    assert until(lambda: page_of(hub, "noah", "its server has not answered in 2 seconds"))


def test_refused_job_tells_its_user_slurms_own_words_escaped(hub, site, until):
    hub.spawn("rhea", {"profile": "padova"})
    site.wait_for("jupyter-rhea")
    site.say_failed("jupyter-rhea", "ProviderFailed", REFUSED)
    page = until(lambda: page_of(hub, "rhea", "SLURM refused the job"))
    assert "SLURM refused the job: sbatch: error: invalid partition specified: nosuch" in page
    assert "&lt;b&gt;Invalid" in page and "<b>Invalid" not in page
    assert "InterLink session" not in page
    assert until(lambda: site.pod("jupyter-rhea") is None)
    [event] = hub.progress("rhea", is_over)
    assert "SLURM refused the job" in event["message"]
    assert "<b>" not in event["html_message"]


def test_deleted_pod_ends_the_wait_at_once(hub, site, until):
    hub.spawn("dan", {"profile": "padova"})
    site.queue("jupyter-dan")
    site.delete("jupyter-dan")
    assert until(lambda: page_of(hub, "dan", "was deleted before it was up"))


ENDS = {
    "walltime": (
        lambda site, pod: site.say_failed(
            pod, "Error: 8", "SLURM job reached its time limit and was terminated"
        ),
        "The job reached its time limit.",
    ),
    "cancelled at the site": (
        lambda site, pod: site.say_failed(pod, "Error: 15", exit_code=15),
        "The job ended with exit status 15.",
    ),
    "pod deleted": (lambda site, pod: site.delete(pod), "pod is gone"),
}


@pytest.mark.parametrize(("end", "why"), ENDS.values(), ids=ENDS)
def test_server_that_ends_by_itself_says_why_until_the_next_one(hub, site, until, end, why):
    hub.spawn("walt", {"profile": "padova"})
    site.queue("jupyter-walt")
    server = site.serve("jupyter-walt")
    until(lambda: hub.is_ready("walt"))
    server.shutdown()
    server.server_close()
    end(site, "jupyter-walt")
    assert until(lambda: page_of(hub, "walt", why))
    assert (hub.server("walt"), hub.tokens("walt")) == (None, [])
    # JupyterHub 6 looks at another spawner than the one it starts when the one before has failed, and says 201.
    assert hub.spawn("walt", {"profile": "padova"}).status_code in (201, 202)
    assert hub.server("walt")["pending"] == "spawn"
    hub.stop("walt")
    assert page_of(hub, "walt", why) is None


GAPS = {
    "nothing but a phase": {"phase": "Pending", "podIP": None, "containerStatuses": None, "conditions": None},
    "running without an address (K9)": {"phase": "Running", "podIP": None, "containerStatuses": None},
    "running without containers (K9)": {"phase": "Running", "containerStatuses": []},
    "ready twice": {
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False"}, {"type": "Ready", "status": "True"}],
    },
    "unknown": {"phase": "Unknown"},
}


def test_gaps_in_the_status_end_neither_a_wait_nor_a_server(hub, site, until):
    for user in ("gap1", "gap2"):
        hub.spawn(user, {"profile": "padova"})
        site.queue(f"jupyter-{user}")
    site.run("jupyter-gap2")
    until(lambda: hub.is_ready("gap2"))
    for status in GAPS.values():
        for user in ("gap1", "gap2"):
            site.set_status(f"jupyter-{user}", **status)
        time.sleep(1.3)
        assert hub.server("gap1")["pending"] == "spawn", status
        assert hub.is_ready("gap2"), status


def test_token_that_a_killed_hub_has_left_is_revoked_with_the_server(hub, site, until):
    hub.add_user("tom")
    for note in ("Server at /user/tom/", "Server at /user/tom/other/", "his own"):
        assert hub.ask("POST", "/users/tom/tokens", json={"note": note}).ok
    hub.spawn("tom", {"profile": "padova"})
    site.queue("jupyter-tom")
    hub.stop("tom")
    assert sorted(token["note"] for token in hub.tokens("tom")) == ["Server at /user/tom/other/", "his own"]


def test_stop_with_a_dead_node_is_quick_and_the_deletion_stays(hub, site, until):
    hub.spawn("zack", {"profile": "padova"})
    site.queue("jupyter-zack")
    site.bind("jupyter-zack", "padova")
    site.run("jupyter-zack")
    until(lambda: hub.is_ready("zack"))
    began = time.monotonic()
    assert hub.stop("zack").status_code in (202, 204)
    until(lambda: hub.server("zack") is None)
    assert time.monotonic() - began < 20
    assert site.pod("jupyter-zack")["metadata"]["deletionTimestamp"]
    assert "on node padova has not vanished in 2 seconds" in hub.log.read_text()

    hub.spawn("zack", {"profile": "cloud"})
    assert until(lambda: page_of(hub, "zack", "still being ended by padova"))
    assert site.pod("jupyter-zack"), "its node has not heard of it yet, and would never cancel the job"
    site.delete("jupyter-zack")


def test_nothing_of_one_spawn_leaks_into_the_next(hub, site, api, until):
    hub.spawn("pat", {"profile": "cloud"})
    first = site.wait_for("jupyter-pat")
    hub.stop("pat")
    hub.spawn("pat", {"profile": "padova", "cpu": 4})
    site.queue("jupyter-pat")
    time.sleep(1.5)
    assert hub.server("pat")["pending"] == "spawn", "the profile's start timeout counts, not the hub's 1 s"
    hub.stop("pat")
    hub.spawn("pat", {"profile": "cloud"})
    assert plain(site.wait_for("jupyter-pat")) == plain(first)


def plain(pod):
    """Return a pod without what differs between any two pods."""
    environment = {
        entry["name"]: entry.get("value")
        for entry in pod["spec"]["containers"][0]["env"]
        if "TOKEN" not in entry["name"]
    }
    spec = {**pod["spec"], "containers": [{**pod["spec"]["containers"][0], "env": environment}]}
    of_one_spawn = ("rayster.dev/spawn-id", "rayster.dev/requested-at")
    annotations = {k: v for k, v in pod["metadata"]["annotations"].items() if k not in of_one_spawn}
    return spec, annotations, pod["metadata"]["labels"]


def test_volume_is_claimed_for_the_cloud_only(hub, site, api):
    claims = f"{api.url}/api/v1/namespaces/rayster/persistentvolumeclaims"
    hub.spawn("claudia", {"profile": "cloud"})
    hub.spawn("petra", {"profile": "padova"})
    site.wait_for("jupyter-claudia")
    site.wait_for("jupyter-petra")
    names = [claim["metadata"]["name"] for claim in requests.get(claims, timeout=5).json()["items"]]
    assert "claim-claudia" in names and "claim-petra" not in names


def test_progress_speaks_in_states_with_the_elapsed_time(hub, site, until):
    hub.spawn("prue", {"profile": "padova"})
    first = hub.progress("prue", lambda event: "state" in event)[-1]
    assert first["state"] == "submitted" and first["message"].startswith("Submitted at padova")
    site.queue("jupyter-prue", job_id="77")
    queued = hub.progress("prue", lambda event: event.get("state") == "queued")[-1]
    assert queued["job_id"] == "77" and "as job 77" in queued["message"]
    assert "html_message" not in queued
    site.run("jupyter-prue")
    assert hub.progress("prue", is_over)[-1]["ready"] is True


def test_progress_tells_the_clusters_events_of_this_pod_only(hub, site, until):
    hub.spawn("evan", {"profile": "cloud"})
    pod = site.wait_for("jupyter-evan")
    for n, uid in enumerate(["of-an-earlier-pod", pod["metadata"]["uid"]]):
        event = {
            "metadata": {"name": f"evan.{n}", "namespace": "rayster"},
            "involvedObject": {"kind": "Pod", "name": "jupyter-evan", "namespace": "rayster", "uid": uid},
            "type": "Warning",
            "reason": "FailedScheduling",
            "message": f"<b>{uid}</b>",
            "lastTimestamp": "2026-11-21T00:00:00Z",
        }
        assert requests.post(site.events_url, json=event, timeout=5).status_code == 201
    events = hub.progress(
        "evan", lambda event: "FailedScheduling" in str(event) or "[Warning]" in event["message"]
    )
    assert f"[Warning] <b>{pod['metadata']['uid']}</b>" in events[-1]["message"]
    assert "html_message" not in events[-1]
    assert "of-an-earlier-pod" not in str(events)
