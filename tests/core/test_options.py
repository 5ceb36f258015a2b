"""Server options: any JSON in, typed options within the bounds or one clear error per field out."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayster_spawner.options import OptionsError, ServerOptions, parse_options
from rayster_spawner.profiles import ProfileSet

from .conftest import cloud_data, make_profile, profile_data

PROFILE = make_profile()


def errors_of(untrusted, profile=PROFILE, **who):
    with pytest.raises(OptionsError) as caught:
        ServerOptions.parse(untrusted, profile, **who)
    return {error.field: error.reason for error in caught.value.errors}


@pytest.mark.parametrize("nothing", [None, {}, {"cpu": None, "memory": None}])
def test_what_is_left_out_gets_the_default(nothing):
    assert ServerOptions.parse(nothing, PROFILE) == ServerOptions(
        profile="padova", image="lab", cpu=2, memory_mib=4096, gpu=0, walltime_minutes=240
    )


@pytest.mark.parametrize(
    "given,field,value",
    [
        ({"cpu": 4}, "cpu", 4),
        ({"cpu": "4"}, "cpu", 4),
        ({"cpu": 4.0}, "cpu", 4),
        ({"memory": 8}, "memory_mib", 8192),
        ({"memory": "8"}, "memory_mib", 8192),
        ({"memory": "1.5"}, "memory_mib", 1536),
        ({"memory": "8Gi"}, "memory_mib", 8192),
        ({"memory": "2048 MiB"}, "memory_mib", 2048),
        ({"gpu": "2"}, "gpu", 2),
        ({"walltime": 90}, "walltime_minutes", 90),
        ({"walltime": "90"}, "walltime_minutes", 90),
        ({"walltime": "1h30m"}, "walltime_minutes", 90),
        ({"walltime": "01:30:00"}, "walltime_minutes", 90),
        ({"image": "sif"}, "image", "sif"),
        ({"profile": "padova"}, "profile", "padova"),
    ],
)
def test_amounts_are_read_as_people_and_programs_write_them(given, field, value):
    assert getattr(ServerOptions.parse(given, PROFILE), field) == value


@pytest.mark.parametrize(
    "untrusted,field,allowed",
    [
        ({"cpu": 17}, "cpu", "1 to 16 cores"),
        ({"cpu": 0}, "cpu", "1 to 16 cores"),
        ({"cpu": -1}, "cpu", "1 to 16 cores"),
        ({"cpu": 1.5}, "cpu", "whole number"),
        ({"cpu": math.nan}, "cpu", "finite"),
        ({"cpu": math.inf}, "cpu", "finite"),
        ({"cpu": 10**400}, "cpu", "1 to 16 cores"),
        ({"cpu": 10**5000}, "cpu", "1 to 16 cores"),
        ({"cpu": True}, "cpu", "a number"),
        ({"cpu": "4\n#SBATCH --wrap=x"}, "cpu", "a number"),
        ({"cpu": "１"}, "cpu", "a number"),
        ({"cpu": "1e3"}, "cpu", "a number"),
        ({"cpu": []}, "cpu", "a number"),
        ({"cpu": {"a": 1}}, "cpu", "a number"),
        ({"memory": "65Gi"}, "memory", "1 GiB to 64 GiB"),
        ({"memory": "lots"}, "memory", "with a unit"),
        ({"memory": 1e300}, "memory", "1 GiB to 64 GiB"),
        ({"memory": 1.7e308}, "memory", "1 GiB to 64 GiB"),
        ({"memory": -1.7e308}, "memory", "1 GiB to 64 GiB"),
        ({"memory": -(2**63)}, "memory", "1 GiB to 64 GiB"),
        ({"walltime": -1.7e308}, "walltime", "10 min to 48 h"),
        ({"gpu": 1.7e308}, "gpu", "0 to 4"),
        ({"gpu": -1.7e308}, "gpu", "0 to 4"),
        ({"cpu": -1.7e308}, "cpu", "1 to 16 cores"),
        ({"gpu": 5}, "gpu", "0 to 4"),
        ({"gpu": 0.5}, "gpu", "whole number"),
        ({"gpu": "$(id)"}, "gpu", "a number"),
        ({"walltime": "49h"}, "walltime", "10 min to 48 h"),
        ({"walltime": "{username:>300000000}"}, "walltime", "duration"),
        ({"image": "busybox; id"}, "image", "lab, sif"),
        ({"image": ["lab"]}, "image", "lab, sif"),
        ({"image": {}}, "image", "lab, sif"),
        ({"profile": "other"}, "profile", "padova"),
        ({"acount": "x"}, "acount", "is not an option"),
        ({"cpus": 4}, "cpus", "did you mean cpu?"),
        ([], "options", "must be a mapping"),
        ("cpu=4", "options", "must be a mapping"),
        (7, "options", "must be a mapping"),
        (False, "options", "must be a mapping"),
    ],
)
def test_a_wrong_value_is_one_error_with_what_is_allowed(untrusted, field, allowed):
    errors = errors_of(untrusted)
    assert list(errors) == [field]
    assert allowed in errors[field]


def test_a_thousand_unknown_options_are_told_in_short():
    with pytest.raises(OptionsError) as caught:
        ServerOptions.parse({f"k{n}": 1 for n in range(1000)}, PROFILE)
    assert len(caught.value.errors) == 21
    assert str(caught.value.errors[-1]).startswith("options: 980 more: are no options either")


def test_all_wrong_fields_are_told_at_once():
    assert set(errors_of({"cpu": 99, "memory": "x", "gpu": -1, "walltime": "x", "image": 1, "y": 2})) == {
        "cpu", "memory", "gpu", "walltime", "image", "y",
    }  # fmt: skip


def test_a_long_hostile_value_is_shown_short_and_on_one_line():
    with pytest.raises(OptionsError) as caught:
        ServerOptions.parse({"cpu": "x\n\x1b[2J" * 10_000, "k\n" * 500: 1}, PROFILE)
    assert all(len(line) < 400 for line in str(caught.value).splitlines())
    assert len(str(caught.value).splitlines()) == 2
    assert str(caught.value).replace("\n", "").isprintable()


def test_the_cloud_takes_parts_of_cores_and_no_walltime():
    cloud = ProfileSet.model_validate({"profiles": [cloud_data(cpu={"min": 0.1, "max": 2, "default": 0.5})]})
    _, options = parse_options({"cpu": 0.25}, cloud)
    assert (options.cpu, options.gpu, options.walltime_minutes) == (0.25, 0, None)
    with pytest.raises(OptionsError, match="no time limit"):
        parse_options({"walltime": "1h"}, cloud)
    with pytest.raises(OptionsError, match="no GPUs"):
        parse_options({"gpu": 1}, cloud)
    with pytest.raises(OptionsError, match="three decimals"):
        parse_options({"cpu": 0.12345}, cloud)


PROFILES = ProfileSet.model_validate(
    {"profiles": [cloud_data(), profile_data(), profile_data(name="closed", access={"groups": ["herd"]})]}
)


@pytest.mark.parametrize(
    "untrusted,status,reason",
    [
        ({"profile": "closed"}, 403, "not one of your profiles"),
        ({"profile": "vanished"}, 400, "is not a profile of this hub"),
        ({"profile": ["cloud"]}, 400, "is not a profile of this hub"),
        ({"profile": {"a": 1}}, 400, "is not a profile of this hub"),
        ({"profile": 3}, 400, "is not a profile of this hub"),
        ([1], 400, "must be a mapping"),
    ],
)
def test_a_profile_that_is_not_the_users_is_refused(untrusted, status, reason):
    with pytest.raises(OptionsError, match=reason) as caught:
        parse_options(untrusted, PROFILES, ["padova"], user="ada")
    assert caught.value.status == status


def test_options_are_not_read_for_somebody_who_may_not_use_the_profile():
    closed = make_profile(access={"groups": ["herd"]})
    with pytest.raises(OptionsError, match="not one of your profiles") as caught:
        ServerOptions.parse({}, closed, ["padova"], user="ada")
    assert caught.value.status == 403
    assert ServerOptions.parse({}, closed, ["herd"]).profile == closed.name


def test_no_profile_at_all_is_forbidden_not_a_default_pod():
    closed = ProfileSet.model_validate({"profiles": [profile_data(access={"groups": ["herd"]})]})
    for untrusted in (None, {}, {"profile": "padova"}, {"profile": "x"}):
        with pytest.raises(OptionsError, match="no profile is open to you") as caught:
            parse_options(untrusted, closed)
        assert caught.value.status == 403


def test_no_name_means_the_first_profile_that_is_open():
    assert parse_options({}, PROFILES)[0].name == "cloud"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELD_JSON = st.dictionaries(
    st.sampled_from(["profile", "image", "cpu", "memory", "gpu", "walltime"]) | st.text(), JSON, max_size=6
)


@settings(deadline=None)
@given(JSON | FIELD_JSON)
def test_any_json_is_either_options_within_bounds_or_an_options_error(untrusted):
    try:
        profile, options = parse_options(untrusted, PROFILES, ["herd"])
    except OptionsError as error:
        assert error.errors
        assert error.status in (400, 403)
        return
    assert profile.cpu.min <= options.cpu <= profile.cpu.max
    assert profile.memory.min <= options.memory_mib <= profile.memory.max
    assert options.image in {image.name for image in profile.images}


@settings(deadline=None)
@given(
    st.integers(1, 16),
    st.integers(1024, 65536),
    st.integers(0, 4),
    st.integers(10, 2880),
    st.sampled_from(["lab", "sif"]),
)
def test_stored_options_are_read_back_as_they_were(cpu, memory_mib, gpu, walltime, image):
    options = ServerOptions(
        profile="padova", image=image, cpu=cpu, memory_mib=memory_mib, gpu=gpu, walltime_minutes=walltime
    )
    assert ServerOptions.parse(json.loads(json.dumps(options.as_json())), PROFILE) == options
