"""What the form says of the sites, and how soon, whatever happens to their agents."""

import contextlib
import json
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bs4 import BeautifulSoup

from rayster_testbed.leftovers import processes_of
from rayster_testbed.plan import agent_of
from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .faults import kill_and_start, start_all
from .hub_client import HubUser, wait_for

pytestmark = pytest.mark.timeout(180)

FORM_SECONDS = 0.3
# Hub and service give an agent 5 s to answer.
SITE_SECONDS = 4
# profile of the demo -> its site
SITES = {"padova-slurm": "padova", "leonardo-gpu": "leonardo-booster", "leonardo-cpu": "leonardo-dcgp"}


@pytest.fixture
def ada(testbed: Testbed) -> Iterator[HubUser]:
    """A user of every site; all parts run afterwards, and the sites' nodes are ready again."""
    person = HubUser(testbed, "ada")
    yield person
    start_all(testbed)
    for site in SITES.values():
        wait_for(lambda site=site: testbed.cluster.node_is_ready(site), f"{site} is ready again")
    # Service and hub look for themselves.
    wait_for(
        lambda: "unreachable" not in [state for state, _ in form(person).values()], "the hub has seen it"
    )


def form(person: HubUser) -> dict[str, tuple[str, str]]:
    """Open the form; return each profile's state, and all that the card says of it."""
    page = person.page(f"/hub/spawn/{person.name}")
    assert page.ok, page.text
    options = BeautifulSoup(page.text, "html.parser").select("[data-option]")
    lines = {option["data-option"]: option.select_one("[data-site]") for option in options}
    return {name: (line["data-site"], line.get_text(" ", strip=True)) for name, line in lines.items() if line}


def is_said(person: HubUser, wanted: dict[str, str]) -> bool:
    """Whether the form says these states of these profiles."""
    said = form(person)
    return all(said[profile][0] == state for profile, state in wanted.items())


def assert_form_opens_at_once(person: HubUser, seconds: float) -> None:
    """Open the form again and again for so many seconds, which is longer than the hub takes to ask a site."""
    took, home_took = [], []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        took.append(seconds_of(lambda: form(person)))
        # A page that tells nothing of sites is as slow as this machine is just now, with other tests beside this one.
        home_took.append(seconds_of(lambda: person.page("/hub/home")))
        time.sleep(0.3)
    at_most = FORM_SECONDS + statistics.median(home_took)
    # One may be late because this machine does something else; none waits for a site.
    assert statistics.median(took) < at_most and max(took) < SITE_SECONDS, (took, home_took)


