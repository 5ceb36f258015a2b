"""The kubelet process with real containers (local processes) against the API server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from rayster_testbed.kube import COORDINATION, path

SERVE = "import http.server,os,sys; http.server.ThreadingHTTPServer((os.environ['POD_IP'], 8888), http.server.SimpleHTTPRequestHandler).serve_forever()"
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def container(*command, name="main", **more):
    return {"name": name, "image": "rayster/test:1", "command": list(command), **more}


def state(pod, name="main", kind="containerStatuses"):
    return next(s for s in pod["status"][kind] if s["name"] == name)


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def text_of(cluster, name, container_name="main", **query):
    """The log as the kubelet gives it."""
    node = await cluster.client.get(path("nodes", "", "cloud-0"))
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"http://{address}:{port}/containerLogs/{cluster.namespace}/{name}/{container_name}"
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as response:
        return response.status, await response.text()


async def bound_pod(cluster, name, *command, **spec):
    return await cluster.create_pod(name, *command, nodeName="cloud-0", **spec)


async def pid_in(file, cluster):
    async def look():
        return file.exists() and file.read_text().strip()

    return int(await cluster.until(look))


async def test_a_node_registers_and_keeps_its_lease(cluster, cloud_node):
    cloud_node("--node-label", "hub.jupyter.org/node-purpose=user")
    node = await cluster.until_ready("cloud-0")
    assert (
        node["metadata"]["labels"].items()
        >= {
            "kubernetes.io/hostname": "cloud-0",
            "kubernetes.io/os": "linux",
            "hub.jupyter.org/node-purpose": "user",
        }.items()
    )
    assert node["status"]["allocatable"] == {"cpu": "4", "memory": "4Gi", "pods": "110"}
    lease = path("leases", "kube-node-lease", "cloud-0", api=COORDINATION)

    async def renewed():
        found = await cluster.client.find(lease)
        return found and found["spec"]["renewTime"]

    first = await cluster.until(renewed)

    async def again():
        return await renewed() != first

    await cluster.until(again)


async def test_a_server_runs_at_its_pods_own_address(cluster, cloud_node, tmp_path):
    cloud_node()
    serve = container(
        "python", "-c", SERVE, env=[POD_IP], readinessProbe={"httpGet": {"port": 8888}, "periodSeconds": 1}
    )
    for name in ("a", "b"):
        await bound_pod(cluster, name, containers=[serve])
    for name in ("a", "b"):
        await cluster.until_phase(name, "Running")

        async def ready(name=name):
            found = await cluster.pod(name)
            return found if state(found)["ready"] else None

        found = await cluster.until(ready)
        conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
        assert conditions["Ready"] == conditions["ContainersReady"] == "True"
        url = f"http://{found['status']['podIP']}:8888/"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 200
    addresses = {(await cluster.pod(name))["status"]["podIP"] for name in ("a", "b")}
    assert len(addresses) == 2
    assert all(address.startswith("127.77.") for address in addresses)


async def test_status_and_events_of_a_container_that_ends(cluster, cloud_node):
    cloud_node()
    created = await bound_pod(cluster, "p", "sh", "-c", "echo out; echo err >&2; exit 3")
    found = await cluster.until_phase("p", "Failed")
    terminated = state(found)["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")

    async def three():
        events = await cluster.events("p")
        return events if len(events) == 3 else None

    events = {e["reason"]: e for e in await cluster.until(three)}
    assert set(events) == {"Pulled", "Created", "Started"}
    started = events["Started"]
    assert started["source"] == {"component": "kubelet", "host": "cloud-0"}
    assert started["involvedObject"]["uid"] == created["metadata"]["uid"]
    assert started["involvedObject"]["fieldPath"] == "spec.containers{main}"
    # A status that says the same is not written again
    version = found["metadata"]["resourceVersion"]
    await asyncio.sleep(0.5)
    assert (await cluster.pod("p"))["metadata"]["resourceVersion"] == version


async def test_logs_by_tail_limit_time_stamp_and_follow(cluster, cloud_node):
    cloud_node()
    await cluster.until_ready("cloud-0")
    script = "for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 1; printf end"
    await bound_pod(cluster, "p", "sh", "-c", script)
    await cluster.until_phase("p", "Running")
    status, followed = await text_of(cluster, "p", follow="true")
    assert (status, followed) == (200, "line 1\nline 2\nline 3\noops\nend")
    assert (await text_of(cluster, "p", tailLines="2"))[1] == "oops\nend"
    assert (await text_of(cluster, "p", limitBytes="9"))[1] == "line 1\nli"
    stamped = (await text_of(cluster, "p", timestamps="true", tailLines="1"))[1]
    assert stamped[:4] == time.strftime("%Y", time.gmtime()) and stamped.endswith("Z end")
    assert (await text_of(cluster, "p", "other"))[0] == 404
    assert (await text_of(cluster, "none"))[0] == 404
    assert await text_of(cluster, "p", previous="true") == (
        400,
        'previous terminated container "main" in pod "p" not found',
    )


async def test_the_environment_is_the_pods_and_nothing_else(cluster, cloud_node):
    cloud_node()
    secret = {"metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"hidden").decode()}}
    await cluster.client.create(path("secrets", cluster.namespace), secret)
    env = [
        POD_IP,
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "URL", "value": "http://$(POD_IP):8888"},
        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    show = container("python", "-c", "import json,os; print(json.dumps(dict(os.environ)))", env=env)
    await bound_pod(
        cluster,
        "p",
        containers=[show | {"resources": {"limits": {"cpu": "1500m"}}}],
        labels={"app": "jupyter"},
    )
    found = await cluster.until_phase("p", "Succeeded")
    seen = json.loads((await text_of(cluster, "p"))[1])
    address = found["status"]["podIP"]
    assert seen.pop("PATH").split(":")[0].endswith("/bin")
    assert seen.pop("HOME").endswith("/home")
    seen.pop("LC_CTYPE", None)  # python sets it for itself
    assert seen == {
        "LANG": "C.UTF-8",
        "HOSTNAME": "p",
        "POD_IP": address,
        "SECRET": "hidden",
        "LABEL": "jupyter",
        "URL": f"http://{address}:8888",
        "CORES": "2",
    }


async def test_volumes_are_seen_through_home_working_directory_and_arguments(cluster, cloud_node):
    cloud_node()
    config = {"metadata": {"name": "cm"}, "data": {"greeting": "hello"}}
    await cluster.client.create(path("configmaps", cluster.namespace), config)
    volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}},
        {"name": "conf", "configMap": {"name": "cm"}},
    ]
    mounts = [{"name": "home", "mountPath": "/home/jovyan"}, {"name": "conf", "mountPath": "/etc/conf"}]
    write = container(
        "sh",
        "-c",
        'cat "$1" > note; pwd',
        "sh",
        "/etc/conf/greeting",
        workingDir="/home/jovyan",
        volumeMounts=mounts,
    )
    read = container("sh", "-c", 'cat "$HOME/note"', volumeMounts=mounts)
    await bound_pod(cluster, "writer", containers=[write], volumes=volumes)
    await cluster.until_phase("writer", "Succeeded")
    await bound_pod(cluster, "reader", containers=[read], volumes=volumes)
    await cluster.until_phase("reader", "Succeeded")
    assert (await text_of(cluster, "reader"))[1] == "hello"
    kept = cluster.directory / "kubelet/volumes/lab/claim-ada/note"
    assert kept.read_text() == "hello"


async def test_a_missing_config_map_holds_the_pod_until_it_is_there(cluster, cloud_node):
    cloud_node()
    await bound_pod(cluster, "p", "true", volumes=[{"name": "conf", "configMap": {"name": "late"}}])

    async def told():
        return [e for e in await cluster.events("p") if e["reason"] == "FailedMount"]

    (event,) = await cluster.until(told)
    assert event["message"] == 'MountVolume.SetUp failed for volume "conf" : configmap "late" not found'
    waiting = state(await cluster.pod("p"))["state"]["waiting"]
    assert waiting["reason"] == "ContainerCreating"
    await cluster.client.create(
        path("configmaps", cluster.namespace), {"metadata": {"name": "late"}, "data": {}}
    )
    await cluster.until_phase("p", "Succeeded")


async def test_a_missing_secret_key_is_a_config_error_until_it_is_there(cluster, cloud_node):
    cloud_node()
    env = [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    await bound_pod(cluster, "p", containers=[container("true", env=env)])

    async def waiting():
        found = await cluster.pod("p")
        reason = (found["status"].get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
        return reason if reason.get("reason") == "CreateContainerConfigError" else None

    assert (await cluster.until(waiting))["message"] == 'secret "late" not found'
    secret = {"metadata": {"name": "late"}, "data": {"k": ""}}
    await cluster.client.create(path("secrets", cluster.namespace), secret)
    await cluster.until_phase("p", "Succeeded")


async def test_an_image_that_does_not_exist_cannot_be_pulled(cluster, cloud_node):
    cloud_node()
    image = "rayster/does-not-exist:1"
    await bound_pod(cluster, "p", containers=[container("true") | {"image": image}])

    async def backing_off():
        found = await cluster.pod("p")
        waiting = (found["status"].get("containerStatuses") or [{}])[0].get("state", {}).get("waiting") or {}
        return waiting.get("reason") == "ImagePullBackOff"

    await cluster.until(backing_off)
    assert (await cluster.pod("p"))["status"]["phase"] == "Pending"

    async def told():
        messages = {(e["type"], e["reason"], e["message"]) for e in await cluster.events("p")}
        return messages if ("Warning", "Failed", "Error: ImagePullBackOff") in messages else None

    messages = await cluster.until(told)
    assert ("Normal", "Pulling", f'Pulling image "{image}"') in messages
    assert ("Warning", "Failed", "Error: ErrImagePull") in messages
    assert ("Normal", "BackOff", f'Back-off pulling image "{image}"') in messages


async def test_a_command_that_does_not_exist_is_a_start_error(cluster, cloud_node):
    cloud_node()
    await bound_pod(cluster, "p", "no-such-program")
    terminated = state(await cluster.until_phase("p", "Failed"))["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("StartError", 128)
    assert terminated["message"].endswith('exec: "no-such-program": executable file not found in $PATH')


async def test_init_containers_run_in_order_before_the_others(cluster, cloud_node):
    cloud_node()
    mounts = [{"name": "shared", "mountPath": "/shared"}]

    def say(name, word):
        return container(
            "sh", "-c", f'echo {word} >> "$1"', "sh", "/shared/words", name=name, volumeMounts=mounts
        )

    main = container("sh", "-c", 'cat "$1"', "sh", "/shared/words", volumeMounts=mounts)
    spec = {"initContainers": [say("i1", "one"), say("i2", "two")], "containers": [main]}
    await bound_pod(cluster, "p", volumes=[{"name": "shared", "emptyDir": {}}], **spec)
    found = await cluster.until_phase("p", "Succeeded")
    assert (await text_of(cluster, "p"))[1] == "one\ntwo\n"
    assert [s["state"]["terminated"]["exitCode"] for s in found["status"]["initContainerStatuses"]] == [0, 0]


async def test_a_failed_init_container_fails_the_pod(cluster, cloud_node):
    cloud_node()
    await bound_pod(cluster, "p", "true", initContainers=[container("sh", "-c", "exit 7", name="i")])
    found = await cluster.until_phase("p", "Failed")
    assert state(found, "i", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 7
    assert state(found)["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_a_crashing_container_is_restarted_with_back_off(cluster, cloud_node):
    cloud_node()
    await bound_pod(cluster, "p", "sh", "-c", "sleep 0.05; exit 1", restartPolicy="Always")
    seen = []

    async def three_restarts():
        found = await cluster.pod("p")
        if statuses := found["status"].get("containerStatuses"):
            seen.append((statuses[0]["state"].get("waiting") or {}).get("reason"))
            return statuses[0]["restartCount"] >= 3 and statuses[0]
        return None

    status = await cluster.until(three_restarts)
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert "CrashLoopBackOff" in seen
    assert any(e["reason"] == "BackOff" for e in await cluster.events("p"))


async def test_a_container_that_fails_its_liveness_probe_is_restarted(cluster, cloud_node):
    cloud_node()
    probe = {
        "exec": {"command": ["test", "-e", "healthy"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "initialDelaySeconds": 1,
    }
    await bound_pod(
        cluster, "p", containers=[container("sleep", "1000", livenessProbe=probe)], restartPolicy="Always"
    )

    async def restarted():
        statuses = (await cluster.pod("p"))["status"].get("containerStatuses") or [{}]
        return statuses[0].get("restartCount")

    await cluster.until(restarted)
    reasons = {e["reason"] for e in await cluster.events("p")}
    assert {"Unhealthy", "Killing"} <= reasons


async def test_deletion_asks_first_and_kills_when_the_grace_period_is_over(cluster, cloud_node, tmp_path):
    cloud_node()
    polite, stubborn = tmp_path / "polite", tmp_path / "stubborn"
    await bound_pod(
        cluster,
        "polite",
        "sh",
        "-c",
        f"trap 'echo bye > {polite}; exit 0' TERM; while :; do sleep 0.05; done",
    )
    await bound_pod(
        cluster, "stubborn", "sh", "-c", f"trap '' TERM; echo $$$$ > {stubborn}; while :; do sleep 0.05; done"
    )
    for name in ("polite", "stubborn"):
        await cluster.until_phase(name, "Running")
    pid = await pid_in(stubborn, cluster)
    await cluster.client.delete(path("pods", cluster.namespace, "polite"), grace_seconds=100)
    await cluster.until_gone("polite", 50)
    began = time.monotonic()
    await cluster.client.delete(path("pods", cluster.namespace, "stubborn"), grace_seconds=2)
    assert "deletionTimestamp" in (await cluster.pod("stubborn"))["metadata"]
    assert polite.read_text() == "bye\n"
    await cluster.until_gone("stubborn")
    assert time.monotonic() - began >= 2
    assert not alive(pid)


async def test_a_process_that_detached_itself_ends_with_its_pod(cluster, cloud_node, tmp_path):
    cloud_node()
    file = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$$$ > {file}; trap \"\" TERM HUP; sleep 1000' & sleep 1000"
    await bound_pod(cluster, "p", "sh", "-c", script)
    pid = await pid_in(file, cluster)
    assert alive(pid)
    await cluster.client.delete(path("pods", cluster.namespace, "p"), grace_seconds=5)
    await cluster.until_gone("p")
    assert not alive(pid)


async def test_a_force_deleted_pod_is_ended_as_an_orphan(cluster, cloud_node, tmp_path):
    cloud_node()
    file = tmp_path / "pid"
    await bound_pod(cluster, "p", "sh", "-c", f"echo $$$$ > {file}; exec sleep 1000")
    pid = await pid_in(file, cluster)
    await cluster.until_phase("p", "Running")
    await cluster.client.delete(path("pods", cluster.namespace, "p"), grace_seconds=0)
    assert await cluster.pod("p") is None

    async def ended():
        return not alive(pid)

    await cluster.until(ended)

    async def cleaned():
        return not list((cluster.directory / "kubelet/pods").iterdir())

    await cluster.until(cleaned)


async def test_a_killed_kubelet_takes_its_containers_up_again(cluster, cloud_node, tmp_path):
    # Given three running pods
    kubelet = cloud_node()
    pids = {}
    for name, script in {
        "stays": "while :; do echo tick; sleep 0.1; done",
        "ends": f"while ! test -e {tmp_path}/end; do sleep 0.05; done; exit 5",
        "deleted": "exec sleep 1000",
    }.items():
        await bound_pod(cluster, name, "sh", "-c", f"echo $$$$ > {tmp_path}/{name}; {script}")
        await cluster.until_phase(name, "Running")
        pids[name] = await pid_in(tmp_path / name, cluster)
    before = await cluster.pod("stays")

    # When the kubelet is killed, one of them ends and another is force-deleted meanwhile
    kubelet.send_signal(signal.SIGKILL)
    kubelet.wait()
    assert all(alive(pid) for pid in pids.values())
    (tmp_path / "end").touch()

    async def ended():
        return not alive(pids["ends"])

    await cluster.until(ended)
    await cluster.client.delete(path("pods", cluster.namespace, "deleted"), grace_seconds=0)
    cloud_node()

    # Then the exit code is told, the orphan is ended, and the third goes on as if nothing had been
    found = await cluster.until_phase("ends", "Failed")
    assert state(found)["state"]["terminated"]["exitCode"] == 5

    async def orphan_ended():
        return not alive(pids["deleted"])

    await cluster.until(orphan_ended)
    after = await cluster.pod("stays")
    assert alive(pids["stays"])
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert state(after)["restartCount"] == 0
    assert state(after)["state"] == state(before)["state"]
    assert "tick" in (await text_of(cluster, "stays", tailLines="1"))[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_containers_end_with_a_kubelet_that_was_told_so(cluster, cloud_node, tmp_path, number):
    kubelet = cloud_node()
    await bound_pod(cluster, "p", "sh", "-c", f"echo $$$$ > {tmp_path}/pid; exec sleep 1000")
    pid = await pid_in(tmp_path / "pid", cluster)
    os.kill(kubelet.pid, number)
    assert kubelet.wait(30) == 0
    assert not alive(pid)


async def test_a_pod_past_its_deadline_fails(cluster, cloud_node):
    cloud_node()
    await bound_pod(cluster, "p", "sleep", "1000", activeDeadlineSeconds=1)
    found = await cluster.until_phase("p", "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded"
