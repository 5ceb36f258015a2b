"""Simulated events: the same for a seed, right in form, and with the tendencies that the knobs promise."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.events import ARRAYS, FEATURES, HIT_CLASSES, TrackingError
from herd_tracking.geometry import FIT, PLANES, Geometry
from herd_tracking.simulation import CHUNK, Knobs, simulate

PRIMARY, DELTA, BACKSPLASH, NOISE = range(len(HIT_CLASSES))


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


def columns(events, *names):
    return np.stack([events.column(name) for name in names], axis=1).astype(float)


def true_coordinates(events, hits, what=""):
    """Where the true line, or ``what="axis_"``, crosses the planes of ``hits``, in cm."""
    point = columns(events, *(f"{what}point_{axis}_cm" for axis in "xyz"))
    direction = columns(events, *(f"{what}direction_{axis}" for axis in "xyz"))
    u, _, inside = FIT.cross(point, direction, np.arange(PLANES))
    at = events.event_of_hit()[hits], events.plane[hits]
    return u[at], inside[at]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    particles=st.sampled_from(["electron", "proton", "both"]),
    events=st.integers(1, 40),
)
def test_events_of_any_seed_are_as_the_data_types_say(seed, particles, events):
    made = simulate(events, seed, particles)
    sizes = np.diff(made.node_ptr)
    assert len(made) == events == len(made.event) and made.node_ptr[0] == made.edge_ptr[0] == 0
    assert len(made.x) == len(made.y) == len(made.plane) == len(made.degree) == made.node_ptr[-1]
    assert made.edge_ptr[-1] == len(made.src) == made.degree.sum()
    assert (sizes > 0).all() and (np.diff(made.edge_ptr) > 0).all()
    assert np.isfinite(made.x).all() and np.isfinite(made.event).all() and made.plane.max() < PLANES
    assert (made.src < np.repeat(sizes[made.event_of_hit()], made.degree)).all()
    assert ((made.y == 1) == (made.hit_class == PRIMARY)).all()
    for what in ("direction", "axis_direction"):
        lengths = np.linalg.norm(columns(made, *(f"{what}_{axis}" for axis in "xyz")), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_pieces_made_apart_are_the_whole():
    whole = simulate(2 * CHUNK + 100, seed=5)
    piece = simulate(CHUNK, seed=5, first_event=CHUNK)
    last = simulate(100, seed=5, first_event=2 * CHUNK)
    assert same(whole.take(CHUNK, 2 * CHUNK), piece)
    assert same(whole.take(2 * CHUNK, 2 * CHUNK + 100), last)


def test_seeds_and_particles_give_other_events_with_other_ids():
    made = [simulate(50, seed, kind) for seed in (1, 2) for kind in ("electron", "proton", "both")]
    ids = np.concatenate([events.event_id for events in made])
    assert len(set(ids.tolist())) == 300
    assert len({events.column("energy_gev")[0] for events in made}) == 6


def test_both_takes_turns():
    np.testing.assert_array_equal(simulate(6, 0, "both").column("pdg"), [11, 2212] * 3)


def test_energy_is_log_uniform(electrons):
    place = np.sort(np.log10(electrons.column("energy_gev")) - 2)
    expected = (np.arange(len(place)) + 0.5) / len(place)
    # Kolmogorov's distance, at a probability of 1e-6.
    assert np.abs(place - expected).max() < np.sqrt(np.log(2e6) / 2 / len(place))


def test_accepted_primaries_come_down_through_enough_superlayers_and_enter_the_calorimeter(electrons):
    point = columns(electrons, "point_x_cm", "point_y_cm", "point_z_cm")
    direction = columns(electrons, "direction_x", "direction_y", "direction_z")
    _, _, inside = FIT.cross(point, direction, np.arange(PLANES))
    crossed = inside.reshape(-1, 5, 7, 2).all(axis=3).sum(axis=2)
    sector = electrons.column("sector").astype(int)
    assert (crossed[np.arange(len(sector)), sector] >= Knobs().min_superlayers).all()
    low, high = FIT.calorimeter_cm
    path = np.stack([(low - point) / direction, (high - point) / direction])
    assert (path.min(axis=0).max(axis=1) < path.max(axis=0).min(axis=1) + 1e-3).all()
    assert set(sector) == set(range(5))


def test_primary_hits_lie_on_the_true_line_with_the_resolution_of_the_knob():
    events = simulate(
        3000, seed=2, knobs=Knobs(backsplash_at_100_gev=0, noise_per_1000_channels=0, delta_per_plane=0)
    )
    hits = np.arange(len(events.y))
    line, inside = true_coordinates(events, hits)
    residual = events.coordinate_cm() - line
    assert inside.all() and (events.hit_class == PRIMARY).all()
    assert np.std(residual) == pytest.approx(0.005, rel=0.03)
    assert np.abs(residual).max() < 6 * 0.005


def test_a_plane_that_is_crossed_has_a_hit_as_often_as_efficiency_and_gaps_allow():
    quiet = Knobs(backsplash_at_100_gev=0, noise_per_1000_channels=0, delta_per_plane=0, efficiency=0.9)
    events = simulate(3000, seed=3, knobs=quiet)
    point = columns(events, "point_x_cm", "point_y_cm", "point_z_cm")
    direction = columns(events, "direction_x", "direction_y", "direction_z")
    _, _, inside = FIT.cross(point, direction, np.arange(PLANES))
    sector = events.column("sector").astype(int)
    own = FIT.planes.sector[None, :] == sector[:, None]
    at = (events.event_of_hit(), events.plane)
    expected = 0.9 * FIT.mat_active_cm / FIT.mat_slot_cm
    assert own[at].sum() / (inside & own).sum() == pytest.approx(expected, abs=0.01)


def test_no_hit_is_in_a_gap_between_mats(electrons):
    half = FIT.planes.half_u_cm[electrons.plane]
    place = (electrons.coordinate_cm() + half) % FIT.mat_slot_cm
    from_middle = np.abs(place - FIT.mat_slot_cm / 2)
    # As far as the resolution and a cluster of several hits reach.
    assert (from_middle < FIT.mat_active_cm / 2 + 0.05).all()
    assert (np.abs(electrons.coordinate_cm()) <= half + 1e-4).all()


def test_sizes_of_events_are_those_that_the_network_is_made_for(electrons):
    assert 50 < np.diff(electrons.node_ptr).mean() < 80
    assert 300 < np.diff(electrons.edge_ptr).mean() < 600
    assert 0.15 < electrons.y.mean() < 0.25


def backsplash_per_event(events, chosen):
    counts = np.bincount(events.event_of_hit()[events.hit_class == BACKSPLASH], minlength=len(events))
    return counts[chosen].mean()


def test_backsplash_grows_with_energy_as_the_knob_says(electrons):
    energy = electrons.column("energy_gev")
    low, high = energy < 200, energy > 500
    expected = np.sqrt(energy[high]).mean() / np.sqrt(energy[low]).mean()
    ratio = backsplash_per_event(electrons, high) / backsplash_per_event(electrons, low)
    assert ratio == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("view", [0, 1])
def test_backsplash_goes_back_along_the_shower(view):
    """If it hardly spreads and goes straight, its hits are where the true line is."""
    narrow = Knobs(
        backsplash_cosine_power=1e4,
        backsplash_photons=0,
        backsplash_momentum_mev=1e5,
        backsplash_range_superlayers=50,
    )
    events = simulate(500, 3, knobs=narrow)
    own = FIT.planes.sector[events.plane] == events.column("sector")[events.event_of_hit()]
    hits = np.flatnonzero((events.hit_class == BACKSPLASH) & own & (events.plane % 2 == view))
    line, _ = true_coordinates(events, hits)
    assert len(hits) > 10_000
    assert np.median(np.abs(events.coordinate_cm()[hits] - line)) < 1.0


def test_a_slanted_track_leaves_more_signal_by_its_longer_path():
    events = simulate(
        2000, 9, knobs=Knobs(backsplash_at_100_gev=0, noise_per_1000_channels=0, delta_per_plane=0)
    )
    direction = columns(events, "direction_x", "direction_y", "direction_z")[events.event_of_hit()]
    cosine = np.abs(np.sum(direction * FIT.planes.normal[events.plane], axis=1))
    counts = 100 * np.expm1(events.feature("log_adc").astype(float)) * cosine
    steep, slanted = cosine > 0.9, cosine < 0.6
    assert np.median(counts[slanted]) == pytest.approx(np.median(counts[steep]), rel=0.03)


def test_protons_have_less_backsplash(electrons, protons):
    everyone = slice(None)
    ratio = backsplash_per_event(protons, everyone) / backsplash_per_event(electrons, everyone)
    assert ratio == pytest.approx(Knobs().proton_backsplash, rel=0.1)


def test_backsplash_grows_toward_the_calorimeter(electrons):
    superlayer = electrons.plane[electrons.hit_class == BACKSPLASH] // 2 % 7
    counts = np.bincount(superlayer, minlength=7)
    assert (np.diff(counts) > 0).all() and counts[6] > 2 * counts[0]


def test_backsplash_is_denser_near_the_shower_axis(electrons):
    sector = electrons.column("sector")[electrons.event_of_hit()]
    hits = np.flatnonzero((electrons.hit_class == BACKSPLASH) & (electrons.plane // 14 == sector))
    line, _ = true_coordinates(electrons, hits)
    distance = np.abs(electrons.coordinate_cm()[hits] - line)
    near, far = np.mean(distance < 10) / 10, np.mean((distance > 30) & (distance < 50)) / 20
    assert near > 2 * far


def test_delta_rays_are_near_the_primary(electrons):
    hits = np.flatnonzero(electrons.hit_class == DELTA)
    line, _ = true_coordinates(electrons, hits)
    distance = np.abs(electrons.coordinate_cm()[hits] - line)
    assert len(hits) > 500 and np.median(distance) < 5


def test_noise_is_as_frequent_as_the_knob_says_and_everywhere():
    only_noise = Knobs(noise_per_1000_channels=1.0, backsplash_at_100_gev=0, merge_cm=0)
    events = simulate(150, seed=4, knobs=only_noise)
    planes = FIT.planes
    channels = np.round(2 * planes.half_u_cm / FIT.mat_slot_cm) * 384
    noise = np.bincount(events.plane[events.hit_class == NOISE], minlength=PLANES)
    assert noise.sum() / 150 == pytest.approx(channels.sum() / 1000, rel=0.02)
    np.testing.assert_allclose(noise / noise.sum(), channels / channels.sum(), rtol=0.25)


def test_crosstalk_makes_clusters_larger():
    def size(crosstalk):
        return np.exp(simulate(300, 6, knobs=Knobs(crosstalk=crosstalk)).feature("log_size"))

    assert size(1.0).mean() - size(0.0).mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("kind", "worse"), [("electrons", 1), ("protons", 2)])
def test_calorimeter_axis_is_as_wrong_as_the_knob_says(kind, worse, request):
    events = request.getfixturevalue(kind)
    direction = columns(events, "direction_x", "direction_y", "direction_z")
    axis = columns(events, "axis_direction_x", "axis_direction_y", "axis_direction_z")
    angle = np.degrees(np.arccos(np.clip(np.sum(direction * axis, axis=1), -1, 1)))
    # Rayleigh's distribution has its median at 1.177 sigma; one event in twenty is in the tail.
    assert np.median(angle) == pytest.approx(1.177 * 0.8 * worse, rel=0.1)
    assert np.mean(angle > 4 * 0.8 * worse) == pytest.approx(0.05 * np.exp(-((4 / 5) ** 2) / 2), abs=0.012)


def test_features_are_those_that_are_described(electrons):
    hits = np.arange(len(electrons.y))
    planes, at = FIT.planes, electrons.plane
    axis, _ = true_coordinates(electrons, hits, "axis_")
    residual = np.clip((electrons.coordinate_cm() - axis) / 10, -3, 3)
    expected = {
        "depth": planes.depth_cm[at] / 15,
        "view": planes.view[at],
        "top": planes.sector[at] == 0,
        "axis_residual": residual,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(electrons.feature(name), values, atol=2e-4, err_msg=name)
    assert electrons.x.shape[1] == len(FEATURES)
    assert (electrons.feature("log_adc") > 0).all() and (electrons.feature("log_size") >= 0).all()


def test_the_order_of_hits_tells_nothing_of_what_made_them(electrons):
    """By plane, and within it by coordinate."""
    key = electrons.event_of_hit() * 1e6 + electrons.plane * 1e3 + electrons.coordinate_cm()
    assert (np.diff(key) > 0).all()


def test_every_knob_changes_the_events():
    changed = {"energy_min_gev": 200.0, "energy_max_gev": 500.0, "min_superlayers": 7, "efficiency": 0.5}
    default = simulate(200, 7, "both")
    for field in fields(Knobs):
        value = getattr(Knobs(), field.name)
        other = changed.get(field.name, value * 1.5)
        assert not same(simulate(200, 7, "both", replace(Knobs(), **{field.name: other})), default), (
            field.name
        )


def test_another_geometry_gives_other_events():
    wider = Geometry(superlayer_pitch_cm=3.0)
    events = simulate(50, seed=1, geometry=wider)
    assert events.feature("depth").max() * 15 == pytest.approx(6 * 3.0 + wider.view_gap_cm, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"events": 0}, "events: 0"),
        ({"seed": -1}, "seed: -1"),
        ({"particles": "muon"}, "electron, proton, both"),
        ({"first_event": 7}, f"multiples of {CHUNK}"),
        ({"knobs": Knobs(efficiency=1.2)}, "knob efficiency: 1.2"),
        ({"knobs": Knobs(backsplash_at_100_gev=float("nan"))}, "knob backsplash_at_100_gev"),
        ({"knobs": Knobs(energy_min_gev=500, energy_max_gev=100)}, "energy_min_gev"),
        ({"knobs": Knobs(min_superlayers=8)}, "min_superlayers: 8"),
        ({"knobs": Knobs(sphere_radius_cm=50)}, "sphere_radius_cm: 50"),
        ({"knobs": Knobs(backsplash_range_superlayers=0)}, "backsplash_range_superlayers"),
        ({"knobs": Knobs(noise_per_1000_channels=100)}, "more than 4096 hits"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_allowed_is_refused_by_name(asked, word):
    with pytest.raises(TrackingError, match=word):
        simulate(**{"events": 10, "seed": 1, **asked})
