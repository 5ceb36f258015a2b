"""The profiles file of a running hub: nobody's profiles, edits, mistakes, profiles that vanish."""

import yaml


def edit(hub, profiles):
    """Replace the profiles file as an editor does."""
    hub.profiles.with_suffix(".new").write_text(yaml.safe_dump({"profiles": profiles}))
    hub.profiles.with_suffix(".new").replace(hub.profiles)


def data_of(hub):
    """Return the profiles in the file."""
    return yaml.safe_load(hub.profiles.read_text())["profiles"]


def test_an_edit_needs_no_restart_and_a_bad_one_changes_nothing(hub, site):
    profiles = data_of(hub)
    edit(hub, [*profiles, {**profiles[0], "name": "new", "title": "Brand new"}])
    assert "Brand new" in hub.login("ed").get("/spawn").text

    edit(hub, [{**profiles[0], "site": 7, "nonsense": 1}])
    assert "Brand new" in hub.login("ed").get("/spawn").text
    log = hub.log.read_text()
    assert "profiles.0.nonsense" in log and "profiles.0.site" in log

    edit(hub, profiles)
    assert "Brand new" not in hub.login("ed").get("/spawn").text


def test_a_vanished_profile_falls_back_in_the_form_and_says_so(hub, site):
    profiles = data_of(hub)
    hub.spawn("vera", {"profile": "padova", "cpu": 5})
    site.wait_for("jupyter-vera")
    hub.stop("vera")

    edit(hub, [profile for profile in profiles if profile["name"] != "padova"])
    page = hub.login("vera").get("/spawn")
    refused = hub.spawn("vera")
    edit(hub, profiles)

    assert page.status_code == 200
    assert "is not a profile of this hub" in page.text
    assert refused.status_code == 400
    assert site.pods() == []


def test_no_profile_for_a_user_is_a_403_and_never_a_default_pod_k8(hub, site):
    profiles = data_of(hub)
    edit(hub, [{**profile, "access": {"groups": ["nobody"]}} for profile in profiles])
    page = hub.login("zoe").get("/spawn")
    answers = [hub.spawn("zoe"), hub.spawn("zoe", {}), hub.spawn("zoe", {"profile": ""})]
    edit(hub, profiles)

    assert page.status_code == 403
    assert "no profile is open to you" in page.text
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert site.pods() == []
