"""The agent's HTTP interface."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.testing import bind_unused_port

from rayster_site.answers import Told
from rayster_site.commands import CommandError
from rayster_site.facts import GpuCount, PartitionFacts
from rayster_site.openapi import openapi_document
from rayster_site.server import Agent, make_app, make_server
from rayster_site.slurm.squeue import parse_squeue
from rayster_spawner.site_facts import JobsAnswer, JobState, SiteAnswer

DOWN = CommandError("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")


class Http:
    """An agent over a batch system of plain data, and a client of it."""

    def __init__(self, helpers: Any, scheduler: Any, **options: Any):
        self.scheduler = scheduler
        self.clock = helpers.Clock()
        self.wall = helpers.Clock(50_000.0)
        self.collector = helpers.collector(scheduler, clock=self.clock, wall_clock=self.wall)
        told = Told("padova", scheduler, options.pop("job_owners", frozenset({"1000"})))
        self.agent = Agent(
            "padova", helpers.TOKEN, self.collector, told, clock=self.clock, wall_clock=self.wall, **options
        )
        self.server = make_server(make_app(self.agent), None)
        socket, self.port = bind_unused_port()
        self.server.add_socket(socket)
        self.token = helpers.TOKEN

    async def get(
        self, path: str, *, token: str | None = "", method: str = "GET", **headers: str
    ) -> HTTPResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        return await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers=sent,
            raise_error=False,
            decompress_response=False,
            allow_nonstandard_methods=True,
        )

    async def json(self, path: str) -> Any:
        response = await self.get(path)
        assert response.code == 200, response.body
        return json.loads(response.body)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.wall.now += seconds


@pytest.fixture
async def http(site_helpers: Any) -> AsyncIterator[Any]:
    made: list[Http] = []

    def make(scheduler: Any = None, **options: Any) -> Http:
        made.append(Http(site_helpers, scheduler or site_helpers.FakeScheduler(), **options))
        return made[-1]

    yield make
    for one in made:
        one.server.stop()
        await one.server.close_all_connections()


PATHS = ["/v1/site", "/v1/jobs", "/v1/jobs/1", "/v1/orphans", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer wrong", id="wrong"),
        pytest.param("Bearer ", id="empty"),
        pytest.param("Basic a-token-of-the-site-1234", id="another scheme"),
        pytest.param("a-token-of-the-site-1234", id="no scheme"),
        pytest.param("Bearer a-token-of-the-site-12345", id="longer"),
    ],
)
async def test_without_the_token_nothing_is_told(http: Any, path: str, authorization: str | None) -> None:
    one = http()
    await one.collector.collect()

    response = await one.get(path, token=None, **({"Authorization": authorization} if authorization else {}))

    assert response.code == 401
    assert json.loads(response.body)["error"]["code"] == "unauthorized"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_health_needs_no_token(http: Any) -> None:
    response = await http().get("/healthz", token=None)

    assert response.code == 200
    assert json.loads(response.body)["status"] == "ok"


async def test_the_site_is_told(http: Any, site_helpers: Any) -> None:
    facts = PartitionFacts(
        "padova",
        is_default=True,
        nodes={"idle": 3, "down": 1},
        free_cores=40,
        total_cores=64,
        gpus={"a100": GpuCount(2, 8)},
        walltime_minutes=60,
        cores_per_node=16,
        memory_mib_per_node=64_000,
    )
    running = site_helpers.make_job(2, state=JobState.RUNNING, submitted_at=49_000.0, started_at=49_600.0)
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(), running], {"padova": facts}))
    await one.collector.collect()
    one.pass_time(12)

    answer = await one.json("/v1/site")

    assert answer == {
        "version": 1,
        "site": "padova",
        "scheduler": "slurm",
        "now": 50_012.0,
        "collected_at": 50_000.0,
        "age_seconds": 12.0,
        "error": None,
        "partitions": [
            {
                "name": "padova",
                "is_default": True,
                "state": "up",
                "nodes": {"idle": 3, "mixed": 0, "allocated": 0, "down": 1, "other": 0, "total": 4},
                "cores": {"free": 40, "total": 64},
                "gpus": [{"type": "a100", "free": 2, "total": 8}],
                "jobs": {"pending": 1, "running": 1},
                "wait_seconds": {"hours": 6.0, "jobs": 1, "p50": 600.0, "p90": 600.0},
                "limits": {"walltime_minutes": 60, "cores_per_node": 16, "memory_mib_per_node": 64_000},
            }
        ],
        "sees_all_jobs": True,
    }


async def test_answers_are_what_the_hub_expects(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job()], {"p": PartitionFacts("p")}))
    await one.collector.collect()

    site = SiteAnswer.model_validate(await one.json("/v1/site"))
    jobs = JobsAnswer.model_validate(await one.json("/v1/jobs"))

    assert site.partitions[0].name == "p"
    assert (jobs.jobs[0].pod_uid, jobs.jobs[0].position) == (site_helpers.uid(1), 1)


async def test_only_pods_jobs_are_listed(http: Any, site_helpers: Any) -> None:
    jobs = [site_helpers.make_job(1), site_helpers.make_job(2, pod_uid=None)]
    one = http(site_helpers.FakeScheduler(jobs))
    await one.collector.collect()

    assert [job["id"] for job in (await one.json("/v1/jobs"))["jobs"]] == ["1"]


async def test_a_job_of_another_account_is_no_pods_job_whatever_its_name(
    http: Any, site_helpers: Any
) -> None:
    forged = site_helpers.make_job(
        1, id="7", key="7", owner="6666", state=JobState.CANCELLED, ended_at=49_999.0
    )
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(1), forged]))
    await one.collector.collect()

    assert [job["id"] for job in (await one.json("/v1/jobs"))["jobs"]] == ["1"]
    assert (await one.json("/v1/jobs/7"))["job"]["pod_uid"] is None


async def test_any_account_may_be_allowed(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(1, owner="6666")]), job_owners=None)
    await one.collector.collect()

    assert len((await one.json("/v1/jobs"))["jobs"]) == 1


async def test_one_job_by_its_id_and_by_its_pod(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(1), site_helpers.make_job(2)]))
    await one.collector.collect()

    by_id = await one.json("/v1/jobs/2")
    by_pod = await one.json(f"/v1/jobs/{site_helpers.uid(2)}")

    assert by_id == by_pod
    assert (by_id["job"]["id"], by_id["job"]["position"], by_id["job"]["reason"]) == (
        "2",
        2,
        "reason Priority",
    )
    assert "jobs" not in by_id


@pytest.mark.parametrize("version", ["19.05", "20.11", "22.05", "22.05-arrays", "23.11", "24.05"])
async def test_every_job_that_squeue_can_print_can_be_told(
    http: Any, site_helpers: Any, version: str
) -> None:
    jobs = parse_squeue(site_helpers.recorded(f"slurm-{version}/squeue.txt"))
    jobs = [replace(job, pod_uid=site_helpers.uid(number)) for number, job in enumerate(jobs)]
    one = http(site_helpers.FakeScheduler(jobs), job_owners=None)
    await one.collector.collect()

    answer = JobsAnswer.model_validate(await one.json("/v1/jobs"))

    assert [job.id for job in answer.jobs] == [job.id for job in jobs]


async def test_a_job_with_a_time_beyond_all_bounds_hides_no_other(http: Any, site_helpers: Any) -> None:
    year_9999 = 2.5e11
    names = ("submitted_at", "started_at", "ended_at", "expected_start_at", "time_left_seconds")
    odd = site_helpers.make_job(1, **dict.fromkeys(names, year_9999))
    one = http(site_helpers.FakeScheduler([odd, site_helpers.make_job(2)]))
    await one.collector.collect()

    answer = JobsAnswer.model_validate(await one.json("/v1/jobs"))

    assert [job.id for job in answer.jobs] == ["1", "2"]
    assert {getattr(answer.jobs[0], name) for name in names} == {None}


async def test_the_name_of_a_node_is_cut_where_the_hub_would_refuse_it(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(1, node_list="n" * 300)]))
    await one.collector.collect()

    assert JobsAnswer.model_validate(await one.json("/v1/jobs")).jobs[0].nodes == ["n" * 256]


async def test_somebody_elses_job_is_told_by_id_without_a_name(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(2, pod_uid=None, owner="4242")]))
    await one.collector.collect()

    response = await one.get("/v1/jobs/2")

    assert json.loads(response.body)["job"]["state"] == "pending"
    assert b"4242" not in response.body


async def test_of_several_jobs_of_a_pod_the_live_one_is_told(http: Any, site_helpers: Any) -> None:
    over = site_helpers.make_job(
        1, id="9", key="9", state=JobState.CANCELLED, ended_at=49_000.0, submitted_at=48_999.0
    )
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(1), over]))
    await one.collector.collect()

    assert (await one.json(f"/v1/jobs/{site_helpers.uid(1)}"))["job"]["id"] == "1"


@pytest.mark.parametrize("key", ["99", "x" * 3000, "%00", "..%2f..", "1%0d%0aX:%20y", "é"])
async def test_no_such_job(http: Any, key: str) -> None:
    one = http()
    await one.collector.collect()

    response = await one.get(f"/v1/jobs/{key}")

    assert response.code == 404
    assert json.loads(response.body)["error"]["code"] in ("no_such_job", "not_found")


async def test_an_expected_start_is_told_as_a_time_and_counted_down(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(expected_start_at=50_840.0)]))
    await one.collector.collect()
    one.pass_time(40)

    [job] = (await one.json("/v1/jobs"))["jobs"]

    assert (job["expected_start_at"], job["expected_start_in_seconds"]) == (50_840.0, 800.0)


async def test_an_expected_start_that_passed_long_ago_is_no_expectation(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(expected_start_at=50_010.0)]))
    await one.collector.collect()
    one.pass_time(30)
    assert (await one.json("/v1/jobs"))["jobs"][0]["expected_start_in_seconds"] == 0
    one.pass_time(60)

    assert (await one.json("/v1/jobs"))["jobs"][0]["expected_start_at"] is None


async def test_time_left_goes_on_counting_while_the_batch_system_is_silent(
    http: Any, site_helpers: Any
) -> None:
    running = site_helpers.make_job(state=JobState.RUNNING, started_at=49_000.0, time_left_seconds=100.0)
    one = http(site_helpers.FakeScheduler([running]))
    await one.collector.collect()
    one.scheduler.error = DOWN
    one.pass_time(40)
    await one.collector.collect()

    answer = await one.json("/v1/jobs")

    assert (answer["age_seconds"], answer["jobs"][0]["time_left_seconds"]) == (40.0, 60.0)
    assert answer["error"] == {"command": "squeue", "message": DOWN.message}


async def test_before_anything_was_collected(http: Any) -> None:
    one = http()
    one.scheduler.error = DOWN
    await one.collector.collect()

    site = await one.json("/v1/site")
    response = await one.get("/v1/jobs/1")

    assert (site["partitions"], site["age_seconds"], site["collected_at"]) == ([], None, None)
    assert site["error"]["message"] == DOWN.message
    assert response.code == 503
    assert "Unable to contact" in json.loads(response.body)["error"]["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed(http: Any, method: str) -> None:
    response = await http().get("/v1/jobs", method=method)

    assert response.code == 405
    assert json.loads(response.body)["error"]["code"] == "method_not_allowed"


async def test_head_tells_the_headers_only(http: Any) -> None:
    one = http()
    await one.collector.collect()

    response = await one.get("/v1/jobs", method="HEAD")

    assert (response.code, response.body) == (200, b"")


async def test_a_mistake_of_ours_is_told_as_json_without_details(http: Any) -> None:
    one = http()
    await one.collector.collect()
    one.agent.told = None

    response = await one.get("/v1/jobs")

    assert response.code == 500
    assert json.loads(response.body)["error"]["code"] == "internal_error"
    assert b"NoneType" not in response.body


@pytest.mark.parametrize("path", ["/healthz", "/v1/site", "/v1/jobs/none", "/nowhere", "/openapi.json"])
async def test_every_answer_has_the_headers_that_keep_browsers_out(http: Any, path: str) -> None:
    one = http()
    await one.collector.collect()

    headers = (await one.get(path)).headers

    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "rayster-site"


async def test_long_answers_are_compressed_for_who_can_read_it(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(n) for n in range(100)]))
    await one.collector.collect()

    plain = await one.get("/v1/jobs")
    packed = await one.get("/v1/jobs", Accept_Encoding="br, gzip;q=0.5")
    refused = await one.get("/v1/jobs", Accept_Encoding="gzip;q=0")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 4
    assert gzip.decompress(packed.body) == plain.body == refused.body
    assert packed.headers["Vary"] == "Accept-Encoding"


async def test_an_etag_says_that_nothing_new_was_collected(http: Any) -> None:
    one = http()
    await one.collector.collect()
    first = await one.get("/v1/jobs")
    one.pass_time(5)

    same = await one.get("/v1/jobs", If_None_Match=first.headers["ETag"])
    await one.collector.collect()
    new = await one.get("/v1/jobs", If_None_Match=first.headers["ETag"])

    assert (same.code, same.body) == (304, b"")
    assert new.code == 200


async def test_an_etag_of_an_earlier_agent_is_worth_nothing(http: Any) -> None:
    first, second = http(), http()
    await first.collector.collect()
    await second.collector.collect()
    etag = (await first.get("/v1/jobs")).headers["ETag"]

    assert (await second.get("/v1/jobs", If_None_Match=etag)).code == 200


@pytest.mark.parametrize("path", ["/v1/site", "/v1/jobs", "/v1/jobs/1", "/v1/orphans", "/healthz"])
async def test_answers_fit_the_openapi_document(http: Any, site_helpers: Any, path: str) -> None:
    one = http(
        site_helpers.FakeScheduler(
            [site_helpers.make_job()], {"p": PartitionFacts("p", gpus={"": GpuCount()})}
        )
    )
    await one.collector.collect()
    document = json.loads((await one.get("/openapi.json", token=None)).body)
    template = "/v1/jobs/{key}" if path == "/v1/jobs/1" else path
    schema = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
        await one.json(path)
    )


def test_the_openapi_document_names_only_what_it_holds() -> None:
    document = openapi_document()
    schemas = document["components"]["schemas"]
    text = json.dumps(document)

    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= schemas.keys()
    assert set(document["paths"]) >= {"/healthz", "/v1/site", "/v1/jobs", "/v1/jobs/{key}", "/v1/orphans"}


async def test_orphans_without_a_service_say_so(http: Any) -> None:
    one = http()
    await one.collector.collect()

    answer = await one.json("/v1/orphans")

    assert (answer["orphans"], answer["cancels"]) == ([], False)
    assert "--service-url" in answer["problem"]


async def test_a_request_is_cheap_with_ten_thousand_jobs(http: Any, site_helpers: Any) -> None:
    one = http(site_helpers.FakeScheduler([site_helpers.make_job(n) for n in range(10_000)]))
    await one.collector.collect()
    await one.get("/v1/jobs", Accept_Encoding="gzip")

    seconds = []
    for _ in range(20):
        began = time.monotonic()
        assert (await one.get("/v1/jobs", Accept_Encoding="gzip")).code == 200
        seconds.append(time.monotonic() - began)

    # Measured: 1 ms, the client's part included. The bound is for slow machines that do other things, too.
    assert statistics.median(seconds) < 0.1, seconds


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /v1/site HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", id="long header"),
        pytest.param(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", id="long path"),
        pytest.param(b"GET /v1/site HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", id="long body"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01" * 100 + b"\r\n\r\n", id="TLS on a plain port"),
    ],
)
async def test_what_a_stranger_sends_is_bounded(http: Any, sent: bytes) -> None:
    one = http()
    await one.collector.collect()
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 30)
        assert b" 200 " not in answer
    writer.close()

    assert (await one.get("/healthz")).code == 200
