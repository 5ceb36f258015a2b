"""What the kubelet decides and writes: restarts, phases, conditions, paths, addresses, logs."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rayster_testbed.kubelet.addresses import Addresses
from rayster_testbed.kubelet.command import CommandError, build_process
from rayster_testbed.kubelet.logs import LogOptions, format_lines
from rayster_testbed.kubelet.plan import View, Waiting, initialized, phase, plan, restart_delay_seconds
from rayster_testbed.kubelet.runtime import Attempt
from rayster_testbed.kubelet.status import pod_status
from rayster_testbed.kubelet.volumes import (
    Mount,
    MountError,
    container_mounts,
    set_up,
    translate,
    translate_argument,
)

STARTED = "2026-11-21T00:00:00.123456000Z"
ENDED = "2026-11-21T00:00:10.123456000Z"
ENDED_SECONDS = 1795219210.123456
LATER = "2026-11-21T00:10:10.123456000Z"


def ended(code, number=0, at=ENDED, **more):
    return Attempt(number, Path(f"/d/u/containers/main/{number}"), STARTED, at, code, **more)


def running(number=0):
    return Attempt(number, Path(f"/d/u/containers/main/{number}"), STARTED)


RUNS = View((running(),))
NEVER = View()


def done(code):
    return View((ended(code),))


def spec(policy="Always", *, inits=(), names=("main",)):
    return {
        "restartPolicy": policy,
        "containers": [{"name": n, "image": "i"} for n in names],
        "initContainers": [{"name": n, "image": "i"} for n in inits],
    }


@pytest.mark.parametrize(
    ("policy", "views", "expected"),
    [
        pytest.param("Always", {"main": NEVER}, "Pending", id="nothing started"),
        pytest.param("Never", {"main": RUNS}, "Running", id="runs"),
        pytest.param("Never", {"main": done(0)}, "Succeeded", id="exit 0"),
        pytest.param("Never", {"main": done(3)}, "Failed", id="exit 3"),
        pytest.param("OnFailure", {"main": done(0)}, "Succeeded", id="OnFailure, exit 0"),
        pytest.param("OnFailure", {"main": done(3)}, "Running", id="OnFailure, exit 3"),
        pytest.param("Always", {"main": done(0)}, "Running", id="Always goes on"),
        pytest.param("Never", {"main": done(1), "side": RUNS}, "Running", id="one of two still runs"),
        pytest.param("Never", {"main": done(0), "side": NEVER}, "Pending", id="one not started"),
    ],
)
def test_phase_of_main_containers(policy, views, expected):
    assert phase(spec(policy, names=list(views)), views) == expected


@pytest.mark.parametrize(
    ("policy", "first", "second", "expected"),
    [
        pytest.param("Never", NEVER, NEVER, "Pending", id="to start"),
        pytest.param("Never", done(7), NEVER, "Failed", id="failed for good"),
        pytest.param("Always", done(7), NEVER, "Pending", id="will be tried again"),
        pytest.param("Never", done(0), RUNS, "Pending", id="second runs"),
    ],
)
def test_phase_while_init_containers_run(policy, first, second, expected):
    views = {"i1": first, "i2": second, "main": NEVER}
    assert phase(spec(policy, inits=("i1", "i2")), views) == expected
    assert not initialized(spec(policy, inits=("i1", "i2")), views)


@pytest.mark.parametrize(
    ("policy", "views", "start"),
    [
        pytest.param("Never", {"i1": NEVER, "i2": NEVER, "main": NEVER}, ("i1",), id="first init first"),
        pytest.param("Never", {"i1": RUNS, "i2": NEVER, "main": NEVER}, (), id="wait for it"),
        pytest.param("Never", {"i1": done(0), "i2": NEVER, "main": NEVER}, ("i2",), id="then the second"),
        pytest.param(
            "Never", {"i1": done(0), "i2": done(0), "main": NEVER}, ("main",), id="then the main one"
        ),
        pytest.param("Never", {"i1": done(1), "i2": NEVER, "main": NEVER}, (), id="a failed init ends it"),
        pytest.param("Always", {"i1": done(1), "i2": NEVER, "main": NEVER}, ("i1",), id="or is tried again"),
        pytest.param("Never", {"i1": done(0), "i2": done(0), "main": done(0)}, (), id="all done"),
        pytest.param("Always", {"i1": done(0), "i2": done(0), "main": done(0)}, ("main",), id="restart"),
    ],
)
def test_what_is_started_next(policy, views, start):
    assert plan(spec(policy, inits=("i1", "i2")), views, ENDED_SECONDS + 1, 10).start == start


def test_restarts_back_off_from_ten_seconds_and_start_over_after_a_good_run():
    crashes = [ended(1, n) for n in range(8)]
    delays = [restart_delay_seconds(crashes[:n], 10) for n in range(1, 9)]
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert restart_delay_seconds([*crashes, ended(1, 8, at=LATER), ended(1, 9)], 10) == 0


def test_a_container_that_backs_off_says_when_to_look_again():
    views = {"main": View((ended(1, 0), ended(1, 1)))}
    waiting = plan(spec(), views, ENDED_SECONDS + 4, 10)
    assert (waiting.start, waiting.backing_off) == ((), {"main": 10.0})
    assert waiting.look_again_seconds == pytest.approx(6)
    assert plan(spec(), views, ENDED_SECONDS + 10.1, 10).start == ("main",)


def status_of(views, policy="Never", pod_ip="127.20.0.2", present=None, **more):
    pod = {"metadata": {"name": "p"}, "spec": spec(policy), "status": present or {}}
    times = {"start_time": "2026-11-21T00:00:00Z", "now": "2026-11-21T01:00:00Z"}
    return pod_status(pod, views, pod_ip=pod_ip, host_ip="127.20.0.1", **times, **more)


def conditions_of(status):
    return {c["type"]: (c["status"], c.get("reason")) for c in status["conditions"]}


def test_status_before_anything_runs():
    status = status_of({"main": NEVER})
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions_of(status) == {
        "PodReadyToStartContainers": ("True", None),
        "Initialized": ("True", None),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", None),
    }
    assert status["conditions"][2]["message"] == "containers with unready status: [main]"


def test_status_of_a_running_pod():
    status = status_of({"main": RUNS})
    (container,) = status["containerStatuses"]
    assert status["phase"] == "Running"
    assert (status["podIP"], status["podIPs"], status["hostIP"]) == (
        "127.20.0.2",
        [{"ip": "127.20.0.2"}],
        "127.20.0.1",
    )
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert container["state"] == {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
    assert conditions_of(status)["Ready"] == ("True", None)


@pytest.mark.parametrize(
    ("code", "expected_phase", "reason", "ready_reason"),
    [(0, "Succeeded", "Completed", "PodCompleted"), (3, "Failed", "Error", "PodFailed")],
)
def test_status_of_an_ended_pod(code, expected_phase, reason, ready_reason):
    status = status_of({"main": done(code)})
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert status["phase"] == expected_phase
    assert (terminated["exitCode"], terminated["reason"]) == (code, reason)
    assert (terminated["startedAt"], terminated["finishedAt"]) == (
        "2026-11-21T00:00:00Z",
        "2026-11-21T00:00:10Z",
    )
    assert conditions_of(status)["Ready"] == ("False", ready_reason)


def test_status_of_a_container_that_backs_off_keeps_its_last_end():
    view = View((ended(1, 0), ended(2, 1)), Waiting("CrashLoopBackOff", "back-off 10s"))
    (container,) = status_of({"main": view}, "Always")["containerStatuses"]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert container["lastState"]["terminated"]["exitCode"] == 2
    assert container["restartCount"] == 1


def test_status_of_a_command_that_cannot_be_executed():
    failed = Attempt(
        0, Path("/d/u/containers/main/0"), None, ENDED, 128, 'exec: "x": executable file not found in $PATH'
    )
    terminated = status_of({"main": View((failed,))})["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("StartError", 128)
    assert terminated["message"].endswith('exec: "x": executable file not found in $PATH')
    assert terminated["startedAt"] == "1970-01-01T00:00:00Z"


def test_a_probe_keeps_a_running_container_unready():
    status = status_of({"main": View((running(),), started=True, ready=False)})
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["ready"] is False
    assert conditions_of(status)["Ready"] == ("False", "ContainersNotReady")


def test_conditions_keep_their_time_while_they_do_not_change_and_foreign_ones_stay():
    present = {
        "conditions": [
            {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-20T00:00:00Z"},
            {"type": "DisruptionTarget", "status": "True"},
        ]
    }
    conditions = {c["type"]: c for c in status_of({"main": RUNS}, present=present)["conditions"]}
    assert conditions["Initialized"]["lastTransitionTime"] == "2026-11-20T00:00:00Z"
    assert conditions["Ready"]["lastTransitionTime"] == "2026-11-21T01:00:00Z"
    assert conditions["DisruptionTarget"]["status"] == "True"


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [("Always", 0, "Succeeded"), ("Always", 143, "Failed"), ("OnFailure", 1, "Failed")],
)
def test_a_deleted_pod_whose_containers_have_ended_is_final(policy, code, expected):
    assert status_of({"main": done(code)}, policy, terminating=True)["phase"] == expected


MOUNTS = [
    Mount("/home/jovyan", Path("/v/claim")),
    Mount("/home/jovyan/data", Path("/v/data")),
    Mount("/etc/conf", Path("/v/cm")),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/home/jovyan", "/v/claim", id="the mount itself"),
        pytest.param("/home/jovyan/", "/v/claim", id="with a slash"),
        pytest.param("/home/jovyan/work/a.py", "/v/claim/work/a.py", id="below it"),
        pytest.param("/home/jovyan/data/x", "/v/data/x", id="the longest mount wins"),
        pytest.param("/home/jovyanna", "/home/jovyanna", id="another directory"),
        pytest.param("/usr/bin:/etc/conf/bin:", "/usr/bin:/v/cm/bin:", id="a search path"),
        pytest.param("http://hub:8081/etc/conf", "http://hub:8081/etc/conf", id="no path of ours"),
        pytest.param("plain", "plain", id="no path at all"),
    ],
)
def test_paths_under_a_mount_point_to_the_host(text, expected):
    assert translate(text, MOUNTS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--config=/etc/conf/a.py", "--config=/v/cm/a.py"),
        ("/etc/conf/a.py", "/v/cm/a.py"),
        ("x=/etc/conf/a.py", "x=/etc/conf/a.py"),
        ("cat /etc/conf/a.py", "cat /etc/conf/a.py"),
    ],
)
def test_arguments_are_translated_but_text_of_scripts_is_not(text, expected):
    assert translate_argument(text, MOUNTS) == expected


def process_of(container, env=None, mounts=(), tmp_path=Path("/scratch")):
    pod = {"metadata": {"name": "jupyter-ada"}, "spec": {}}
    return build_process(pod, container, env or {}, mounts, tmp_path, "/venv/bin")


def test_a_process_gets_its_own_environment_and_nothing_of_ours(tmp_path):
    process = process_of(
        {"command": ["a", "$(WHO)", "$$x"], "args": ["--p=$(PORT)"]},
        {"WHO": "ada", "PORT": "1"},
        (),
        tmp_path,
    )
    assert process.argv == ["a", "ada", "$x", "--p=1"]
    assert process.env == {
        "PATH": "/venv/bin",
        "LANG": "C.UTF-8",
        "HOSTNAME": "jupyter-ada",
        "WHO": "ada",
        "PORT": "1",
        "HOME": str(tmp_path / "home"),
    }
    assert process.cwd == tmp_path / "home"


def test_home_and_working_directory_lie_in_the_volume(tmp_path):
    mounts = [Mount("/home/jovyan", tmp_path / "claim")]
    process = process_of({"command": ["a"], "workingDir": "/home/jovyan/work"}, {}, mounts, tmp_path)
    assert process.env["HOME"] == str(tmp_path / "claim")
    assert process.cwd == tmp_path / "claim/work"
    explicit = process_of({"command": ["a"]}, {"HOME": "/home/jovyan"}, mounts, tmp_path)
    assert explicit.env["HOME"] == str(tmp_path / "claim")


def test_a_directory_that_only_the_image_would_have_is_made_aside(tmp_path):
    process = process_of(
        {"command": ["a"], "workingDir": "/srv/only/in/image"}, {"HOME": "/home/nobody-here"}, (), tmp_path
    )
    assert process.cwd == tmp_path / "srv/only/in/image"
    assert process.env["HOME"] == str(tmp_path / "home/nobody-here")
    assert process_of({"command": ["a"], "workingDir": "/tmp"}, {}, (), tmp_path).cwd == Path("/tmp")


def test_a_container_without_a_command_is_refused():
    with pytest.raises(CommandError, match="no command specified"):
        process_of({"image": "i"})


def volumes_pod(*volumes):
    return {
        "metadata": {"name": "p", "namespace": "lab", "uid": "u", "labels": {"a": "b"}},
        "spec": {"volumes": list(volumes)},
    }


OBJECTS = {
    ("configmaps", "cm"): {
        "data": {"a": "1", "b": "2"},
        "binaryData": {"bin": base64.b64encode(b"\0").decode()},
    },
    ("secrets", "s"): {"data": {"k": base64.b64encode(b"v").decode()}},
    ("secrets", "gone"): None,
}


def make_volumes(tmp_path, *volumes, tokens=None):
    return set_up(
        volumes_pod(*volumes),
        tmp_path / "v",
        tmp_path / "claims",
        OBJECTS,
        {"status.podIP": "127.1.1.1"},
        tokens or {},
    )


def test_config_maps_secrets_and_fields_become_files(tmp_path):
    sources = [
        {"secret": {"name": "s", "items": [{"key": "k", "path": "deep/k.txt"}]}},
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    made = make_volumes(
        tmp_path,
        {"name": "cm", "configMap": {"name": "cm"}},
        {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "all", "projected": {"sources": sources}},
        {
            "name": "field",
            "downwardAPI": {"items": [{"path": "ip", "fieldRef": {"fieldPath": "status.podIP"}}]},
        },
        {"name": "empty", "emptyDir": {}},
        {"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}},
        tokens={"token": "t0k"},
    )
    assert {p.name: p.read_bytes() for p in made["cm"].iterdir()} == {"a": b"1", "b": b"2", "bin": b"\0"}
    assert (made["secret"] / "k").stat().st_mode & 0o777 == 0o400
    found = {str(p.relative_to(made["all"])): p.read_text() for p in made["all"].rglob("*") if p.is_file()}
    assert found == {"deep/k.txt": "v", "a": "1", "labels": 'a="b"', "token": "t0k"}
    assert (made["field"] / "ip").read_text() == "127.1.1.1"
    assert list(made["empty"].iterdir()) == []
    assert made["home"] == tmp_path / "claims/lab/claim-ada"


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        pytest.param(
            {"name": "v", "secret": {"secretName": "gone"}},
            'MountVolume.SetUp failed for volume "v" : secret "gone" not found',
            id="missing secret",
        ),
        pytest.param(
            {"name": "v", "configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}},
            'MountVolume.SetUp failed for volume "v" : references non-existent configmap key: z in lab/cm',
            id="missing key",
        ),
        pytest.param(
            {"name": "v", "configMap": {"name": "cm", "items": [{"key": "a", "path": "../../out"}]}},
            "path '../../out' must stay inside its volume",
            id="path that leaves the volume",
        ),
        pytest.param(
            {"name": "v", "hostPath": {"path": "/does/not/exist", "type": "Directory"}},
            'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /does/not/exist is not a directory',
            id="missing host directory",
        ),
    ],
)
def test_a_volume_that_cannot_be_made_says_why(tmp_path, volume, message):
    with pytest.raises(MountError) as error:
        make_volumes(tmp_path, volume)
    assert str(error.value) == message


def test_optional_objects_make_empty_volumes(tmp_path):
    made = make_volumes(tmp_path, {"name": "v", "secret": {"secretName": "gone", "optional": True}})
    assert list(made["v"].iterdir()) == []


def test_sub_paths_stay_inside_their_volume(tmp_path):
    (mount,) = container_mounts(
        {"volumeMounts": [{"name": "v", "mountPath": "/data/", "subPath": "ada"}]}, {"v": tmp_path}
    )
    assert (mount.mount_path, mount.host_path) == ("/data", tmp_path / "ada")
    assert mount.host_path.is_dir()
    with pytest.raises(MountError, match="must stay inside its volume"):
        container_mounts(
            {"volumeMounts": [{"name": "v", "mountPath": "/d", "subPath": "../x"}]}, {"v": tmp_path}
        )


def test_pods_get_different_addresses_in_turn_and_keep_theirs():
    addresses = Addresses("127.30.0.0/29")
    assert addresses.node == "127.30.0.1"
    addresses.adopt("old", "127.30.0.3")
    assert [addresses.take(uid) for uid in ("a", "b", "a", "old")] == [
        "127.30.0.2",
        "127.30.0.4",
        "127.30.0.2",
        "127.30.0.3",
    ]
    addresses.give_back("a")
    assert [addresses.take(uid) for uid in ("c", "d", "e")] == ["127.30.0.5", "127.30.0.6", "127.30.0.2"]
    with pytest.raises(RuntimeError, match="no free address"):
        addresses.take("f")


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "127.0.0.0/30", "nonsense"])
def test_addresses_must_be_loopback(cidr):
    with pytest.raises(ValueError, match=r"127\.0\.0\.0/8|nonsense"):
        Addresses(cidr)


LINES = [
    b"2026-11-21T00:00:01.000000000Z stdout F one",
    b"2026-11-21T00:00:02.000000000Z stderr P half ",
    b"2026-11-21T00:00:03.000000000Z stderr F line",
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(LogOptions(), b"one\nhalf line\n", id="plain"),
        pytest.param(LogOptions(since_epoch_seconds=ENDED_SECONDS - 8.5), b"half line\n", id="since"),
        pytest.param(
            LogOptions(timestamps=True),
            b"2026-11-21T00:00:01.000000000Z one\n2026-11-21T00:00:02.000000000Z half "
            b"2026-11-21T00:00:03.000000000Z line\n",
            id="timestamps",
        ),
    ],
)
def test_log_lines(options, expected):
    assert b"".join(format_lines(LINES, options)) == expected
