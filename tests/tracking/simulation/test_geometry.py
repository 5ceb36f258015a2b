"""The planes stand where the numbers say, and lines cross them where a line equation says."""

from dataclasses import fields, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.geometry import FIT, PLANES, SOURCES, Geometry


def test_every_number_has_a_source():
    assert set(SOURCES) == {field.name for field in fields(Geometry)}


def test_hash_tells_geometries_apart_and_is_the_same_for_equal_ones():
    assert Geometry().hash == FIT.hash
    assert replace(FIT, superlayer_pitch_cm=4.1).hash != FIT.hash


def test_plane_number_is_sector_superlayer_view():
    planes = FIT.planes
    number = (planes.sector * 7 + planes.superlayer) * 2 + planes.view
    np.testing.assert_array_equal(number, np.arange(PLANES))


def test_each_plane_has_a_right_angled_frame_that_points_away_from_the_calorimeter():
    planes, (low, high) = FIT.planes, FIT.calorimeter_cm
    frame = np.stack([planes.u, planes.v, planes.normal], axis=1)
    np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.broadcast_to(np.eye(3), frame.shape))
    from_middle = np.sum((planes.origin_cm - (low + high) / 2) * planes.normal, axis=1)
    assert (from_middle > np.abs(planes.normal) @ ((high - low) / 2)).all()


def test_superlayer_0_is_farthest_and_superlayers_are_a_pitch_apart():
    planes = FIT.planes
    depth = planes.depth_cm.reshape(5, 7, 2)
    np.testing.assert_allclose(np.diff(depth, axis=1), -FIT.superlayer_pitch_cm)
    np.testing.assert_allclose(depth[:, 6, 1], 0)


def test_sectors_are_as_far_from_the_calorimeter_as_the_manual_says():
    inner = FIT.planes.origin_cm.reshape(5, 7, 2, 3)[:, 6, 1]
    half_x, half_y = FIT.calorimeter_half_x_cm, FIT.calorimeter_half_y_cm
    assert inner[0, 2] == 15.0
    np.testing.assert_allclose([inner[1, 0] - half_x, -inner[2, 0] - half_x], 8.63)
    np.testing.assert_allclose([inner[3, 1] - half_y, -inner[4, 1] - half_y], 11.53)


def test_sides_turned_by_a_quarter_stand_on_each_other():
    """The pinwheel: +X turned clockwise, seen from the zenith, is -Y, then -X, +Y."""
    side = FIT.planes.origin_cm.reshape(5, 7, 2, 3)
    clockwise = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for one, following in ((1, 4), (4, 2), (2, 3), (3, 1)):
        np.testing.assert_allclose(side[one] @ clockwise.T, side[following], atol=0.02)


@settings(deadline=None)
@given(
    plane=st.integers(0, PLANES - 1),
    u=st.floats(-60, 60),
    v=st.floats(-60, 60),
    along=st.floats(-2, 2),
    across=st.floats(-2, 2),
    path=st.floats(-300, 300),
)
def test_a_line_through_a_point_of_a_plane_crosses_it_there(plane, u, v, along, across, path):
    planes = FIT.planes
    on_plane = planes.origin_cm[plane] + u * planes.u[plane] + v * planes.v[plane]
    direction = planes.normal[plane] + along * planes.u[plane] + across * planes.v[plane]
    direction = direction / np.linalg.norm(direction)
    at_u, at_v, inside = FIT.cross(on_plane + path * direction, direction, np.array([plane]))
    np.testing.assert_allclose([at_u[0], at_v[0]], [u, v], atol=1e-9)
    edge = 1e-6
    if abs(abs(u) - planes.half_u_cm[plane]) > edge and abs(abs(v) - planes.half_v_cm[plane]) > edge:
        assert inside[0] == (abs(u) < planes.half_u_cm[plane] and abs(v) < planes.half_v_cm[plane])


def test_a_line_along_a_plane_is_not_within_it():
    planes = FIT.planes
    _, _, inside = FIT.cross(np.zeros(3), np.array([1.0, 0.0, 0.0]), np.flatnonzero(planes.sector == 0))
    assert not inside.any()
