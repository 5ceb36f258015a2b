"""What the client says and does when the service refuses, is away, or is something else."""

import httpx
import pytest
from rayster_lab.client.access import Access
from rayster_lab.client.errors import (
    ClusterError,
    NoService,
    NoSuchCluster,
    NotReady,
    Refused,
    ServiceAway,
)
from rayster_lab.client.service import Service

URL = "http://hub.example/services/rayster"


class Answers:
    """Gives the answers in order, the last one for ever; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []

    def service(self) -> Service:
        return Service(Access(URL, "secret"), httpx.MockTransport(self._answer), self.pauses.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(status: int, code: str = "x", message: str = "no", headers=None, **more) -> httpx.Response:
    said = {"error": {"code": code, "message": message, **more}}
    return httpx.Response(status, json=said, headers=headers or {})


GOOD = httpx.Response(200, json={"clusters": []})


def test_it_asks_with_the_servers_own_token():
    answers = Answers(GOOD)
    assert answers.service().get("clusters") == {"clusters": []}
    assert str(answers.asked[0].url) == f"{URL}/api/clusters"
    assert answers.asked[0].headers["authorization"] == "token secret"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        pytest.param(error(401, "unauthorized", "the hub does not know this token"), Refused, "start it again", id="401"),
        pytest.param(error(403, "forbidden", "not yours"), Refused, "Not yours.", id="403"),
        pytest.param(error(404, "not-found", "There is none."), NoSuchCluster, "There is none.", id="404"),
        pytest.param(error(409, "not-ready", "Its head is not up yet."), NotReady, "not up yet", id="not-ready"),
        pytest.param(error(409, "limit", "You have 2 of 2 clusters."), Refused, "2 of 2", id="limit"),
        pytest.param(error(503, "not-served", "There are no Ray clusters here."), ServiceAway, "no Ray clusters", id="503"),
        pytest.param(httpx.Response(200, text="<html>"), ServiceAway, "is not RaySTER's service", id="html"),
        pytest.param(httpx.Response(200, json=[1]), ServiceAway, "is not RaySTER's service", id="a list"),
        pytest.param(
            httpx.Response(302, headers={"location": "http://evil.example/"}), ServiceAway, "evil.example", id="redirect"
        ),
        pytest.param(httpx.Response(500, text="oops"), ServiceAway, "HTTP 500", id="500"),
    ],
)  # fmt: skip
def test_each_error_is_a_sentence_of_its_kind(answer, kind, words):
    with pytest.raises(kind) as caught:
        Answers(answer).service().post("clusters/ray-1/restart")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_wrong_fields_are_named_each_on_a_line():
    fields = [
        {"field": "workers", "value": "99", "reason": "must be 0 to 8"},
        {"field": "memory", "value": "'much'", "reason": "must be an amount"},
    ]
    with pytest.raises(Refused) as caught:
        Answers(error(400, "bad-request", "all", fields=fields)).service().post("clusters", {"workers": 99})
    assert str(caught.value) == "workers = 99: must be 0 to 8.\nmemory = 'much': must be an amount."
    assert caught.value.fields[0]["field"] == "workers"


def test_a_question_is_asked_again_when_the_answer_breaks_off():
    answers = Answers(httpx.ReadError("broken"), httpx.ReadTimeout("late"), GOOD)
    answers.service().get("clusters")
    assert len(answers.asked) == 3
    assert answers.pauses == [0.3, 1.0]


def test_a_question_is_not_asked_for_ever():
    answers = Answers(httpx.ReadError("broken"))
    with pytest.raises(ServiceAway, match="does not answer"):
        answers.service().get("clusters")
    assert len(answers.asked) == 4


def test_an_order_that_may_have_arrived_is_not_given_twice():
    answers = Answers(httpx.ReadError("broken"))
    with pytest.raises(ServiceAway, match=r"may have done .*RayCluster\.list"):
        answers.service().post("clusters", {"profile": "p"})
    assert len(answers.asked) == 1


def test_an_order_that_has_certainly_not_arrived_is_given_again():
    answers = Answers(httpx.ConnectError("refused"), httpx.Response(201, json={"id": "ray-1"}))
    assert answers.service().post("clusters", {"profile": "p"}) == {"id": "ray-1"}


def test_it_waits_as_long_as_the_service_asks_for_but_not_long():
    soon = error(503, "unavailable", "just started", headers={"retry-after": "2"})
    answers = Answers(soon, GOOD)
    answers.service().get("clusters")
    assert answers.pauses == [2.0]
    late = Answers(error(503, "unavailable", "come tomorrow", headers={"retry-after": "86400"}))
    with pytest.raises(ServiceAway):
        late.service().get("clusters")
    assert late.pauses == []


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        pytest.param({}, "RAYSTER_SERVICE_URL and JUPYTERHUB_API_TOKEN is not set", id="neither"),
        pytest.param({"RAYSTER_SERVICE_URL": URL}, "JUPYTERHUB_API_TOKEN is not set", id="no token"),
        pytest.param({"RAYSTER_SERVICE_URL": "file:///etc", "JUPYTERHUB_API_TOKEN": "t"}, "must begin with", id="no http"),
    ],
)  # fmt: skip
def test_a_kernel_that_knows_of_no_service_says_so(environ, words):
    with pytest.raises(NoService) as caught:
        Access.from_environ(environ)
    assert words in str(caught.value)


def test_a_notebook_shows_the_sentence_and_no_stack():
    assert ClusterError("It is so.")._render_traceback_() == ["ClusterError: It is so."]


def test_a_token_is_in_no_text_of_the_access():
    assert "secret" not in repr(Access(URL, "secret"))
