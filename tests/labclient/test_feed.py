"""The stream of clusters: one for all, and it comes back."""

import queue

import pytest
from rayster_lab.client.events import read_events

from .stub_service import cluster, error


def heard(news: "queue.Queue", what, seconds: float = 20):
    """Return the first snapshot that ``what`` is true of."""
    while True:
        snapshot = news.get(timeout=seconds)
        if what(snapshot):
            return snapshot


@pytest.fixture
def news(here):
    """Everything that a listener hears."""
    found: queue.Queue = queue.Queue()
    stop = here.feed.listen(found.put)
    yield found
    stop()


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param('event: a\ndata: {"x": 1}\n\n', [("a", {"x": 1})], id="one"),
        pytest.param(": alive\n\n", [("", None)], id="keepalive"),
        pytest.param('event: a\ndata: {"x":\ndata: 1}\n\n', [("a", {"x": 1})], id="two lines"),
        pytest.param('event: a\ndata: nonsense\n\nevent: b\ndata: {}\n\n', [("b", {})], id="nonsense is left out"),
        pytest.param("event: a\ndata: [1]\n\n", [], id="no object"),
        pytest.param('event: a\ndata: {"x": 1}', [], id="broken off"),
    ],
)  # fmt: skip
def test_events_are_read(text, events):
    assert list(read_events(text.split("\n"))) == events


def test_a_listener_hears_of_every_change(stub, news):
    stub.tell(cluster("ray-a", message="first"))
    heard(news, lambda now: now.cluster("ray-a"))
    stub.tell(cluster("ray-a", message="second"))
    assert heard(news, lambda now: now.cluster("ray-a").message == "second").lost_since is None


def test_all_listeners_of_a_kernel_share_one_stream(stub, here, news):
    heard(news, lambda now: now.clusters == ())
    others: queue.Queue = queue.Queue()
    stop = here.feed.listen(others.put)
    assert others.get(timeout=20).clusters == ()
    stop()
    assert stub.streams_opened == 1


def test_it_comes_back_when_the_service_is_started_anew(stub, news):
    heard(news, lambda now: now.clusters is not None)
    stub.is_streaming = False
    stub.drop_streams()
    lost = heard(news, lambda now: now.lost_since is not None)
    assert "started anew" in lost.fault
    assert lost.clusters == ()
    stub.is_streaming = True
    stub.tell(cluster("ray-a"))
    assert heard(news, lambda now: now.cluster("ray-a")).lost_since is None


def test_it_says_since_when_nothing_is_heard_however_often_it_tries(stub, here, news):
    heard(news, lambda now: now.clusters is not None)
    stub.answer_once("GET", "clusters/events", *[lambda: error(503, "unavailable", "not yet")] * 2)
    stub.drop_streams()
    first = heard(news, lambda now: now.lost_since is not None)
    second = heard(news, lambda now: "Not yet." in now.fault)
    assert second.lost_since == first.lost_since
    heard(news, lambda now: now.lost_since is None)


def test_a_listener_that_fails_does_not_keep_the_news_from_others(stub, here, news):
    def fail(snapshot):
        raise RuntimeError("mine")

    heard(news, lambda now: now.clusters is not None)
    stop = here.feed.listen(lambda snapshot: None)
    here.feed._listeners.insert(0, fail)
    stub.tell(cluster("ray-a"))
    heard(news, lambda now: now.cluster("ray-a"))
    stop()


def test_what_is_not_understood_does_not_end_the_feed(stub, news):
    stub.tell({"name": "without an id"})
    stub.tell(cluster("ray-a"))
    heard(news, lambda now: now.clusters and now.cluster("ray-a"))


def test_the_stream_ends_when_nobody_listens(stub, here):
    news: queue.Queue = queue.Queue()
    stop = here.feed.listen(news.put)
    heard(news, lambda now: now.clusters is not None)
    thread = here.feed._thread
    stop()
    thread.join(20)
    assert not thread.is_alive()
