"""A cluster's dashboard under a path of the service: for programs with a token, for browsers with a ticket."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rayster_spawner.service.dashboard_access import make_ticket, opens
from rayster_spawner.service.dashboard_headers import from_head, moved_to, to_head

from ..conftest import SERVICE_TOKEN
from .ray_stub import Head, KubeRay, eventually

ADA = {"Authorization": "token of-ada"}
PAGE = "<!doctype html><html><head><title>Ray Dashboard</title></head></html>"


async def dashboard(request):
    if request.path == "/":
        headers = {
            "Set-Cookie": "evil=1; Path=/",
            "Service-Worker-Allowed": "/",
            "Server": "x",
            "Etag": '"1"',
        }
        return web.Response(text=PAGE, content_type="text/html", headers=headers)
    if request.path == "/static/js/main.js":
        return web.Response(text="js()", content_type="text/javascript")
    if request.path == "/moved":
        raise web.HTTPFound(request.query["to"])
    if request.path == "/slow":
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await asyncio.sleep(3600)
    if request.path == "/api/jobs/" and request.method == "POST":
        return web.json_response({"submission_id": "raysubmit_1"})
    return None


@pytest.fixture
async def head(ada, cluster, rays) -> AsyncIterator[Head]:
    """A head that runs, whose dashboard has a page."""
    kuberay = KubeRay(cluster, rays)
    cluster_id = (await ada.make(workers=1))["id"]
    head = await Head(cluster_id).start()
    head.id, head.spoil = cluster_id, dashboard
    head.uid = rays.get(cluster_id)["metadata"]["uid"]
    kuberay.reach(cluster_id, head)
    kuberay.run(kuberay.add(cluster_id, head=True))

    async def is_up() -> bool:
        return (await ada.ask("GET", f"clusters/{cluster_id}"))[1]["head"] is not None and bool(head.asked)

    await eventually(is_up)
    yield head
    await head.stop()


def url(service, head: Head, path: str = "") -> str:
    return f"{service.url}/services/rayster/api/clusters/{head.id}/dashboard/{path}"


def last(head: Head, path: str) -> web.Request:
    return next(request for request in reversed(head.asked) if request.path == path)


async def test_a_program_reaches_it_with_its_hub_token_and_the_head_sees_the_clusters(service, head):
    headers = {**ADA, "Cookie": "service-rayster=secret", "X-Forwarded-For": "1.2.3.4", "Accept": "text/html"}
    async with service.session.get(url(service, head), headers=headers) as answer:
        assert (answer.status, await answer.text()) == (200, PAGE)
    seen = last(head, "/").headers
    assert seen["Authorization"] == f"Bearer {head.token}" and seen["Accept"] == "text/html"
    assert not {"Cookie", "X-Forwarded-For", "Referer", "Origin"} & set(seen)


async def test_jobs_are_submitted_with_a_token(service, head):
    body = b"x" * 3_000_000
    async with service.session.post(url(service, head, "api/jobs/"), headers=ADA, data=body) as answer:
        assert (answer.status, await answer.json()) == (200, {"submission_id": "raysubmit_1"})
    assert head.bodies[head.asked.index(last(head, "/api/jobs/"))] == body


async def test_paths_and_queries_arrive_as_they_were_sent(service, head):
    from yarl import URL

    path = "api/v0/logs/file?filename=a%2Fb%20c&x=%C3%A4"
    async with service.session.get(URL(url(service, head, path), encoded=True), headers=ADA) as answer:
        assert answer.status == 404
    assert last(head, "/api/v0/logs/file").raw_path == "/" + path
    async with service.session.get(
        URL(url(service, head, "a%2Fb/%7Ec"), encoded=True), headers=ADA
    ) as answer:
        assert answer.status == 404
    assert head.asked[-1].raw_path == "/a%2Fb/%7Ec"


async def test_nothing_of_the_answer_touches_the_hubs_host(service, head):
    async with service.session.get(url(service, head), headers=ADA) as answer:
        headers = answer.headers
    assert not {"Set-Cookie", "Service-Worker-Allowed"} & set(headers)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ") and "allow-same-origin" not in policy
    assert (headers["Cross-Origin-Opener-Policy"], headers["Referrer-Policy"]) == (
        "same-origin",
        "no-referrer",
    )
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_browser_is_sent_to_log_in_with_state_and_pkce(service, head):
    async with service.session.get(url(service, head), allow_redirects=False) as answer:
        assert answer.status == 302
        location, cookies = answer.headers["Location"], answer.headers.getall("Set-Cookie")
    assert location.startswith("/hub/api/oauth2/authorize?client_id=service-rayster&redirect_uri=")
    assert "state=" in location
    state = next(cookie for cookie in cookies if "oauth-state" in cookie)
    assert "HttpOnly" in state and "Path=/services/rayster/" in state and "samesite=lax" in state.lower()
    assert head.asked[-1].path != "/"


async def test_a_script_is_not_sent_to_log_in(service, head):
    for mode in ("cors", "same-origin", "no-cors"):
        headers = {"Sec-Fetch-Mode": mode}
        async with service.session.get(url(service, head), headers=headers, allow_redirects=False) as answer:
            assert answer.status == 401


async def test_a_ticket_opens_the_dashboard_for_reading(service, head):
    ticket = make_ticket(SERVICE_TOKEN, head.uid)
    async with service.session.get(url(service, head, f"~{ticket}/")) as answer:
        page = await answer.text()
        assert answer.status == 200 and "localStorage" in page and page.endswith(PAGE.partition("<head>")[2])
        assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers.get("Etag") != '"1"'
    async with service.session.get(url(service, head, f"~{ticket}/static/js/main.js")) as answer:
        assert (await answer.text(), answer.headers["Content-Type"]) == (
            "js()",
            "text/javascript; charset=utf-8",
        )
    async with service.session.options(url(service, head, f"~{ticket}/api/version")) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD")
    for method in ("POST", "PUT", "DELETE"):
        async with service.session.request(method, url(service, head, f"~{ticket}/api/jobs/")) as answer:
            assert answer.status == 405
    assert all(request.method == "GET" for request in head.asked)


async def test_a_ticket_is_good_for_one_cluster(service, head):
    for ticket in (make_ticket(SERVICE_TOKEN, "another"), make_ticket("another key", head.uid), "x", "~", "%2e%2e", "A" * 5000):  # fmt: skip
        async with service.session.get(url(service, head, f"~{ticket}/")) as answer:
            assert answer.status == 404


async def test_somebody_elses_dashboard_is_unknown(service, head):
    for header in ("token of-bruno", "token nobody", "Bearer x"):
        async with service.session.get(url(service, head), headers={"Authorization": header}) as answer:
            assert answer.status in (401, 404)
    # an administrator who may not enter servers may not enter clusters
    async with service.session.get(
        url(service, head), headers={"Authorization": "token of-operator"}
    ) as answer:
        assert answer.status == 403
    async with service.session.get(url(service, head), headers={"Authorization": "token of-admin"}) as answer:
        assert answer.status == 200
    assert [request.path for request in head.asked].count("/") == 1


async def test_redirects_stay_inside(service, head):
    base = f"/services/rayster/api/clusters/{head.id}/dashboard/"
    for to, expected in (
        ("/x", base + "x"),
        ("x/y", "x/y"),
        ("https://evil.example/", None),
        ("//evil.example", None),
    ):
        async with service.session.get(url(service, head, "moved"), params={"to": to}, headers=ADA, allow_redirects=False) as answer:  # fmt: skip
            assert (answer.status, answer.headers.get("Location")) == (
                (302, expected) if expected else (502, None)
            )


async def test_answers_stream(service, head):
    async with service.session.get(url(service, head, "slow"), headers=ADA) as answer:
        assert await asyncio.wait_for(answer.content.readany(), 10) == b"begun"


async def test_without_a_head_it_says_so(service, ada):
    cluster_id = (await ada.make())["id"]
    status, answer = await service.get(f"api/clusters/{cluster_id}/dashboard/", "token of-ada")
    assert (status, answer["error"]["code"]) == (409, "not-ready")


async def test_a_head_that_is_gone_is_said(service, head):
    await head.stop()
    status, answer = await service.get(f"api/clusters/{head.id}/dashboard/", "token of-ada")
    assert (status, answer["error"]["code"]) == (502, "head-silent")


MOVES = [("/a", "/p/a"), ("a", "a"), ("a?x=:", "a?x=:"), ("//h", None), ("/\\h", None), ("\\h", None), ("http:x", None), ("javascript:x", None)]  # fmt: skip


@pytest.mark.parametrize("location,moved", MOVES, ids=[row[0] for row in MOVES])
def test_where_a_redirect_leads(location, moved):
    assert moved_to(location, "/p/") == moved


def test_headers_are_those_that_are_known():
    asked = to_head([("ACCEPT", "x"), ("cookie", "y"), ("Host", "z"), ("Connection", "close")], "t")
    assert set(asked) == {"Accept", "Accept-Encoding", "User-Agent", "Authorization"}
    answered = from_head(
        {"Content-Type": "a", "Transfer-Encoding": "chunked", "Refresh": "0;url=/"}, for_browser=False
    )
    assert "Access-Control-Allow-Origin" not in answered and not {"Refresh", "Transfer-Encoding"} & set(
        answered
    )


def test_a_ticket_ends():
    assert opens("key", make_ticket("key", "uid"), "uid")
    for key, uid in (("", "uid"), ("other", "uid"), ("key", "other")):
        assert not opens(key, make_ticket("key", "uid"), uid)
