"""One call measures all: baselines where they must be, bins that add up, files that come back, errors that say why."""

import json

import numpy as np
import pytest

from herd_tracking.events import TrackingError
from herd_tracking.physics.baselines import ALL_HITS, LINE_SEARCH, ROAD_HOUGH, TRUTH, baselines, truth_scores
from herd_tracking.physics.evaluation import evaluate
from herd_tracking.physics.matching import impact_closed_form_cm
from herd_tracking.physics.saved import load_evaluation
from herd_tracking.physics.variables import OF_HITS, OF_TRACKS

NETWORK = "network"


def network_scores(events, seed=1):
    logit = np.where(events.y == 1, 2.5, -2.5) + np.random.default_rng(seed).normal(0, 1.5, len(events.y))
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


@pytest.fixture(scope="module")
def measured(straight_lines, geometry):
    events = straight_lines(2_000, noise=30, efficiency=0.95)
    scores = {NETWORK: network_scores(events)} | baselines(events, geometry)
    return events, evaluate(events, scores, geometry=geometry)


def value(evaluation, method, metric):
    return evaluation.methods[method].numbers[metric].value


def test_truth_is_perfect(measured):
    _, evaluation = measured
    for metric in ("hit_efficiency", "hit_purity", "track_half", "track_perfect"):
        assert value(evaluation, TRUTH, metric) == 1
    assert value(evaluation, TRUTH, "fake_rate") == 0
    assert value(evaluation, TRUTH, "angle_68") == pytest.approx(0.02, abs=0.002)


def test_impact_points_of_true_hits_are_as_good_as_the_closed_form_says(straight_lines, geometry):
    # given tracks with a hit in each superlayer, in the top sector and a side
    events = straight_lines(4_000, noise=0.2, sectors=(0, 3))
    evaluation = evaluate(events, {TRUTH: truth_scores(events)}, geometry=geometry)
    found = evaluation.methods[TRUTH].binned
    for sector, psd_cm, calorimeter_cm in ((0, 6.1, 15.0), (3, 7.75, 45.0 - 36.0)):
        # then they are off as a line is that is fitted to points 4 cm apart, so far from the middle one
        for face, away in {"calo": calorimeter_cm, "psd": psd_cm, "scd": psd_cm + 1 + 2}.items():
            expected = impact_closed_form_cm(0.005, 4.0, 3 * 4.0 + away)
            one = found[f"impact_{face}_68"]["sector"][sector]
            assert one.value == pytest.approx(expected, rel=0.05), (face, sector)


def test_no_rejection_keeps_all_and_points_nowhere(measured):
    events, evaluation = measured
    assert value(evaluation, ALL_HITS, "hit_efficiency") == 1
    assert value(evaluation, ALL_HITS, "hit_purity") == pytest.approx(np.mean(events.y))
    assert value(evaluation, ALL_HITS, "angle_68") > 1


def test_line_search_alone_keeps_all_and_yet_finds_most_tracks(measured):
    _, evaluation = measured
    for metric in ("hit_efficiency", "hit_purity"):
        assert value(evaluation, LINE_SEARCH, metric) == value(evaluation, ALL_HITS, metric)
    assert evaluation.methods[LINE_SEARCH].seeded and not evaluation.methods[ALL_HITS].seeded
    assert value(evaluation, LINE_SEARCH, "track_half") > 0.8 > value(evaluation, ALL_HITS, "track_half")


def test_a_good_network_is_between_truth_and_no_rejection(measured):
    _, evaluation = measured
    assert value(evaluation, NETWORK, "hit_efficiency") == pytest.approx(0.98, abs=0.001)
    assert value(evaluation, NETWORK, "angle_68") < 2 * value(evaluation, TRUTH, "angle_68")
    perfect = [value(evaluation, name, "track_perfect") for name in (ALL_HITS, NETWORK, TRUTH)]
    assert perfect == sorted(perfect)
    assert value(evaluation, ROAD_HOUGH, "track_half") > 0.95


def test_each_metric_is_there_against_each_variable_with_its_interval(measured):
    _, evaluation = measured
    for method in evaluation.methods.values():
        for metric, by_variable in method.binned.items():
            assert set(by_variable) == set(OF_HITS if metric.startswith(("hit", "background")) else OF_TRACKS)
            for variable, found in by_variable.items():
                assert len(found) == len(evaluation.edges[variable]) - 1
                some = found.of > 0
                assert some.any()
                assert (found.low[some] <= found.value[some]).all()
                assert (found.value[some] <= found.high[some]).all()


