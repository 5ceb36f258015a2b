"""What is told of a server, for what its pod, its site and the time say."""

from typing import Any

import pytest

from rayster_spawner.service.pod_cache import trim
from rayster_spawner.service.server_state import UNSEEN_SECONDS, tell_server
from rayster_spawner.site_facts import HeardJob, SiteJob

NOW = 1_800_000_000.0


def pod(site: str = "padova", **annotations: str) -> dict[str, Any]:
    marks = {"hub.jupyter.org/username": "ada", "rayster.dev/spawn-id": "s", **annotations}
    metadata = {
        "name": "jupyter-ada",
        "uid": "u-1",
        "creationTimestamp": "2027-01-15T07:50:00Z",
        "labels": {"rayster.dev/site": site},
        "annotations": marks,
    }
    return trim({"metadata": metadata, "spec": {"nodeName": "n"}})


def word(expected_start_in_seconds: float = 840, fresh: bool = True, **job: Any) -> HeardJob:
    known = {
        "id": "12",
        "pod_uid": "u-1",
        "state": "pending",
        "expected_start_in_seconds": expected_start_in_seconds,
    }
    return HeardJob(SiteJob.model_validate({**known, **job}), 4.0, fresh)


def told(pod: Any, *heard: HeardJob, now: float = NOW, age_seconds: float = 1, unseen: float = 0) -> Any:
    return tell_server(pod, list(heard), now, age_seconds, unseen)


def test_a_page_without_a_pod_is_told_so_after_a_while():
    assert told(None).event["state"] == "submitted"
    assert told(None, unseen=UNSEEN_SECONDS).event["state"] == "gone"


def test_every_event_has_the_same_keys():
    assert set(told(None).event) == set(told(pod(), word()).event)


REQUESTED = [
    ("spawners-word", {"rayster.dev/requested-at": str(NOW - 90)}, 90),
    ("spawners-word-in-pieces-of-seconds", {"rayster.dev/requested-at": f"{NOW - 90.5}"}, 90),
    ("pods-age", {}, 600),
    ("no-number", {"rayster.dev/requested-at": "yesterday"}, 600),
    ("not-a-number", {"rayster.dev/requested-at": "nan"}, 600),
    ("without-end", {"rayster.dev/requested-at": "-inf"}, 600),
    ("from-the-future", {"rayster.dev/requested-at": str(NOW + 9000)}, 0),
]


@pytest.mark.parametrize(
    "annotations,seconds", [row[1:] for row in REQUESTED], ids=[row[0] for row in REQUESTED]
)
def test_the_time_so_far_counts_from_the_request(annotations, seconds):
    assert told(pod(**annotations)).event["elapsed_seconds"] == seconds


def test_a_cloud_server_has_no_site():
    assert told(pod(site="cloud")).event["site"] == ""


def test_a_start_that_comes_nearer_is_no_news():
    # given
    first = told(pod(), word(840))
    # then
    assert told(pod(), word(810), now=NOW + 30).key == first.key
    assert told(pod(), word(1500), now=NOW + 30).key != first.key


def test_a_better_place_is_news():
    assert told(pod(), word(position=2)).key != told(pod(), word(position=3)).key


def test_a_cluster_that_does_not_answer_is_remarked():
    # when
    late = told(pod(), word(), age_seconds=61)
    # then
    assert "does not answer" in late.event["note"]
    assert late.key != told(pod(), word()).key
    assert late.event["state"] == told(pod(), word()).event["state"]
