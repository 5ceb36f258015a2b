"""How many servers there may be: ten requests at once are counted like ten one after the other."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from rayster_testbed.testbed import Testbed

from .conftest import jobs
from .faults import pods, server_jobs
from .hub_client import HubUser, Server, wait_for

pytestmark = pytest.mark.timeout(180)

# Of this profile a user may have three servers, and all together four.
FEW = {"profile": "few", "cpu": 1, "memory": "512Mi"}
AT_ONCE = 10


@pytest.fixture
def people(testbed: Testbed) -> Iterator[list[HubUser]]:
    """Two users; their servers are stopped afterwards."""
    people = [HubUser(testbed, name) for name in testbed.users]
    yield people
    with ThreadPoolExecutor(4) as pool:
        for person in people:
            for name in person.ask("GET", f"/users/{person.name}").json()["servers"]:
                pool.submit(person.server(name).stop)
    wait_for(lambda: not pods(testbed), "all pods are gone")
    wait_for(lambda: not jobs(testbed), "all jobs are gone")


def ask_at_once(servers: list[Server]) -> list[requests.Response]:
    """Send the requests for all of ``servers`` in the same moment."""
    servers[0].user.page("/hub/home")  # whatever the session needs, it has
    together = threading.Barrier(len(servers), timeout=30)

    def ask(server: Server) -> requests.Response:
        together.wait()
        return server.spawn(FEW)

    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(ask, servers))


def test_ten_requests_at_once_get_what_the_limits_leave_and_the_numbers(testbed, people):
    hub = testbed.parts["hub"].pid
    first, second = people

    answers = ask_at_once([first.server(f"n{number}") for number in range(AT_ONCE)])
    codes = Counter(answer.status_code for answer in answers)
    assert codes[201] + codes[202] == 3 and codes[403] == AT_ONCE - 3, codes
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert "3 of 3" in refused.json()["message"]

    answers = ask_at_once([second.server(f"n{number}") for number in range(AT_ONCE)])
    codes = Counter(answer.status_code for answer in answers)
    assert codes[201] + codes[202] == 1 and codes[429] == AT_ONCE - 1, codes
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "4 of 4" in refused.json()["message"]

    wait_for(lambda: len(server_jobs(testbed)) == 4, "what was accepted is submitted")
    assert len(pods(testbed)) == 4
    # So many refusals would end a hub that counted them as failures.
    assert testbed.parts["hub"].pid == hub and testbed.parts["hub"].is_alive


def test_limits_count_what_exists_also_after_a_restart_and_what_has_ended_frees_its_place(testbed, people):
    person = people[0]
    for number in range(3):
        assert person.server(f"n{number}").spawn(FEW).status_code in (201, 202)
    wait_for(lambda: len(server_jobs(testbed)) == 3, "what was accepted is submitted")
    testbed.parts["hub"].kill()
    testbed.parts["hub"].start()
    testbed.parts["hub"].wait_ready()
    assert person.server("one-more").spawn(FEW).status_code == 403
    wait_for(person.server("n0").is_ready, "it is ready")
    person.server("n0").stop()
    assert person.server("one-more").spawn(FEW).status_code in (201, 202)
