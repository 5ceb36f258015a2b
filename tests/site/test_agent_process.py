"""The agent as a process: over real SLURM, over the built-in queue, and over commands that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rayster_testbed.certificates import server_certificate
from rayster_testbed.slurm.programs import missing

QUEUES = [pytest.param("batch_queue", id="built-in")]
if not missing():
    QUEUES.append(pytest.param("slurm", id="slurm", marks=pytest.mark.slurm))


class Site:
    """A batch system with an agent over it."""

    def __init__(self, bin_dir: Path, work_dir: Path, port: int, token: str, wait_until: Any):
        self.bin_dir, self.work_dir, self.port = bin_dir, work_dir, port
        self.token = token
        self.wait_until = wait_until

    def call(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.bin_dir / command), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.work_dir,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit(self, *arguments: str, pod: str | None = None, run: str = "sleep 300") -> tuple[str, str]:
        """Submit a job in the name of a pod; return its id and the pod's UID."""
        pod = pod or str(uuid.uuid4())
        options = ("--parsable", "--output=/dev/null", f"--job-name={pod}", f"--wrap={run}")
        return self.call("sbatch", *options, *arguments), pod

    def get(self, path: str, scheme: str = "http", context: Any = None) -> Any:
        url = f"{scheme}://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.load(answer)

    def job(self, key: str) -> dict[str, Any] | None:
        try:
            return self.get(f"/v1/jobs/{key}")["job"]
        except (urllib.error.HTTPError, OSError):
            return None

    def wait_for_job(self, key: str, **expected: Any) -> dict[str, Any]:
        """Wait until a job is told with these values."""

        def found() -> dict[str, Any] | None:
            job = self.job(key)
            return job if job and all(job[name] == value for name, value in expected.items()) else None

        return self.wait_until(found, 60, what=f"job {key} {expected}, is {self.job(key)}")

    def wait_ready(self) -> None:
        def ready() -> bool:
            try:
                return self.get("/v1/site")["error"] is None
            except OSError:
                return False

        self.wait_until(ready, 60, what="agent ready")


