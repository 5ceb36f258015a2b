"""What the panel's side in the kernel does: tells, acts, and passes logs on in bounds."""

import threading

import pytest
from rayster_lab.attaching import Attached, Driver
from rayster_lab.client.feed import Snapshot
from rayster_lab.client.status import ClusterStatus
from rayster_lab.widget.actions import Actions
from rayster_lab.widget.assets import script
from rayster_lab.widget.log_streams import LogStreams
from rayster_lab.widget.told import told

from .stub_service import cluster, error

ID = "ray-0000000001"


def snapshot(*clusters, **other) -> Snapshot:
    return Snapshot(tuple(ClusterStatus.from_json(one) for one in clusters), 100.0, **other)


@pytest.fixture
def actions(here) -> Actions:
    return Actions(here.service, Driver(), "")


def test_a_panel_of_all_is_told_all_with_the_attachment_and_the_kernels_clock():
    seen = told(snapshot(cluster("ray-a"), cluster("ray-b")), Attached("ray-b"), 123.0)
    assert [one["id"] for one in seen["clusters"]] == ["ray-a", "ray-b"]
    assert seen["attached"] == {"cluster": "ray-b", "lost": ""}
    assert seen["at"] == 123.0


def test_a_panel_of_one_is_told_of_that_one_and_keeps_it_when_it_is_gone():
    first = told(snapshot(cluster("ray-a"), cluster("ray-b")), None, 1.0, "ray-b")
    assert [one["id"] for one in first["clusters"]] == ["ray-b"]
    last = told(snapshot(cluster("ray-a")), None, 2.0, "ray-b", first)
    assert last["is_gone"]
    assert [one["id"] for one in last["clusters"]] == ["ray-b"]


def test_before_anything_is_heard_a_panel_knows_that_it_does_not_know():
    seen = told(Snapshot(None, None, 5.0, "away"), None, 9.0, "ray-b")
    assert (seen["clusters"], seen["is_gone"], seen["lost_since"], seen["fault"]) == (
        None,
        False,
        5.0,
        "away",
    )


def test_an_empty_field_is_the_profiles_default(stub, actions):
    asked = {"profile": "padova-slurm", "workers": 0, "cpus": 2, "gpus": "", "name": "", "surprise": 1}
    assert actions.do({"do": "start", "request": asked})["kind"] == "done"
    assert stub.asked("POST", "clusters") == [
        {"profile": "padova-slurm", "workers": 0, "cpus": 2, "server": ""}
    ]


def test_an_action_that_is_refused_says_which_fields(stub, actions):
    fields = [{"field": "workers", "value": "99", "reason": "must be 0 to 8"}]
    stub.answer_once("POST", "clusters", lambda: error(400, "bad-request", "all", fields))
    answer = actions.do({"do": "start", "request": {"workers": 99}})
    assert (answer["kind"], answer["fields"]) == ("failed", fields)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"do": "rm -rf"}, id="unknown"),
        pytest.param({"do": "stop"}, id="no cluster"),
        pytest.param({"do": "stop", "cluster": "../profiles"}, id="a path"),
        pytest.param({"do": "stop", "cluster": 7}, id="a number"),
        pytest.param({"do": "start", "request": 7}, id="no request"),
    ],
)  # fmt: skip
def test_what_a_page_should_not_say_is_refused_and_nothing_asked(stub, actions, content):
    assert actions.do(content)["kind"] == "failed"
    assert stub.requests == []


def test_the_script_is_one_module():
    text = script()
    assert text.count("export ") == text.count("export default {") == 1
    assert "\nimport " not in text


class Sent:
    """What is sent to the pages."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self._bell = threading.Condition()

    def __call__(self, message: dict) -> None:
        with self._bell:
            self.messages.append(message)
            self._bell.notify_all()

    def wait(self, what, seconds: float = 20) -> None:
        with self._bell:
            assert self._bell.wait_for(lambda: what(self), seconds), self.messages

    @property
    def lines(self) -> list[str]:
        return [line for message in self.messages for line in message["lines"]]


def test_a_log_is_passed_on_until_its_view_closes(stub, here):
    stub.tell(cluster(ID))
    sent = Sent()
    logs = LogStreams(here.service, sent)
    logs.open("view", ID, None)
    sent.wait(lambda now: "Ray runtime started." in now.lines)
    passing = [thread for thread in threading.enumerate() if thread.name == "rayster-log-out"]
    assert passing
    logs.close("view")
    for thread in passing:
        thread.join(20)
        assert not thread.is_alive()


def test_a_log_that_cannot_be_had_says_why(stub, here):
    sent = Sent()
    LogStreams(here.service, sent).open("view", "ray-none", None)
    sent.wait(lambda now: now.messages and now.messages[-1]["end"])
    assert "There is no cluster" in sent.messages[-1]["end"]


def test_a_log_that_is_faster_than_the_panel_is_cut_and_says_so(stub, here):
    stub.tell(cluster(ID))
    stub.log_lines = ["x" * 10_000] + [f"line {number}" for number in range(30_000)]
    sent = Sent()
    LogStreams(here.service, sent).open("view", ID, None)
    sent.wait(lambda now: "line 29999" in now.lines)
    assert any("lines left out" in line for line in sent.lines)
    assert max(len(message["lines"]) for message in sent.messages) <= 1001
    assert max(map(len, sent.lines)) <= 4000