def seconds_of(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def answer_with(status: int, body: bytes, seconds: float = 0) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.server.is_closing.wait(seconds)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def site_answer(**fields) -> bytes:
    """Return an agent's answer: an empty cluster of one partition, a moment ago."""
    cores = {"free": 32, "total": 32}
    partitions = [{"name": name, "cores": cores} for name in ("padova", "boost_usr_prod", "dcgp_usr_prod")]
    fresh = {"version": 1, "now": time.time(), "collected_at": time.time(), "age_seconds": 1.0, "error": None}
    return json.dumps({**fresh, "partitions": partitions, "jobs": [], **fields}).encode()


NO_CONTROLLER = {"command": "sinfo", "message": "Unable to contact slurm controller (connect failure)"}
UNAUTHORIZED = {"error": {"code": "unauthorized", "message": "wrong token"}}
# Three sites at a time: what each one's agent does.
BAD_AGENTS = {
    "down, slow, garbage": {
        "padova": None,
        "leonardo-booster": answer_with(200, site_answer(), seconds=30),
        "leonardo-dcgp": answer_with(200, b"<html>\xff\x00" * 1000),
    },
    "wrong token, old, no controller": {
        "padova": answer_with(401, json.dumps(UNAUTHORIZED).encode()),
        "leonardo-booster": answer_with(200, site_answer(age_seconds=4000.0)),
        "leonardo-dcgp": answer_with(200, site_answer(error=NO_CONTROLLER)),
    },
    "wrong types, deep, endless numbers": {
        "padova": answer_with(200, b'{"partitions": "all", "age_seconds": {"$gt": 0}}'),
        "leonardo-booster": answer_with(200, b'{"partitions":' + b"[" * 100_000),
        "leonardo-dcgp": answer_with(200, b'{"age_seconds": NaN, "partitions": [{"name": "dcgp_usr_prod", "cores": {"free": 1e400}}]}'),
    },
}  # fmt: skip


@contextlib.contextmanager
def agents_replaced(testbed: Testbed, by: dict[str, Callable | None]) -> Iterator[None]:
    """Put others in the place of sites' agents, or nobody."""
    servers = []
    for site, answer in by.items():
        testbed.parts[agent_of(site)].kill(signal.SIGKILL)
        if answer is None:
            continue
        handler = type("Agent", (BaseHTTPRequestHandler,), {"do_GET": answer, "log_message": lambda *_: None})
        server = ThreadingHTTPServer(("127.0.0.1", testbed.addresses.agents[site]), handler)
        server.daemon_threads = True
        server.is_closing = threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        servers.append(server)
    try:
        yield
    finally:
        for server in servers:
            server.is_closing.set()
            server.shutdown()
            server.server_close()


@pytest.mark.parametrize("bad", BAD_AGENTS.values(), ids=BAD_AGENTS.keys())
def test_form_opens_at_once_and_says_unknown_whatever_the_agents_do(ada, bad):
    with agents_replaced(ada.testbed, bad):
        # One that has heard nothing better from them yet.
        kill_and_start(ada.testbed, "hub")
        assert_form_opens_at_once(ada, 6)
        said = form(ada)
    assert {said[profile][0] for profile in SITES} == {"unknown"}, said
    assert said["cloud"][0] == "available"


def test_form_says_what_was_heard_last_while_an_agent_is_away(ada):
    wait_for(lambda: is_said(ada, {"padova-slurm": "available"}), "the agent is heard", 30)
    ada.testbed.parts["padova-agent"].kill(signal.SIGKILL)
    assert_form_opens_at_once(ada, 8)
    assert form(ada)["padova-slurm"][0] == "available"


def kill_controller(testbed: Testbed) -> None:
    """Kill what would start it again, and then itself."""
    testbed.parts["slurm"].kill(signal.SIGKILL)
    for process in processes_of(testbed.layout.root):
        if "slurmctld" in process.command:
            process.send(signal.SIGKILL)


def test_controller_that_is_down_makes_the_site_unknown(ada):
    wait_for(lambda: is_said(ada, {"padova-slurm": "available"}), "the agent is heard", 30)
    kill_controller(ada.testbed)
    assert_form_opens_at_once(ada, 3)
    wait_for(lambda: is_said(ada, {"padova-slurm": "unknown"}), "the site is not known any more", 60)
    kill_and_start(ada.testbed, "slurm")
    wait_for(lambda: is_said(ada, {"padova-slurm": "available"}), "the agent is heard again", 60)


def test_full_site_is_busy_and_its_numbers_are_told(ada, full_padova):
    wait_for(lambda: is_said(ada, {"padova-slurm": "busy"}), "the site is busy", 30)
    said = form(ada)
    assert "0 of 32 cores free" in said["padova-slurm"][1]
    assert said["leonardo-cpu"][0] == "available"


def test_site_whose_node_is_away_is_unreachable_and_wants_to_be_told(ada):
    ada.testbed.parts["padova-plugin"].kill(signal.SIGKILL)
    wait_for(lambda: is_said(ada, {"padova-slurm": "unreachable"}), "the site is unreachable", 90)
    page = ada.page("/hub/spawn/ada").text
    choice = {"profile": "padova-slurm", "_xsrf": ada.xsrf("/hub/")}
    answer = ada.session.post(ada.url("/hub/spawn/ada"), data=choice, timeout=20, allow_redirects=False)
    assert "Queue here anyway" in page
    assert answer.status_code != 302 and ada.server().model() is None, answer.text
    assert jobs(ada.testbed) == []
