"""Numbers and intervals: right where they can be worked out by hand, and honest about chance."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.events import TrackingError
from herd_tracking.physics.hits import check_labels, hit_curves, working_point
from herd_tracking.physics.intervals import (
    CONFIDENCE,
    Estimate,
    clopper_pearson,
    contained_by_bin,
    containment,
)
from herd_tracking.physics.wording import METRICS, number


def at_least(passed, of, probability):
    """The chance of ``passed`` or more of ``of``, summed term by term."""
    return sum(comb(of, k) * probability**k * (1 - probability) ** (of - k) for k in range(passed, of + 1))


@settings(deadline=None)
@given(st.data(), st.integers(1, 60))
def test_fraction_interval_leaves_equal_chances_outside(data, of):
    # what was seen, or more, has that chance at the lower bound; what was seen, or less, at the upper
    passed = data.draw(st.integers(0, of))
    found = clopper_pearson(np.array([passed]), np.array([of]))[0]
    tail = (1 - CONFIDENCE) / 2
    assert found.value == passed / of
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low == 0 if passed == 0 else at_least(passed, of, found.low) == pytest.approx(tail)
    assert (
        found.high == 1 if passed == of else 1 - at_least(passed + 1, of, found.high) == pytest.approx(tail)
    )


@settings(deadline=None)
@given(of=st.integers(1, 10**8))
def test_interval_of_none_and_of_all_is_a_limit_in_closed_form(of):
    none, every = (clopper_pearson(np.array([passed]), np.array([of]))[0] for passed in (0, of))
    missed = -np.expm1(np.log((1 - CONFIDENCE) / 2) / of)
    assert (none.value, none.low) == (0, 0)
    assert (every.value, every.high) == (1, 1)
    assert none.high == pytest.approx(missed, rel=1e-5)
    assert 1 - every.low == pytest.approx(missed, rel=1e-5, abs=1e-15)


@settings(deadline=None)
@given(of=st.integers(1, 10**8), part=st.floats(0, 1))
def test_interval_of_those_that_failed_is_its_mirror(of, part):
    passed = round(of * part)
    one, other = clopper_pearson(np.array([passed, of - passed]), np.array([of, of]))
    assert one.low == pytest.approx(1 - other.high, rel=1e-5, abs=1e-14)
    assert one.high == pytest.approx(1 - other.low, rel=1e-5, abs=1e-14)


def test_fraction_of_nothing_is_no_number():
    found = clopper_pearson(np.array([0]), np.array([0]))[0]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.of == 0


@pytest.mark.parametrize("of", [1, 12, 300])
@pytest.mark.parametrize("probability", [0.003, 0.02, 0.5, 0.97])
def test_fraction_interval_covers_the_truth_at_least_as_often_as_it_says(of, probability):
    passed = np.arange(of + 1)
    found = clopper_pearson(passed, np.full(of + 1, of))
    inside = (found.low <= probability) & (probability <= found.high)
    chance = [comb(of, int(k)) * probability**k * (1 - probability) ** (of - k) for k in passed[inside]]
    assert sum(chance) >= CONFIDENCE - 1e-9


def test_fraction_interval_of_many_is_hardly_wider_than_it_must_be():
    passed = np.random.default_rng(1).binomial(2_000, 0.5, 20_000)
    found = clopper_pearson(passed, np.full(20_000, 2_000))
    assert np.mean((found.low <= 0.5) & (found.high >= 0.5)) < 0.72


@pytest.mark.parametrize("fraction", [0.68, 0.95])
def test_containment_interval_covers_the_truth_as_often_as_it_says(fraction):
    draw = np.random.default_rng(2)
    truth = np.sqrt(-2 * np.log(1 - fraction))
    found = [containment(draw.rayleigh(size=300), fraction) for _ in range(2_000)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.64 < covered < 0.80


def test_containment_by_bin_is_containment_of_each_bin():
    draw = np.random.default_rng(3)
    values, bins = draw.exponential(size=1_000), draw.integers(-1, 4, 1_000)
    found = contained_by_bin(values, bins, 4, 0.68)
    for place in range(4):
        assert found[place] == containment(values[bins == place], 0.68)


def test_containment_of_nothing_is_no_number():
    assert containment(np.array([]), 0.68).of == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), coarse=st.booleans())
def test_area_is_the_chance_that_signal_scores_higher(straight_lines, seed, coarse):
    events = straight_lines(10, seed=seed)
    signal = events.y == 1
    scores = np.random.default_rng(seed).beta(1 + 2 * signal, 2)
    scores = np.round(scores, 1) if coarse else scores
    above = scores[signal][:, None] > scores[~signal]
    equal = scores[signal][:, None] == scores[~signal]
    assert hit_curves(events, scores, signal).auc.value == pytest.approx(np.mean(above + 0.5 * equal))


def test_area_interval_covers_other_samples(straight_lines):
    found = []
    for seed in range(40):
        events = straight_lines(100, seed=seed, noise=10)
        signal = events.y == 1
        scores = np.random.default_rng(seed).beta(1 + 2 * signal, 2)
        found.append(hit_curves(events, scores, signal).auc)
    truth = np.mean([one.value for one in found])
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.5 < covered < 0.9


def test_working_point_keeps_the_part_of_signal_that_was_asked(straight_lines):
    events = straight_lines(200)
    signal = events.y == 1
    scores = np.random.default_rng(1).beta(1 + 3 * signal, 2)
    cut = working_point("98% efficiency", scores, signal)
    kept = np.mean(scores[signal] >= cut)
    assert kept >= 0.98
    assert np.mean(scores[signal] > cut) < 0.98


@pytest.mark.parametrize(("asked", "expected"), [(0.3, 0.3), ("0.3", 0.3), ("0", 0.0), (1, 1.0)])
def test_working_point_may_be_a_score(straight_lines, asked, expected):
    events = straight_lines(5)
    scores = np.random.default_rng(1).random(len(events.y))
    assert working_point(asked, scores, events.y == 1) == expected


@pytest.mark.parametrize("asked", ["high", "98", "-0.1", "0%", "101 %", "98% purity", "nan", "", "1.2.3"])
def test_working_point_that_is_none_is_refused(straight_lines, asked):
    events = straight_lines(5)
    with pytest.raises(TrackingError, match="98% efficiency"):
        working_point(asked, np.linspace(0, 1, len(events.y)), events.y == 1)


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_are_refused(straight_lines, label):
    events = straight_lines(5)
    events.y[:] = label
    with pytest.raises(TrackingError, match=f"events 1000 to 1004 .*all {label}"):
        check_labels(events)


@pytest.mark.parametrize(
    ("estimate", "metric", "expected"),
    [
        (Estimate(0.98, 0.9797, 0.9803, 9), "hit_efficiency", ("98.00", "±0.03")),
        (Estimate(0.02, 0.0198, 0.0201, 9), "angle_68", ("0.02000", "+0.00010 −0.00020")),
        (Estimate(1.0, 0.99995, 1.0, 9), "track_half", ("100.000", "−0.005")),
        (Estimate(float("nan"), float("nan"), float("nan"), 0), "angle_68", ("–", "")),
        (Estimate(8.09, 8.02, 8.14, 9), "distance_68", ("80900", "+500 −700")),
    ],
)
def test_numbers_are_written_to_the_digits_that_they_have(estimate, metric, expected):
    assert number(estimate, METRICS[metric]) == expected