@pytest.fixture(scope="module", params=QUEUES)
def batch_bin(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The commands of a batch system that runs for this module."""
    state_dir = Path(tempfile.mkdtemp(prefix="rsa-", dir="/tmp"))
    ready = state_dir / "ready"
    module = f"rayster_testbed.{request.param}"
    argv = [sys.executable, "-m", module, "--state-dir", str(state_dir / "s"), "--ready-file", str(ready)]
    with (state_dir / "log").open("wb") as log:
        process = subprocess.Popen([*argv, "--cancel-jobs-on-exit"], stdout=log, stderr=log)
    deadline = time.monotonic() + 90
    while not (ready.exists() and ready.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, (state_dir / "log").read_text()
        time.sleep(0.1)
    yield state_dir / "s" / "bin"
    process.terminate()
    process.wait(60)
    shutil.rmtree(state_dir, ignore_errors=True)


@pytest.fixture
def site(batch_bin: Path, tmp_path: Path, site_helpers: Any) -> Iterator[Site]:
    """A batch system without jobs, with an agent over it."""
    one = Site(batch_bin, tmp_path, site_helpers.free_port(), site_helpers.TOKEN, site_helpers.wait_until)
    live = ("-h", "-t", "PD,R,CG", "-o", "%A")
    options = ("--command-dir", str(batch_bin), "--state-dir", str(tmp_path / "state"))
    with site_helpers.agent_process(tmp_path, one.port, *options):
        one.wait_ready()
        yield one
    if jobs := one.call("squeue", *live).split():
        one.call("scancel", *set(jobs))
        one.wait_until(lambda: not one.call("squeue", *live), 60, what="jobs gone")


def test_partitions_are_told(site: Site) -> None:
    partitions = {one["name"]: one for one in site.get("/v1/site")["partitions"]}

    assert set(partitions) == {"boost_usr_prod", "dcgp_usr_prod", "padova"}
    assert partitions["padova"]["is_default"] is True
    assert partitions["padova"]["limits"] == {
        "walltime_minutes": 2880,
        "cores_per_node": 16,
        "memory_mib_per_node": 64000,
    }
    assert partitions["boost_usr_prod"]["gpus"] == [{"type": "a100", "free": 8, "total": 8}]
    assert site.get("/v1/site")["sees_all_jobs"] is True


def test_a_running_job_takes_cores_and_gpus_and_has_a_node_and_time_left(site: Site) -> None:
    job_id, pod = site.submit("-p", "boost_usr_prod", "--gres=gpu:a100:3", "--cpus-per-task=4", "--time=10")

    job = site.wait_for_job(pod, state="running")

    assert (job["id"], job["partition"], job["position"]) == (job_id, "boost_usr_prod", None)
    assert job["nodes"][0] in ("lrdn0001", "lrdn0002")
    assert 500 < job["time_left_seconds"] <= 600

    def booster() -> dict[str, Any]:
        [found] = [one for one in site.get("/v1/site")["partitions"] if one["name"] == "boost_usr_prod"]
        return found

    # Nodes and jobs are asked for one after the other: a job may start in between.
    site.wait_until(lambda: booster()["cores"]["free"] == 60, 60, "the nodes of the look after the start")
    told = booster()
    assert told["gpus"][0]["free"] == 5
    assert told["jobs"] == {"pending": 0, "running": 1}
    assert told["wait_seconds"]["jobs"] >= 1


def test_waiting_jobs_say_why_where_they_stand_and_when_they_start(site: Site) -> None:
    site.submit("-p", "padova", "--nodes=2", "--cpus-per-task=16", "--time=10")
    first = site.submit("-p", "padova", "--cpus-per-task=16", "--time=5")[1]
    second = site.submit("-p", "padova", "--nodes=2", "--cpus-per-task=16", "--time=5")[1]

    job = site.wait_for_job(first, state="pending", raw_reason="Resources", position=1)
    behind = site.wait_for_job(second, state="pending", raw_reason="Priority", position=2)

    assert job["reason"] == "Waiting for free nodes."
    assert "other jobs come first" in behind["reason"]
    told = site.wait_until(
        lambda: (site.job(first) or {}).get("expected_start_in_seconds"), 60, "expected start"
    )
    assert 0 < told <= 660


def test_ends_are_told_with_their_reason_and_exit_code(site: Site) -> None:
    failed = site.submit(run="exit 7")[1]
    fine = site.submit(run="true")[1]
    waiting = site.submit("-p", "padova", "--begin=now+3600")[1] if "slurm" in str(site.bin_dir) else None
    cancelled_id, cancelled = site.submit()
    site.wait_for_job(cancelled, state="running")
    site.call("scancel", cancelled_id)

    assert site.wait_for_job(failed, state="failed")["exit_code"] == 7
    assert site.wait_for_job(fine, state="completed")["reason"] == "The job ended normally."
    end = site.wait_for_job(cancelled, state="cancelled")
    assert end["reason"] == "The job was cancelled at the site."
    assert end["ended_at"] >= end["started_at"]
    assert waiting is None or site.wait_for_job(waiting, state="pending")["position"] is None


def test_a_job_cancelled_in_the_queue_never_began(site: Site) -> None:
    site.submit("-p", "padova", "--nodes=2", "--cpus-per-task=16", "--time=10")
    job_id, pod = site.submit("-p", "padova", "--nodes=2", "--cpus-per-task=16", "--time=10")
    site.wait_for_job(pod, state="pending")

    site.call("scancel", job_id)

    job = site.wait_for_job(pod, state="cancelled")
    assert (job["started_at"], job["nodes"], job["ended_at"] is not None) == (None, [], True)


def test_odd_names_of_others_do_not_matter(site: Site) -> None:
    site.submit(pod="a\nb|c,%20j é雪🚀 " + "x" * 60)
    pod = site.submit()[1]

    site.wait_for_job(pod, state="running")

    answer = site.get("/v1/jobs")
    assert answer["error"] is None
    assert "🚀" not in json.dumps(answer, ensure_ascii=False)


def test_a_batch_system_that_is_away_leaves_the_last_answer(
    batch_bin: Path, tmp_path: Path, site_helpers: Any
) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("squeue", "sinfo", "scontrol"):
        site_helpers.write_command(commands, name, f'exec {batch_bin}/{name} "$@"')
    site = Site(batch_bin, tmp_path, site_helpers.free_port(), site_helpers.TOKEN, site_helpers.wait_until)
    with site_helpers.agent_process(tmp_path, site.port, "--command-dir", str(commands)):
        site.wait_ready()

        site_helpers.write_command(commands, "sinfo", "echo 'slurm_load_partitions: Zero Bytes' >&2; exit 1")
        answer = site.wait_until(lambda: (one := site.get("/v1/site"))["error"] and one, what="error")

        assert answer["error"] == {"command": "sinfo", "message": "slurm_load_partitions: Zero Bytes"}
        assert len(answer["partitions"]) == 3
        site.wait_until(lambda: site.get("/v1/site")["age_seconds"] > 1, what="age grows")
        site_helpers.write_command(commands, "sinfo", f'exec {batch_bin}/sinfo "$@"')
        site.wait_until(lambda: site.get("/v1/site")["error"] is None, what="error gone")


class HubService(BaseHTTPRequestHandler):
    """Answers as the hub's service does, from a list that a test changes."""

    uids: list[str] = []
    job_ids: dict[str, str] = {}

    def do_GET(self) -> None:
        body = {
            "version": 1,
            "site": "padova",
            "age_seconds": 0.1,
            "uids": self.uids,
            "job_ids": self.job_ids,
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub_service() -> Iterator[Any]:
    class Handler(HubService):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Handler.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield Handler
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_orphans_are_cancelled_and_nothing_else(
    site: Site, hub_service: Any, tmp_path: Path, site_helpers: Any
) -> None:
    (own, lost, doubled), foreign = (site.submit() for _ in range(3)), site.submit()
    second = site.submit(pod=doubled[1])
    other = str(uuid.uuid4())
    hub_service.uids = [own[1], lost[1], doubled[1], other]
    hub_service.job_ids = {doubled[1]: second[0]}
    directory = tmp_path / "watching"
    directory.mkdir()
    options = ("--command-dir", str(site.bin_dir), "--service-url", hub_service.url)
    watching = Site(
        site.bin_dir, tmp_path, site_helpers.free_port(), site_helpers.TOKEN, site_helpers.wait_until
    )
    with site_helpers.agent_process(
        directory, watching.port, *options, "--cancel-orphans", "--orphan-grace-seconds", "4"
    ):
        watching.wait_ready()

        def listed() -> dict[str, str]:
            return {one["job"]["id"]: one["kind"] for one in watching.get("/v1/orphans")["orphans"]}

        watching.wait_until(
            lambda: listed() == {foreign[0]: "pod-never-seen", doubled[0]: "doubled"}, what="listed"
        )
        hub_service.uids = [own[1], doubled[1], other]

        watching.wait_for_job(lost[1], state="cancelled")
        watching.wait_for_job(doubled[0], state="cancelled")
        for job_id in (own[0], second[0], foreign[0]):
            assert watching.job(job_id)["state"] == "running"  # type: ignore[index]


def test_ended_jobs_are_told_after_a_restart(batch_bin: Path, tmp_path: Path, site_helpers: Any) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("squeue", "sinfo", "scontrol"):
        site_helpers.write_command(commands, name, f'exec {batch_bin}/{name} "$@"')
    site = Site(batch_bin, tmp_path, site_helpers.free_port(), site_helpers.TOKEN, site_helpers.wait_until)
    options = ("--command-dir", str(commands), "--state-dir", str(tmp_path / "state"))
    with site_helpers.agent_process(tmp_path, site.port, *options):
        site.wait_ready()
        pod = site.submit(run="exit 5")[1]
        site.wait_for_job(pod, state="failed", exit_code=5)
    # The batch system has forgotten everything meanwhile.
    site_helpers.write_command(commands, "squeue", "true")

    with site_helpers.agent_process(tmp_path, site.port, *options):
        site.wait_ready()

        assert site.job(pod)["exit_code"] == 5  # type: ignore[index]


@pytest.fixture
def quiet_commands(tmp_path: Path, site_helpers: Any) -> Path:
    """Commands of a site where nothing happens."""
    commands = tmp_path / "quiet"
    commands.mkdir()
    for name in ("squeue", "sinfo", "scontrol"):
        site_helpers.write_command(commands, name, "true")
    return commands


def test_the_agent_starts_fast_and_ends_at_once(
    quiet_commands: Path, tmp_path: Path, site_helpers: Any
) -> None:
    port = site_helpers.free_port()
    site = Site(quiet_commands, tmp_path, port, site_helpers.TOKEN, site_helpers.wait_until)
    began = time.monotonic()
    with site_helpers.agent_process(tmp_path, port, "--command-dir", str(quiet_commands)) as process:
        site.wait_ready()
        # Measured: 0.8 s. The bound is for slow machines that do other things, too.
        assert time.monotonic() - began < 20

        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 0
    assert "ending" in (tmp_path / "agent.log").read_text()


def test_the_token_is_in_no_log(quiet_commands: Path, tmp_path: Path, site_helpers: Any) -> None:
    port = site_helpers.free_port()
    site = Site(quiet_commands, tmp_path, port, site_helpers.TOKEN, site_helpers.wait_until)
    options = ("--command-dir", str(quiet_commands), "--debug", "--service-url", "http://127.0.0.1:9")
    with site_helpers.agent_process(tmp_path, port, *options):
        site.wait_ready()
        site.get("/v1/jobs")
        site.wait_until(
            lambda: "did not answer" in (tmp_path / "agent.log").read_text(), what="log of the service"
        )

    assert site_helpers.TOKEN not in (tmp_path / "agent.log").read_text()


def test_a_new_token_is_taken_on_sighup(quiet_commands: Path, tmp_path: Path, site_helpers: Any) -> None:
    port = site_helpers.free_port()
    site = Site(quiet_commands, tmp_path, port, site_helpers.TOKEN, site_helpers.wait_until)
    with site_helpers.agent_process(tmp_path, port, "--command-dir", str(quiet_commands)) as process:
        site.wait_ready()
        (tmp_path / "token").write_text("a-new-token-of-the-site-5678")
        site.token = "a-new-token-of-the-site-5678"

        process.send_signal(signal.SIGHUP)

        def answers() -> bool:
            try:
                return bool(site.get("/v1/site"))
            except urllib.error.HTTPError as error:
                assert error.code == 401
                return False

        site.wait_until(answers, what="new token")
        (tmp_path / "token").write_text("")
        process.send_signal(signal.SIGHUP)
        site.wait_until(
            lambda: "stay the old" in (tmp_path / "agent.log").read_text(), what="refusal in the log"
        )
        assert site.get("/v1/site")["site"] == "padova"


def test_tls(quiet_commands: Path, tmp_path: Path, site_helpers: Any) -> None:
    files = server_certificate(tmp_path / "tls")
    port = site_helpers.free_port()
    site = Site(quiet_commands, tmp_path, port, site_helpers.TOKEN, site_helpers.wait_until)
    context = ssl.create_default_context(cafile=str(files.authority))
    options = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    with site_helpers.agent_process(tmp_path, port, "--command-dir", str(quiet_commands), *options):

        def answer() -> Any:
            try:
                return site.get("/v1/site", "https", context)
            except ConnectionError:
                return None
            except urllib.error.URLError as error:
                assert isinstance(error.reason, ConnectionError), error
                return None

        assert site.wait_until(answer, what="TLS")["site"] == "padova"


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAYSTER_SITE_")}
    return subprocess.run(
        [sys.executable, "-m", "rayster_site", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", **environment},
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--token-file", "/nope"], "--token-file /nope: No such file", id="no token file"),
        pytest.param(["--token-file", "short"], "holds no token", id="short token"),
        pytest.param(["--site", "a b"], "--site 'a b'", id="site"),
        pytest.param(["--scheduler", "pbs"], "not one of slurm, htcondor", id="scheduler"),
        pytest.param(["--tls-cert", "/x"], "without the other", id="half of TLS"),
        pytest.param(["--tls-cert", "/x", "--tls-key", "/y"], "--tls-cert /x", id="no certificate"),
        pytest.param(["--cancel-orphans"], "needs --service-url", id="cancel without a service"),
        pytest.param(["--service-url", "ftp://hub"], "not an http", id="service"),
        pytest.param(["--service-url", "https://u:secret@hub"], "holds a user name", id="password"),
        pytest.param(["--command-dir", "/nope"], "no such directory", id="commands"),
        pytest.param(["--job-user", "nobody-of-that-name"], "no such account", id="account"),
        pytest.param(["--port", "99999"], "65535", id="port"),
        pytest.param(["--host", "203.0.113.7"], "cannot listen on 203.0.113.7", id="address"),
    ],
)
def test_a_wrong_setting_is_told_and_ends_the_agent(options: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-of-the-site-1234")
    (tmp_path / "short").write_text("short")
    options = [str(tmp_path / word) if word == "short" else word for word in options]
    given = ["--site", "padova", "--port", "0", "--token-file", str(tmp_path / "token")]

    done = run_cli("serve", *given, *options)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_options_come_from_the_environment_too() -> None:
    done = run_cli(
        "serve",
        RAYSTER_SITE_SITE="padova",
        RAYSTER_SITE_TOKEN_FILE="/nowhere",
        RAYSTER_SITE_SCHEDULER="slurm",
    )

    assert "--token-file /nowhere" in done.stderr


def test_a_look_prints_the_partitions(batch_bin: Path) -> None:
    done = run_cli("look", "--command-dir", str(batch_bin))

    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["partitions"]) == 3


def test_a_look_that_fails_says_why(quiet_commands: Path, site_helpers: Any) -> None:
    site_helpers.write_command(quiet_commands, "squeue", "echo some prose")

    done = run_cli("look", "--command-dir", str(quiet_commands))

    assert done.returncode == 1
    assert "rayster-site: squeue: entry 1 is not understood" in done.stderr
    assert done.stdout == ""


def test_the_openapi_document_is_printed() -> None:
    assert json.loads(run_cli("openapi").stdout)["openapi"] == "3.1.0"
