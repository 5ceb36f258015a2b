"""The plugin over HTTP, with jobs that really run, on each batch system."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Both nodes of the partition: nothing else starts while it runs.
WHOLE_PADOVA: dict[str, Any] = {
    "flags": "-p padova -N 2 --time=30",
    "limits": {"cpu": "16", "memory": "1Gi"},
    "command": ["sleep", "60"],
}


def test_a_pod_runs_as_a_job_named_after_it(plugin: Any, batch_system: Any, helpers: Any) -> None:
    pod = helpers.make_pod(
        ["bash", "-c", "echo from the job; sleep 1; exit 3"], flags="-p padova --time=9 -A acc"
    )
    job_id = plugin.create(pod)
    assert (
        batch_system.squeue(job_id, "%j %P %l %C %m %a") == f"{pod['metadata']['uid']} padova 9:00 1 100M acc"
    )
    started = plugin.wait_for(pod, "running")["startedAt"]
    ended = plugin.wait_for(pod, "terminated")
    assert (ended["exitCode"], ended["startedAt"]) == (3, started)
    assert ended["finishedAt"] >= started
    log = plugin.logs(pod)
    assert log.index("has been submitted to SLURM node pd-wn0") < log.index("from the job")
    assert plugin.call("POST", "/delete", pod)[0] == 200
    assert not plugin.job_dir(pod).exists()


def test_a_refused_job_is_a_504_with_sbatch_s_words_and_leaves_nothing(plugin: Any, helpers: Any) -> None:
    pod = helpers.make_pod(flags="-p nosuch")
    assert plugin.try_create(pod) == (
        504,
        "sbatch: error: invalid partition specified: nosuch\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
    )
    assert not plugin.job_dir(pod).exists()


def test_a_waiting_job_is_waiting_and_delete_takes_it_out_of_the_queue(
    plugin: Any, empty_queue: Any, helpers: Any
) -> None:
    first, second = (helpers.make_pod(**WHOLE_PADOVA) for _ in "ab")
    plugin.create(first)
    plugin.wait_for(first, "running")
    job_id = plugin.create(second)
    assert plugin.state(second) == {"waiting": {}}
    assert plugin.logs(second) == ""
    assert plugin.call("POST", "/delete", second)[0] == 200
    assert empty_queue.squeue(job_id) == "CA"
    assert plugin.call("POST", "/delete", first)[0] == 200
    helpers.wait_until(lambda: empty_queue.call("squeue", "-h").stdout == "", what="queue empty")


def test_a_waiting_job_cancelled_at_the_site_stays_waiting_as_found(
    plugin: Any, ideal_plugin: Any, empty_queue: Any, helpers: Any
) -> None:
    blocker = helpers.make_pod(**WHOLE_PADOVA)
    plugin.create(blocker)
    plugin.wait_for(blocker, "running")
    for one, state in ((plugin, {"waiting": {}}), (ideal_plugin, "JobCancelled")):
        pod = helpers.make_pod(**WHOLE_PADOVA)
        empty_queue.call("scancel", one.create(pod))
        found = one.state(pod)
        assert found == state or found.get("terminated", {}).get("reason") == state
    empty_queue.call("scancel", "--me")


def test_a_running_job_cancelled_at_the_site_ends(plugin: Any, batch_system: Any, helpers: Any) -> None:
    pod = helpers.make_pod(["sleep", "60"])
    job_id = plugin.create(pod)
    plugin.wait_for(pod, "running")
    batch_system.call("scancel", job_id)
    # How depends on which of the job's processes SLURM signals first: signal 15, exit 143, or what the plugin makes of
    # a raw status where nothing wrote the code down (36608, which is 143 << 8, becomes 8; 256, which is 1 << 8, 56).
    assert plugin.wait_for(pod, "terminated")["exitCode"] in (0, 8, 15, 56, 143)


def test_words_and_variables_arrive_unchanged(plugin: Any, helpers: Any) -> None:
    words = [
        "$HOME",
        "$(touch x)",
        "a b",
        "it's",
        '"dq"',
        "`b`",
        "é雪🚀",
        "line\nend",
        "",
        "*",
        "~",
        "a;b",
        r"\n",
        "$(A)",
    ]
    program = "import os, sys; print(repr((sys.argv[1:], os.environ['A'])))"
    pod = helpers.make_pod(
        ["python3", "-c", program],
        container={"args": words, "env": [{"name": "A", "value": "\n".join(words)}]},
    )
    assert plugin.run(pod).strip() == repr((words, "\n".join(words)))


def test_containall_hides_the_job_unless_pre_exec_or_options_hand_it_in(plugin: Any, helpers: Any) -> None:
    show = ["bash", "-c", 'echo "[$SLURM_JOB_ID] [$SLURM_JOB_PARTITION]"']
    assert plugin.run(helpers.make_pod(show)).strip() == "[] []"
    options = "--env SLURM_JOB_ID=$SLURM_JOB_ID"
    pre_exec = "export APPTAINERENV_SLURM_JOB_PARTITION=$SLURM_JOB_PARTITION"
    annotations = {"slurm-job.vk.io/singularity-options": options, "slurm-job.vk.io/pre-exec": pre_exec}
    pod = helpers.make_pod(show, annotations=annotations)
    output = plugin.run(pod).strip()
    job_id = (plugin.job_dir(pod) / "JobID.jid").read_text()
    assert output == f"[{job_id}] [dcgp_usr_prod]"


def test_pod_ip_is_in_the_script_and_not_in_the_container(plugin: Any, helpers: Any) -> None:
    annotations = {"interlink.eu/pod-ip": "127.0.50.7", "slurm-job.vk.io/pre-exec": 'echo "outside $POD_IP"'}
    pod = helpers.make_pod(["bash", "-c", 'echo "inside $POD_IP"'], annotations=annotations)
    assert plugin.run(pod).strip() == "inside"
    assert "outside 127.0.50.7" in plugin.logs(pod)


def test_init_containers_run_one_after_another_then_containers_at_once(plugin: Any, helpers: Any) -> None:
    meet = (
        "echo $0 > {mine}; for i in $(seq 200); do test -e {other} && exit {code}; sleep 0.05; done; exit 99"
    )
    volumes = [{"name": "shared", "emptyDir": {"medium": "Memory"}}]
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    env = {"env": [{"name": "SHARED", "value": "/shared"}], **mount}
    pod = helpers.make_pod(
        ["bash", "-c", "cat $SHARED/log; " + meet.format(mine="$SHARED/a", other="$SHARED/b", code=0)],
        container=env,
        volumes=volumes,
        initContainers=[
            {
                "name": name,
                "image": "i",
                "command": ["bash", "-c", f"sleep {wait}; echo {name} >> $SHARED/log"],
                **env,
            }
            for name, wait in (("first", 0.3), ("second", 0))
        ],
    )
    other = ["bash", "-c", meet.format(mine="$SHARED/b", other="$SHARED/a", code=5)]
    pod["spec"]["containers"].append({"name": "side", "image": "i", "command": other, **env})
    assert plugin.run(pod).strip() == "first\nsecond"
    statuses = json.loads(plugin.call("GET", "/status", [pod])[1])[0]
    codes = {c["name"]: c["state"]["terminated"]["exitCode"] for c in statuses["containers"]}
    assert (codes, statuses["initContainers"]) == ({"main": 0, "side": 5}, None)


def test_a_failed_init_container_ends_the_job_with_a_wrong_code_as_found(
    plugin: Any, ideal_plugin: Any, helpers: Any
) -> None:
    for one, code in ((plugin, 92), (ideal_plugin, 7)):
        init = {"name": "init", "image": "i", "command": ["bash", "-c", "echo no; exit 7"]}
        pod = helpers.make_pod(["echo", "never"], initContainers=[init])
        one.create(pod)
        assert one.wait_for(pod, "terminated")["exitCode"] == code
        assert "no" in one.logs(pod, "init")
        assert "never" not in one.logs(pod)


def test_volumes(plugin: Any, helpers: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("hpc")
    volumes = [
        {"name": "work", "hostPath": {"path": str(tmp_path), "type": "Directory"}},
        {"name": "conf", "configMap": {"name": "settings", "items": [{"key": "a", "path": "renamed"}]}},
        {"name": "token", "secret": {"secretName": "hidden", "defaultMode": 0o600}},
    ]
    mounts = [
        {"name": "work", "mountPath": "/work", "readOnly": True},
        {"name": "conf", "mountPath": "/etc/conf"},
        {"name": "token", "mountPath": "/secret"},
    ]
    paths = {"WORK": "/work/data", "A": "/etc/conf/a", "B": "/etc/conf/b", "TOKEN": "/secret/token"}
    env = [{"name": name, "value": value} for name, value in paths.items()]
    pod = helpers.make_pod(
        ["bash", "-c", 'cat "$WORK" "$A" "$B" "$TOKEN"; stat -c %a "$TOKEN"'],
        container={"volumeMounts": mounts, "env": env},
        volumes=volumes,
    )
    output = plugin.run(
        pod,
        configMaps=[{"metadata": {"name": "settings"}, "data": {"a": "1", "b": "x\\ny"}}],
        secrets=[{"metadata": {"name": "hidden"}, "data": {"token": base64.b64encode(b"s3").decode()}}],
    )
    assert output == "hpc1x\nys3600\n"
    assert f"--bind {tmp_path}:/work:ro" in (plugin.job_dir(pod) / "job.sh").read_text()


@pytest.mark.parametrize(
    ("host_path", "message"),
    [
        ({"path": "/tmp"}, "unsupported hostPath type  for volume v in pod notebook"),
        ({"path": "/tmp", "type": "File"}, "unsupported hostPath type File for volume v in pod notebook"),
        (
            {"path": "/no/such", "type": "Directory"},
            "hostPath directory /no/such does not exist for volume v",
        ),
    ],
    ids=["no type", "other type", "missing"],
)
def test_unsupported_host_paths_are_refused(
    plugin: Any, helpers: Any, host_path: dict[str, str], message: str
) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    pod = helpers.make_pod(container=mount, volumes=[{"name": "v", "hostPath": host_path}])
    status, text = plugin.try_create(pod)
    assert (status, message in text, plugin.job_dir(pod).exists()) == (504, True, False)


def test_a_claim_silently_takes_away_all_mounts_of_its_container(plugin: Any, helpers: Any) -> None:
    volumes = [{"name": "ed", "emptyDir": {}}, {"name": "home", "persistentVolumeClaim": {"claimName": "c"}}]
    mounts = [{"name": "ed", "mountPath": "/ed"}, {"name": "home", "mountPath": "/home"}]
    pod = helpers.make_pod(container={"volumeMounts": mounts}, volumes=volumes)
    plugin.create(pod)
    assert "--bind" not in (plugin.job_dir(pod) / "job.sh").read_text()


def test_logs_can_be_cut_and_followed(plugin: Any, helpers: Any) -> None:
    pod = helpers.make_pod(["bash", "-c", "echo one; sleep 1; echo two"])
    plugin.create(pod)
    helpers.wait_until(lambda: "one" in plugin.logs(pod))
    followed: list[str] = []
    thread = threading.Thread(target=lambda: followed.append(plugin.logs(pod, Follow=True)))
    thread.start()
    plugin.wait_for(pod, "terminated")
    thread.join(10)
    assert "one\ntwo\n" in followed[0]
    assert plugin.logs(pod, Tail=1).startswith("sys\t")
    assert len(plugin.logs(pod, Bytes=10)) == 10
    assert plugin.logs(helpers.make_pod()) == ""


def test_an_empty_status_request_is_a_ping_with_constant_capacity(plugin: Any) -> None:
    status, text = plugin.call("GET", "/status", [])
    assert (status, json.loads(text)) == (
        200,
        {"status": "ok", "resources": {"cpu": "1000", "memory": "1000Gi", "pods": "1000"}},
    )


def test_an_unknown_pod_has_no_state_and_deleting_it_drops_the_connection_as_found(
    plugin: Any, ideal_plugin: Any, helpers: Any
) -> None:
    pod = helpers.make_pod()
    assert plugin.state(pod) == {}
    with pytest.raises(OSError, match=r"closed connection|reset"):
        plugin.call("POST", "/delete", pod)
    assert ideal_plugin.call("POST", "/delete", pod)[0] == 200


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "A"])
def test_names_that_could_leave_the_data_directory_are_refused(plugin: Any, helpers: Any, name: str) -> None:
    pod = helpers.make_pod()
    pod["metadata"]["namespace"] = name
    assert plugin.try_create(pod)[0] == 400


def test_many_pods_at_once_get_their_own_jobs(plugin: Any, helpers: Any) -> None:
    pods = [helpers.make_pod(["echo", str(number)]) for number in range(12)]
    jobs: list[str] = []
    threads = [threading.Thread(target=lambda pod=pod: jobs.append(plugin.create(pod))) for pod in pods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(jobs)) == len(pods)
    for number, pod in enumerate(pods):
        plugin.wait_for(pod, "terminated")
        assert plugin.container_output(pod).strip() == str(number)


def fake_commands(directory: Path, **scripts: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    return directory


def test_a_notice_of_sbatch_on_standard_error_counts_as_a_failure(
    helpers: Any, tmp_path: Path, short_dir: Callable[[], Path]
) -> None:
    notice = "echo 'sbatch: budget low' >&2; echo Submitted batch job 7"
    bin_dir = fake_commands(tmp_path / "bin", sbatch=notice)
    with helpers.plugin_in(short_dir(), bin_dir) as plugin:
        pod = helpers.make_pod()
        assert plugin.try_create(pod) == (504, "sbatch: budget low\n")
        assert not plugin.job_dir(pod).exists()


@pytest.mark.parametrize(
    ("mode", "squeue", "answer"),
    [
        pytest.param(
            "as-found", "echo '0   CF   '", {"exitCode": 0}, id="configuring reads as ended as found"
        ),
        pytest.param("ideal", "echo '0   CF   '", {}, id="configuring waits ideally"),
        pytest.param(
            "as-found", "echo 'slurm_load_jobs error: Invalid job id specified' >&2", 500, id="forgotten job"
        ),
    ],
)
def test_states_that_come_seldom(
    helpers: Any, tmp_path: Path, short_dir: Callable[[], Path], mode: str, squeue: str, answer: Any
) -> None:
    listing = f'test "$1" = --me || {squeue}'
    bin_dir = fake_commands(tmp_path / "bin", sbatch="echo Submitted batch job 7", squeue=listing)
    with helpers.plugin_in(short_dir(), bin_dir, "--mode", mode) as plugin:
        pod = helpers.make_pod()
        plugin.create(pod)
        status, text = plugin.call("GET", "/status", [pod])
        if answer == 500:
            assert (status, "Invalid job id specified" in text) == (500, True)
        else:
            (state,) = json.loads(text)[0]["containers"][0]["state"].values()
            assert {key: state[key] for key in answer} == answer
