import pytest
from rayster_lab.launcher.gcs import HeadVersions, versions_in
from rayster_lab.launcher.versions import difference


@pytest.mark.parametrize(
    ("cluster", "environ"),
    [
        pytest.param(("2.60.0", "3.11.7"), {}, id="the same"),
        pytest.param((None, None), {}, id="nothing told"),
        pytest.param(
            ("2.60.0", "3.11.9"), {"RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor"}, id="patch of no matter"
        ),
    ],
)
def test_versions_that_ray_takes_are_no_difference(cluster, environ):
    assert difference(*cluster, "2.60.0", "3.11.7", environ) is None


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        pytest.param(("2.59.0", "3.11.7"), ["Ray is 2.60.0 here and 2.59.0 there"], id="Ray"),
        pytest.param(("2.60.0", "3.11.9"), ["Python is 3.11.7 here and 3.11.9 there"], id="Python's patch"),
        pytest.param(("2.59.0", "3.12.1"), ["Ray is 2.60.0", "Python is 3.11.7"], id="both"),
    ],
)
def test_versions_that_ray_refuses_are_named_with_what_to_do(cluster, words):
    sentence = difference(*cluster, "2.60.0", "3.11.7", {})

    assert sentence is not None
    assert all(word in sentence for word in [*words, "choose an image"]), sentence


@pytest.mark.parametrize(
    ("alive", "stored", "expected"),
    [
        pytest.param(
            b"\x0a\x00\x12\x062.60.0\x20\x01",
            b"\x0a\x00\x12\x1c" + b'{"python_version": "3.11.7"}',
            ("2.60.0", "3.11.7"),
            id="both",
        ),
        pytest.param(b"", b"", (None, None), id="nothing"),
        pytest.param(b"\x12\xff\xff\xff\x7f2", b"\x12\x02[]", (None, None), id="nonsense"),
        pytest.param(b"\x80", b"\x12\x01{", (None, None), id="cut off"),
    ],
)
def test_a_gcs_answers_are_read_as_far_as_they_make_sense(alive, stored, expected):
    assert versions_in(alive, stored) == HeadVersions(*expected)
