"""Label selectors as a table."""

from __future__ import annotations

import pytest

from rayster_testbed.apiserver.errors import ApiError
from rayster_testbed.apiserver.selectors import match_labels, selects, split_fields

LABELS = {"app": "hub", "tier": "web", "size": "3", "rayster.io/user": "ada"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=hub", True),
        ("app==hub", True),
        ("app = hub", True),
        ("app=other", False),
        ("app!=hub", False),
        ("none!=hub", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("! app", False),
        ("app in (hub,lab)", True),
        ("app in ( lab , ray )", False),
        ("app notin (lab)", True),
        ("none notin (lab)", True),
        ("app in (hub),tier=web", True),
        ("app=hub,tier!=web", False),
        ("rayster.io/user=ada", True),
        ("rayster.io/user in (ada, bob),app", True),
        ("none=", False),
        ("size>2", True),
        ("size<3", False),
        ("app>1", False),
        ("", True),
        (" app=hub , tier ", True),
    ],
)
def test_selector_matches(selector, expected):
    matches = match_labels(selector)

    assert (matches is None or matches({"metadata": {"labels": LABELS}})) is expected


@pytest.mark.parametrize("selector", ["=a", "a=b=c", "a in b", "a in (b", "a,,b", "a,", "a b", "a>x", "-a=b"])
def test_bad_selector_is_a_400(selector):
    with pytest.raises(ApiError) as caught:
        match_labels(selector)

    assert caught.value.code == 400


def test_object_without_labels_matches_nothing_but_negations():
    assert not match_labels("a=b")({"metadata": {}})
    assert match_labels("!a")({"metadata": {}})


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param({}, True, id="empty selects all"),
        pytest.param(None, False, id="none selects nothing"),
        pytest.param({"matchLabels": {"app": "hub"}}, True, id="labels"),
        pytest.param({"matchLabels": {"app": "lab"}}, False, id="other label"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "In", "values": ["hub"]}]}, True, id="in"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["hub"]}]}, False, id="not in"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True, id="exists"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False, id="does not exist"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Odd"}]}, False, id="unknown operator"),
    ],
)  # fmt: skip
def test_selector_object_matches(selector, expected):
    assert selects(selector, LABELS) is expected


def test_field_selector_escapes():
    assert split_fields(r"metadata.name=a\,b,spec.x!=c\=d") == [
        ("metadata.name", "=", "a,b"),
        ("spec.x", "!=", "c=d"),
    ]