def test_bins_add_up_to_the_whole(measured):
    events, evaluation = measured
    method = evaluation.methods[NETWORK]
    for metric, by_variable in method.binned.items():
        if metric.startswith(("angle", "impact")):
            continue
        whole = method.numbers[metric]
        for variable, found in by_variable.items():
            assert found.of.sum() == whole.of, (metric, variable)
            assert np.nansum(found.value * found.of) == pytest.approx(whole.value * whole.of), (
                metric,
                variable,
            )
    assert method.curves.score_counts.sum() == len(events.y)
    assert method.angle_counts.sum() == method.numbers["angle_68"].of


def test_confusion_by_class_adds_up_to_the_background(measured):
    _, evaluation = measured
    numbers = evaluation.methods[NETWORK].numbers
    parts = [numbers[f"kept_{kind}"] for kind in ("delta", "backsplash", "noise")]
    whole = numbers["background_kept"]
    assert sum(part.value * part.of for part in parts) == pytest.approx(whole.value * whole.of)


def test_fit_takes_more_hits_than_the_working_point(measured):
    _, evaluation = measured
    method = evaluation.methods[NETWORK]
    assert 0 < method.fit_threshold < method.threshold


def test_swapped_scores_are_seen(straight_lines, geometry):
    # given a network that says the opposite of the truth
    events = straight_lines(200)
    evaluation = evaluate(events, {NETWORK: 1 - network_scores(events)}, geometry=geometry)
    assert value(evaluation, NETWORK, "auc") < 0.1


def test_track_of_wrong_hits_is_a_fake(straight_lines, geometry):
    # given events whose straight line is called background, and of which one hit per event is called the primary's
    events = straight_lines(100, noise=0, sectors=(0,))
    events.y[:] = 0
    events.y[events.node_ptr[:-1]] = 1
    # when that line is found
    evaluation = evaluate(events, {NETWORK: np.ones(len(events.y))}, geometry=geometry)
    # then it is a fake
    fakes = evaluation.methods[NETWORK].numbers["fake_rate"]
    assert (fakes.value, fakes.of) == (1.0, 100)


def test_saved_evaluation_comes_back_whole(measured, tmp_path):
    _, evaluation = measured
    evaluation.save(tmp_path / "new" / "evaluation.json")
    again = load_evaluation(tmp_path / "new" / "evaluation.json")
    assert again.about == evaluation.about
    method, other = evaluation.methods[NETWORK], again.methods[NETWORK]
    assert other.numbers == method.numbers
    assert np.array_equal(other.curves.purity, method.curves.purity)
    found = method.binned["angle_68"]["planes"]
    assert np.array_equal(other.binned["angle_68"]["planes"].value, found.value, equal_nan=True)
    assert np.array_equal(again.examples[0].events.x, evaluation.examples[0].events.x)
    assert again.examples[0].events.x.dtype == np.float32


def test_truncated_file_is_refused(measured, tmp_path):
    _, evaluation = measured
    path = tmp_path / "evaluation.json"
    evaluation.save(path)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(TrackingError, match="truncated"):
        load_evaluation(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "schema 'list'"),
        ({"schema": 99}, "schema 99"),
        ({"schema": 1, "evaluation": {"kind": "Evaluation"}}, "not an evaluation"),
        ({"schema": 1, "evaluation": {"kind": "Popen"}}, "not an evaluation"),
        ({"schema": 1, "evaluation": {}}, "holds no evaluation"),
    ],
)
def test_foreign_file_is_refused_with_the_reason(tmp_path, content, reason):
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(TrackingError, match=reason):
        load_evaluation(tmp_path / "other.json")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(TrackingError, match=r"none\.json"):
        load_evaluation(tmp_path / "none.json")


def test_no_events_are_refused(straight_lines, geometry):
    with pytest.raises(TrackingError, match="no events"):
        evaluate(straight_lines(3).take(0, 0), {}, geometry=geometry)


def test_empty_event_is_named(straight_lines, geometry):
    events = straight_lines(3)
    events.node_ptr[1] = 0
    with pytest.raises(TrackingError, match="event 1000: has no hits"):
        evaluate(events, {}, geometry=geometry)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.nan, "event 1000, hit 2: weight nan"),
        (7.5, r"largest 7\.5.*sigmoid"),
        (-1.0, "event 1000, hit 2: weight -1"),
    ],
)
def test_wrong_scores_are_refused_by_name(straight_lines, geometry, wrong, reason):
    events = straight_lines(3)
    scores = network_scores(events)
    scores[2] = wrong
    with pytest.raises(TrackingError, match=f"'{NETWORK}'.*{reason}"):
        evaluate(events, {NETWORK: scores}, geometry=geometry)
