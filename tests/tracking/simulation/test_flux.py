"""The flux of primaries is isotropic: compared with what follows from that in closed form."""

from itertools import product
from math import atan, log, pi, sqrt

import numpy as np
import pytest

from herd_tracking.geometry import FIT
from herd_tracking.simulation import Knobs, kernel
from herd_tracking.simulation.generator import _compiled
from herd_tracking.simulation.knobs import rates

LINES = 20_000
OUTERMOST_CM = float(FIT.planes.origin_cm[0, 2])


@pytest.fixture(scope="module")
def through_the_top():
    """Point (on the calorimeter's upper face) and direction of lines that enter there, whatever planes they cross.

    Whoever goes down through that face comes from the upper half of the sphere, so nothing of the flux is missing.
    """
    draw, all_lines = np.random.default_rng(1), rates(Knobs())._replace(min_superlayers=0.0)
    fit = _compiled(FIT)
    drawn = [kernel._primary(draw, all_lines, fit) for _ in range(LINES)]
    path, point, direction = (np.array([one[part] for one in drawn]) for part in (0, 2, 3))
    entry = point + path[:, None] * direction
    top = np.abs(entry[:, 2] - FIT.calorimeter_cm[1, 2]) < 1e-6
    return entry[top], direction[top]


def kolmogorov(values):
    """Kolmogorov's distance of ``values`` from a uniform distribution on 0 to 1, in units of 1 / sqrt(count)."""
    ordered, count = np.sort(values), len(values)
    steps = np.arange(count + 1) / count
    return max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()) * sqrt(count)


# Larger at a probability of 1e-6.
LIMIT = sqrt(log(2e6) / 2)


def test_directions_follow_the_cosine_law_at_a_face(through_the_top):
    # a flux that is the same from everywhere crosses a face with density 2 cos, so the square of it is uniform
    _, direction = through_the_top
    assert len(direction) > LINES / 4
    assert kolmogorov(direction[:, 2] ** 2) < LIMIT


def test_azimuth_and_place_are_uniform(through_the_top):
    entry, direction = through_the_top
    assert kolmogorov(np.arctan2(direction[:, 1], direction[:, 0]) / (2 * pi) + 0.5) < LIMIT
    low, high = FIT.calorimeter_cm
    for axis in (0, 1):
        assert kolmogorov((entry[:, axis] - low[axis]) / (high[axis] - low[axis])) < LIMIT


def telescope_cm2_sr(half_one, half_other, distance):
    """The geometric factor of two rectangles (J. D. Sullivan, Nucl. Instrum. Methods 95 (1971) 5), in cm^2 sr."""
    total = 0.0
    for (x, x_sign), (y, y_sign) in product(
        ((half_one[0] + half_other[0], 1), (half_one[0] - half_other[0], -1)),
        ((half_one[1] + half_other[1], 1), (half_one[1] - half_other[1], -1)),
    ):
        to_y, to_x = sqrt(distance**2 + y**2), sqrt(distance**2 + x**2)
        part = 2 * x * to_y * atan(x / to_y) + 2 * y * to_x * atan(y / to_x)
        total += x_sign * y_sign * (part - distance**2 * log(distance**2 + x**2 + y**2))
    return total


def test_acceptance_of_the_top_sector_is_that_of_a_telescope(through_the_top):
    # given the part of the lines through the calorimeter's upper face that have crossed the outermost plane of the top
    entry, direction = through_the_top
    back = (OUTERMOST_CM - entry[:, 2]) / direction[:, 2]
    at = entry + back[:, None] * direction
    half_plane = FIT.top_size_cm / 2
    part = np.mean((np.abs(at[:, :2]) <= half_plane).all(axis=1))
    # then it is the geometric factor of both, over that of the face alone
    half = (FIT.calorimeter_half_x_cm, FIT.calorimeter_half_y_cm)
    expected = telescope_cm2_sr(half, (half_plane, half_plane), OUTERMOST_CM) / (pi * 4 * half[0] * half[1])
    assert part == pytest.approx(expected, abs=4 * sqrt(expected * (1 - expected) / len(entry)))
