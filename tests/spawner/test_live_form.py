"""What the form knows of sites, what has to be said before an unreachable one is taken, and the way to live news."""

from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from tornado import web

from rayster_spawner.site_facts import SiteState, SiteStatus
from rayster_spawner.tickets import PageView, read_ticket

KEY = "services-token-0123456789"


@pytest.fixture
def say(monkeypatch):
    """Return a function that says what the site `padova` is; the others are available."""

    def say(state, text, after_a_look=None):
        said = {"padova": state}

        def status(profile):
            if profile.name == "padova":
                return SiteStatus(said["padova"], text)
            return SiteStatus(SiteState.AVAILABLE, "Available")

        async def look_at_nodes():
            said["padova"] = after_a_look or state

        sites = SimpleNamespace(
            status=status,
            statuses=lambda profiles: {profile.name: status(profile) for profile in profiles},
            jobs_of=lambda site, uid: [],
            look_at_nodes=look_at_nodes,
        )
        monkeypatch.setattr("rayster_spawner.life.site_view.hub_sites", lambda spawner: sites)

    return say


async def test_form_shows_what_the_sites_are(make_spawner, say):
    say(SiteState.BUSY, "Busy, typical wait about 25 min")
    assert "typical wait about 25 min" in make_spawner().render_options_form()


async def test_unreachable_site_is_refused_until_it_is_said(make_spawner, say):
    say(SiteState.UNREACHABLE, "Unreachable since 14:02 UTC")
    spawner = make_spawner()
    with pytest.raises(web.HTTPError) as refused:
        await spawner.options_from_form({"profile": ["padova"]})
    assert refused.value.status_code == 400
    assert "profile: 'padova': Unreachable since 14:02 UTC." in refused.value.jupyterhub_message
    assert "queue there anyway" in spawner.render_options_form()
    assert (await spawner.options_from_form({"profile": ["padova"], "anyway-padova": ["yes"]}))[
        "profile"
    ] == "padova"


async def test_tick_for_an_unreachable_site_stays_when_another_field_is_wrong(make_spawner, say):
    say(SiteState.UNREACHABLE, "Unreachable since 14:02 UTC")
    spawner = make_spawner()
    sent = {"profile": ["padova"], "padova--cpu": ["999"], "anyway-padova": ["yes"]}
    with pytest.raises(web.HTTPError):
        await spawner.options_from_form(sent)
    ticked = BeautifulSoup(spawner.render_options_form(), "html.parser").select("[data-anyway-box][checked]")
    assert [box["name"] for box in ticked] == ["anyway-padova"]
    assert "checked" not in str(
        BeautifulSoup(spawner.render_options_form(), "html.parser").select("[data-anyway]")
    )


async def test_nobody_is_refused_for_old_news_of_a_site_that_is_back(make_spawner, say):
    say(SiteState.UNREACHABLE, "Unreachable since 14:02 UTC", after_a_look=SiteState.AVAILABLE)
    options = await make_spawner().options_from_form({"profile": ["padova"]})
    assert options["profile"] == "padova"


@pytest.mark.parametrize("state", [SiteState.AVAILABLE, SiteState.BUSY, SiteState.UNKNOWN])
async def test_other_states_need_no_word(make_spawner, say, state):
    say(state, "whatever")
    assert (await make_spawner().options_from_form({"profile": ["padova"]}))["profile"] == "padova"


async def test_word_for_one_site_is_none_for_another(make_spawner, say):
    say(SiteState.UNREACHABLE, "Unreachable")
    with pytest.raises(web.HTTPError):
        await make_spawner().options_from_form({"profile": ["padova"], "anyway-physics": ["yes"]})
    assert (await make_spawner().options_from_form({"profile": ["cloud"]}))["profile"] == "cloud"


async def test_rest_api_needs_no_word(make_spawner, say):
    say(SiteState.UNREACHABLE, "Unreachable")
    spawner = make_spawner()
    spawner.user_options = {"profile": "padova"}
    spawner.take_options()
    assert spawner.options.profile == "padova"


async def test_without_sites_the_form_is_as_before(make_spawner):
    spawner = make_spawner()
    assert "padova" in spawner.render_options_form()
    assert (await spawner.options_from_form({"profile": ["padova"]}))["profile"] == "padova"


async def test_live_page_has_a_ticket_for_ones_own_profiles_only(make_spawner):
    spawner = make_spawner(user="mallory", service_url="/services/rayster/", service_token=KEY)
    live = spawner.live_page()
    assert live.url == "/services/rayster"
    assert read_ticket(KEY, live.ticket) == PageView("mallory", "", ("cloud", "padova", "closing"))
    assert "physics" in read_ticket(KEY, make_live(make_spawner, groups=("physics",)).ticket).profiles


def make_live(make_spawner, **who):
    """Return the live page of a user."""
    return make_spawner(service_url="/services/rayster", service_token=KEY, **who).live_page()


@pytest.mark.parametrize(
    "traits", [{}, {"service_url": "/services/rayster"}, {"service_token": KEY}], ids=str
)
async def test_without_a_service_there_is_no_live_page(make_spawner, traits):
    assert make_spawner(**traits).live_page() is None


async def test_services_token_is_in_no_page_state_or_pod(make_spawner, site):
    spawner = make_spawner(service_url="/services/rayster", service_token=KEY)
    spawner.user_options = {"profile": "padova"}
    spawner.take_options()
    await spawner.watch_or_fail()
    pod = await spawner.get_pod_manifest()
    for shown in (spawner, spawner.get_state(), spawner.render_options_form(), spawner.live_page(), pod):
        assert KEY not in repr(shown)


async def test_pod_says_when_it_was_asked_for(make_spawner, site):
    spawner = make_spawner()
    spawner.user_options = {"profile": "padova"}
    spawner.take_options()
    await spawner.watch_or_fail()
    pod = spawner.as_plain(await spawner.get_pod_manifest())
    asked_at = float(pod["metadata"]["annotations"]["rayster.dev/requested-at"])
    assert asked_at == pytest.approx(spawner.mark.requested_at, abs=1)


@pytest.mark.timeout(240)
def test_virtual_node_that_is_away_costs_no_place_and_has_to_be_said_in_the_form(hub, site, api, until):
    hub.add_user("nell")
    hub.spawn("nell", {"profile": "padova"})
    pod = site.queue("jupyter-nell")
    site.bind("jupyter-nell", "padova")
    api.say_node("padova", is_ready=False)
    try:
        browser = hub.login("otto")
        until(lambda: 'data-anyway="padova">' in browser.get("/spawn").text, 40)
        assert browser.submit("/spawn", profile="padova").status_code == 400
        assert hub.server("otto") is None
        site.set_status(
            "jupyter-nell",
            reason="NodeLost",
            conditions=[{"type": "Ready", "status": "False", "reason": "NodeNotReady"}],
        )
        hub.restart()
        assert hub.server("nell")["pending"] == "spawn"
        until(lambda: 'data-anyway="padova">' in browser.get("/spawn").text, 40)
        answer = hub.login("otto").submit("/spawn", profile="padova", **{"anyway-padova": "yes"})
        assert answer.status_code == 302
        assert site.wait_for("jupyter-otto")
    finally:
        api.say_node("padova", is_ready=True)
    assert site.pod("jupyter-nell")["metadata"]["uid"] == pod["metadata"]["uid"]
    forever = {
        (t["key"], t.get("effect")) for t in pod["spec"]["tolerations"] if "tolerationSeconds" not in t
    }
    assert {
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    } <= forever
    site.run("jupyter-nell")
    until(lambda: hub.is_ready("nell"))
    site.delete("jupyter-nell")
