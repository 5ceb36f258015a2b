"""The line fit: as precise as the closed form says, blind to what is not on the line, and unmoved by order."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herd_tracking.events import TrackingError
from herd_tracking.geometry import FIT
from herd_tracking.physics.baselines import all_hits_scores, road_hough_scores, truth_scores
from herd_tracking.physics.fit import FitSettings, best_sector, fit_tracks, true_direction, true_slopes
from herd_tracking.physics.intervals import containment
from herd_tracking.physics.lines import least_squares
from herd_tracking.physics.matching import closed_form_deg, match, space_angle_deg, truth


@pytest.mark.parametrize(
    ("resolution_cm", "pitch_cm", "expected_deg"),
    [(0.005, 4.0, 0.020), (0.0072, 4.0, 0.029), (0.005, 2.5, 0.033), (0.0072, 2.5, 0.047)],
)
def test_closed_form_has_the_known_values(resolution_cm, pitch_cm, expected_deg):
    assert round(closed_form_deg(resolution_cm, pitch_cm), 3) == expected_deg


def test_truth_hits_point_as_well_as_the_closed_form_says(straight_lines, geometry):
    # given tracks that hit all seven superlayers almost at normal incidence, with 50 um resolution
    events = straight_lines(20_000, slope=0.02, noise=0)
    # when the primary's hits are fitted
    tracks = fit_tracks(events, truth_scores(events), geometry)
    # then the 68 % containment is that of the closed form, within three standard deviations and within 1 %
    found = containment(space_angle_deg(tracks.direction, true_direction(events)), 0.68)
    expected = closed_form_deg(0.005, 4.0)
    assert found.value == pytest.approx(0.020, abs=0.0005)
    assert found.value == pytest.approx(expected, rel=0.01)
    assert found.low - 2 * (found.value - found.low) < expected < found.high + 2 * (found.high - found.value)


def test_errors_of_the_slopes_are_those_that_the_fit_states(straight_lines, geometry):
    events = straight_lines(5_000, noise=0)
    tracks = fit_tracks(events, truth_scores(events), geometry)
    pulls = match(events, tracks, truth(events, geometry), geometry).pull
    assert abs(pulls.mean()) < 0.05
    assert pulls.std() == pytest.approx(1.0, abs=0.03)
    ndf = tracks.hits - 2
    assert tracks.chi_square.mean() == pytest.approx(ndf.mean(), rel=0.03)


@pytest.mark.parametrize("real", [False, True], ids=["toy", "detector"])
@pytest.mark.parametrize("sector", range(5))
def test_line_without_errors_is_found_exactly_in_each_sector(straight_lines, geometry, sector, real):
    geometry = FIT if real else geometry
    straight_lines = type(straight_lines)(geometry)
    events = straight_lines(50, resolution_cm=0, noise=0, sectors=(sector,))
    tracks = fit_tracks(events, truth_scores(events), geometry)
    assert tracks.found.all()
    assert (tracks.sector == sector).all()
    # single precision keeps coordinates to about 0.03 um
    assert space_angle_deg(tracks.direction, true_direction(events)).max() < 1e-4
    assert match(events, tracks, truth(events, geometry), geometry).distance_cm.max() < 1e-4
    assert np.allclose(tracks.slope, true_slopes(events, geometry, tracks.sector), atol=1e-5)


def test_noise_is_not_taken_into_the_track(straight_lines, geometry):
    events = straight_lines(2_000, noise=40)
    tracks = fit_tracks(events, all_hits_scores(events), geometry)
    angle = space_angle_deg(tracks.direction, true_direction(events))
    assert np.mean(tracks.found) == 1
    assert np.mean(angle < 0.1) > 0.995
    assert np.mean(events.y[tracks.used] == 1) > 0.995


def test_without_a_first_line_noise_ruins_the_fit(straight_lines, geometry):
    events = straight_lines(500, noise=40)
    tracks = fit_tracks(events, all_hits_scores(events), geometry, settings=FitSettings(seeded=False))
    angle = space_angle_deg(tracks.direction, true_direction(events))
    assert np.median(angle[tracks.found]) > 1


def test_outlier_pass_drops_a_hit_within_the_window(straight_lines, geometry):
    # given one hit of each track moved by 0.6 mm: within the window, 12 resolutions off
    events = straight_lines(200, noise=0, sectors=(0,), resolution_cm=0.002)
    moved = np.arange(len(events)) * 14
    events.x[moved, 0] += np.float32(0.06 / 50)
    tracks = fit_tracks(events, truth_scores(events), geometry)
    # then that hit is not on the track, and all others are
    assert not tracks.used[moved].any()
    assert tracks.used.sum() == 13 * len(events)


def test_heavier_hits_win_where_two_lines_are_equally_long(straight_lines, geometry):
    # given two events' hits in one: the same sector, two lines
    one = straight_lines(1, seed=3, noise=0, sectors=(0,))
    other = straight_lines(1, seed=4, noise=0, sectors=(0,))
    both = merged(one, other)
    weights = np.concatenate([np.full(14, 0.4), np.full(14, 0.9)])
    tracks = fit_tracks(both, weights, geometry)
    assert space_angle_deg(tracks.direction, true_direction(other))[0] < 0.2
    assert tracks.used[14:].all()
    assert not tracks.used[:14].any()


def merged(one, other):
    from dataclasses import replace

    names = ("x", "y", "hit_class", "plane", "degree")
    joined = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names}
    return replace(other, node_ptr=np.array([0, len(joined["y"])]), **joined)


def test_event_without_enough_hits_has_no_track(straight_lines, geometry):
    events = straight_lines(100, noise=0)
    weights = truth_scores(events)
    weights[events.plane % 14 > 6] = 0  # three or four superlayers are left in each view
    weights[events.plane % 14 == 6] = 0
    tracks = fit_tracks(events, weights, geometry)
    assert not tracks.found.any()
    assert np.isnan(tracks.direction).all()
    assert not tracks.used.any()


def test_event_without_any_weight_has_no_track(straight_lines, geometry):
    events = straight_lines(10)
    tracks = fit_tracks(events, np.zeros(len(events.y)), geometry)
    assert not tracks.found.any()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), slope=st.floats(0.01, 1.5), noise=st.integers(0, 30))
def test_fit_of_one_event_is_that_of_the_same_event_among_others(
    straight_lines, geometry, seed, slope, noise
):
    events = straight_lines(8, seed=seed, slope=slope, noise=noise)
    weights = np.random.default_rng(seed).random(len(events.y))
    together = fit_tracks(events, weights, geometry)
    alone = fit_tracks(events.take(5, 6), weights[events.node_ptr[5] : events.node_ptr[6]], geometry)
    assert np.array_equal(alone.direction[0], together.direction[5], equal_nan=True)
    assert np.array_equal(alone.used, together.used[events.node_ptr[5] : events.node_ptr[6]])


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    hits=st.integers(2, 7),
)
def test_least_squares_is_that_of_numpy(seed, hits):
    draw = np.random.default_rng(seed)
    depth, coordinate = np.sort(draw.uniform(-24, 0, hits)), draw.uniform(-50, 50, hits)
    weight = draw.uniform(0.1, 1, hits)
    intercept, slope, *_ = least_squares(depth, coordinate, weight, np.ones(hits, dtype=bool))
    expected = np.polyfit(depth, coordinate, 1, w=np.sqrt(weight))
    assert np.allclose([slope, intercept], expected, rtol=1e-6, atol=1e-6)


def test_sector_is_that_with_most_planes_whatever_the_number_of_hits(straight_lines):
    events = straight_lines(200, noise=10)
    assert np.mean(best_sector(events, truth_scores(events)) == events.column("sector")) == 1


def test_road_and_hough_select_the_track(straight_lines, geometry):
    events = straight_lines(1_000, noise=40)
    chosen = road_hough_scores(events, geometry) == 1
    assert np.mean(chosen[events.y == 1]) > 0.99
    assert np.mean(events.y[chosen] == 1) > 0.99


def test_weights_of_another_size_are_refused(straight_lines, geometry):
    events = straight_lines(3)
    with pytest.raises(TrackingError, match=r"these 3 events have \d+ hits"):
        fit_tracks(events, np.ones(5), geometry)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_weight_that_is_no_weight_is_refused_by_event_and_hit(straight_lines, geometry, value):
    events = straight_lines(3)
    weights = np.ones(len(events.y))
    weights[events.node_ptr[1] + 4] = value
    with pytest.raises(TrackingError, match=r"event 1001, hit 4"):
        fit_tracks(events, weights, geometry)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinate_that_is_none_is_refused_by_event_and_field(straight_lines, geometry, value):
    events = straight_lines(3)
    events.x[events.node_ptr[2] + 1, 0] = value
    with pytest.raises(TrackingError, match=r"event 1002, hit 1: feature coordinate"):
        fit_tracks(events, truth_scores(events), geometry)
