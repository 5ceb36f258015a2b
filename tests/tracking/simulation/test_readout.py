"""Hits that touch become one cluster, of the class that gave most of its signal."""

import numpy as np
import pytest

from herd_tracking.events import HIT_CLASSES
from herd_tracking.simulation.readout import merge_hits

PRIMARY, DELTA, BACKSPLASH, NOISE = range(len(HIT_CLASSES))


def merged(*hits, merge_cm=0.05):
    """The clusters of one event with these hits: plane, coordinate in cm, ADC counts, channels, class."""
    raw = np.array(hits, dtype=np.float32)
    clusters, ptr = np.empty_like(raw), np.zeros(2, dtype=np.int64)
    used = merge_hits(raw, np.array([0, len(raw)]), merge_cm, clusters, ptr)
    assert ptr[1] == used
    return clusters[:used]


@pytest.mark.parametrize(("signal", "made_by"), [(80, PRIMARY), (120, DELTA)])
def test_the_larger_signal_gives_its_name(signal, made_by):
    (cluster,) = merged((3, 1.00, 100, 2, PRIMARY), (3, 1.02, signal, 1, DELTA))
    assert cluster[4] == made_by
    assert cluster[2] == 100 + signal
    assert cluster[3] == 3
    assert cluster[1] == pytest.approx((1.00 * 100 + 1.02 * signal) / (100 + signal))


@pytest.mark.parametrize("other", [(3, 1.06), (4, 1.00)], ids=["too far", "another plane"])
def test_hits_that_do_not_touch_stay_apart(other):
    assert len(merged((3, 1.00, 100, 2, PRIMARY), (*other, 100, 1, BACKSPLASH))) == 2


def test_clusters_stand_by_plane_and_coordinate():
    clusters = merged((9, 5, 1, 1, NOISE), (2, 7, 1, 1, NOISE), (2, -7, 1, 1, NOISE), (0, 0, 1, 1, NOISE))
    assert clusters[:, :2].tolist() == [[0, 0], [2, -7], [2, 7], [9, 5]]


def test_hits_of_different_events_never_merge():
    raw = np.array([(3, 1.0, 100, 1, PRIMARY), (3, 1.0, 100, 1, PRIMARY)], dtype=np.float32)
    clusters, ptr = np.empty_like(raw), np.zeros(3, dtype=np.int64)
    assert merge_hits(raw, np.array([0, 1, 2]), 0.05, clusters, ptr) == 2
    assert ptr.tolist() == [0, 1, 2]
