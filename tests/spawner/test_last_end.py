"""Why the last server ended, told by the page after any number of visits and restarts of the hub."""

import pytest

from rayster_spawner.life.endings import EndCode
from rayster_spawner.life.last_end import LastEnd, read_end

END = LastEnd(
    EndCode.WALLTIME, "The job reached its time limit.", 1_700_000_000.5, {"profile": "padova"}, "abc"
)


def test_end_comes_back_from_the_database():
    assert read_end(END.as_state()) == END
    assert read_end({**END.as_state(), "of a later version": 1}) == END


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {**END.as_state(), "code": "melted"},
        {**END.as_state(), "code": []},
        {**END.as_state(), "text": 1},
        {**END.as_state(), "at": "x"},
        {**END.as_state(), "options": []},
    ],
)
def test_what_is_no_end_is_none(state):
    assert read_end(state) is None


@pytest.fixture
async def ended(make_spawner):
    """Return a spawner that knows an end."""
    spawner = make_spawner()
    spawner.user_options = {"profile": "padova", "cpu": 4}
    spawner.take_options()
    spawner.remember_end(EndCode.NODE_FAILED, "A compute node of the job failed.")
    return spawner


async def test_view_has_what_was_asked_for_and_its_options(ended):
    view = ended.last_end_view()
    assert (view.code, view.text) == ("node-failed", "A compute node of the job failed.")
    assert view.asked_for.startswith("Padova: 4 cores")
    assert view.options == ended.options.as_json()
    assert view.ended_at == pytest.approx(ended.mark.requested_at, abs=60)


async def test_first_word_on_the_end_of_a_server_stands(ended):
    ended.remember_end(EndCode.DELETED, "The server's pod is gone.")
    assert ended.last_end.code is EndCode.NODE_FAILED


async def test_end_goes_through_the_saved_state_and_a_new_spawn(ended, make_spawner):
    later = make_spawner()
    later.load_state(ended.get_state())
    later.clear_state()
    assert later.last_end == ended.last_end


async def test_profile_that_is_not_offered_any_more_cannot_be_asked_for_again(ended):
    closed = [p for p in ended.profiles.profiles if p.name != "padova"]
    ended.profiles = ended.profiles.model_copy(update={"profiles": closed})
    view = ended.last_end_view()
    assert (view.text, view.asked_for, view.options) == ("A compute node of the job failed.", "", {})


async def test_server_that_never_ended_has_no_view(make_spawner):
    assert make_spawner().last_end_view() is None


# On a real hub


@pytest.fixture(scope="module")
def hub(make_hub):
    """A hub that notices quickly."""
    hub = make_hub(RaysterSpawner={"stop_timeout": 2, "poll_interval": 1})
    yield hub
    hub.close()


def start(hub, site, until, user, server=""):
    """Bring a server up, and return what plays it."""
    pod = f"jupyter-{user}--{server}" if server else f"jupyter-{user}"
    assert hub.spawn(user, {"profile": "padova"}, server).ok
    site.queue(pod)
    played = site.serve(pod)
    until(lambda: hub.is_ready(user, server))
    return pod, played


def end(site, pod, played):
    """Let a server reach its time limit."""
    played.shutdown()
    played.server_close()
    site.say_failed(pod, "Error: 8", "SLURM job reached its time limit and was terminated")


def pages_of(hub, user, server=""):
    """Return the two pages on which a user meets a server that does not run."""
    browser = hub.login(user)
    path = f"{user}/{server}" if server else user
    return [follow(browser, f"/user/{path}/lab"), browser.get(f"/spawn-pending/{path}").text]


def follow(browser, path):
    """Return a page, after the one redirect there may be."""
    answer = browser.get(path)
    if answer.is_redirect:
        answer = browser.get(answer.headers["Location"].partition("/hub")[2])
    return answer.text


WALLTIME = "The job reached its time limit."


@pytest.mark.parametrize("server", ["", "second"], ids=["default server", "named server"])
def test_end_is_told_at_every_visit_and_by_the_next_hub_until_a_new_server_is_up(hub, site, until, server):
    user = f"walt{server}"
    end(site, *start(hub, site, until, user, server))
    until(lambda: not hub.server(user, server))
    for _ in range(2):
        assert all(WALLTIME in page for page in pages_of(hub, user, server))
    hub.login(user).get(f"/spawn/{user}/{server}".rstrip("/"))
    assert all(WALLTIME in page for page in pages_of(hub, user, server)), "after a look at the form, too"
    hub.restart()
    for _ in range(2):
        assert all(WALLTIME in page for page in pages_of(hub, user, server))
    start(hub, site, until, user, server)
    assert hub.stop(user, server).status_code == 204
    assert not any(WALLTIME in page for page in pages_of(hub, user, server))


def test_end_while_the_hub_was_away_is_told(hub, site, until):
    pod, played = start(hub, site, until, "wanda")
    hub.kill()
    end(site, pod, played)
    hub.start()
    until(lambda: not hub.server("wanda"))
    assert all(WALLTIME in page for page in pages_of(hub, "wanda"))


def test_start_that_failed_is_told_by_the_next_hub_and_a_refused_request_does_not_cover_it(hub, site, until):
    hub.spawn("rhea", {"profile": "padova"})
    site.wait_for("jupyter-rhea")
    site.say_failed("jupyter-rhea", "ProviderFailed", "sbatch: error: <b>no</b>")
    until(lambda: hub.server("rhea") is None)
    hub.restart()
    assert hub.spawn("rhea", {"profile": "physics"}).status_code == 403
    for page in pages_of(hub, "rhea"):
        assert "SLURM refused the job: sbatch: error: &lt;b&gt;no&lt;/b&gt;" in page


def test_spawn_that_fails_after_a_restart_is_told_by_the_hub_after_that(hub, site, until):
    hub.spawn("finn", {"profile": "padova"})
    site.queue("jupyter-finn")
    hub.restart()
    site.say_failed("jupyter-finn", "Error: 3", exit_code=3)
    until(lambda: hub.server("finn") is None)
    hub.restart()
    assert all("The job ended with exit status 3." in page for page in pages_of(hub, "finn"))


def test_stop_and_cancel_by_the_user_leave_no_end(hub, site, until):
    start(hub, site, until, "sue")
    hub.stop("sue")
    hub.spawn("sue", {"profile": "padova"})
    site.queue("jupyter-sue")
    hub.stop("sue")
    assert hub.server("sue") is None
    assert all("is not running" in page for page in pages_of(hub, "sue"))


def test_cancel_forgets_the_end_of_the_server_before(hub, site, until):
    end(site, *start(hub, site, until, "cora"))
    until(lambda: hub.server("cora") is None)
    hub.spawn("cora", {"profile": "padova"})
    site.queue("jupyter-cora")
    hub.stop("cora")
    assert not any(WALLTIME in page for page in pages_of(hub, "cora"))
