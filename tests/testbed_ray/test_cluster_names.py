"""Names of cluster services inside containers: who has one, and that Python there finds it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from rayster_testbed.cluster_names import resolver
from rayster_testbed.cluster_names.follow import with_names
from rayster_testbed.cluster_names.hosts import hosts
from rayster_testbed.kube import path
from rayster_testbed.slurm_plugin.__main__ import write_runtime

NAME = "rc-head-svc.lab.svc"


def service(**spec):
    head = {"clusterIP": "None", "selector": {"ray.io/cluster": "rc"}, "publishNotReadyAddresses": True}
    return {"metadata": {"name": "rc-head-svc", "namespace": "lab"}, "spec": {**head, **spec}}


def pod(ip="127.9.0.5", namespace="lab", labels=None, metadata=None, **status):
    labels = {"ray.io/cluster": "rc", "ray.io/node-type": "head"} if labels is None else labels
    status = {"podIP": ip, "phase": "Running", **status}
    return {"metadata": {"namespace": namespace, "labels": labels, **(metadata or {})}, "status": status}


READY = [{"type": "Ready", "status": "True"}]
LED = f"127.9.0.5 {NAME}.cluster.local {NAME}\n"


@pytest.mark.parametrize(
    ("service", "pod", "text"),
    [
        pytest.param(service(), pod(), LED, id="head"),
        pytest.param(service(), pod(phase="Pending"), LED, id="before it is ready, when the service says so"),
        pytest.param(
            service(publishNotReadyAddresses=False), pod(), "", id="not before it is ready otherwise"
        ),
        pytest.param(service(publishNotReadyAddresses=False), pod(conditions=READY), LED, id="ready"),
        pytest.param(service(), pod(labels={"app": "other"}), "", id="other labels"),
        pytest.param(service(), pod(labels={}), "", id="no labels"),
        pytest.param(service(), pod(namespace="other"), "", id="other namespace"),
        pytest.param(service(), pod(phase="Failed"), "", id="ended"),
        pytest.param(service(), pod(ip="127.0.0.1"), "", id="on a virtual node, where nobody reaches it"),
        pytest.param(service(clusterIP="127.96.0.1"), pod(), "", id="not headless"),
        pytest.param(service(selector=None), pod(), "", id="selects nothing"),
    ],
)
def test_who_has_a_name(service, pod, text):
    assert hosts([service], [pod]) == text


@pytest.fixture
def names_dir(tmp_path):
    """A directory as the part keeps it, with one name."""
    shutil.copyfile(resolver.__file__, tmp_path / "sitecustomize.py")
    (tmp_path / "hosts").write_text(LED)
    return tmp_path


def python(names_dir, code, *words, **env):
    """What a Python prints that starts as in a container."""
    variables = with_names({**os.environ, **env}, names_dir)
    command = [sys.executable, "-c", f"import json, socket, sys\nprint(json.dumps({code}))", *words]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(f"socket.gethostbyname('{NAME}.cluster.local')", id="gethostbyname"),
        pytest.param(f"socket.gethostbyname('{NAME}')", id="short"),
        pytest.param(f"socket.gethostbyname('{NAME.upper()}.')", id="any case, with a dot at the end"),
        pytest.param(f"socket.getaddrinfo('{NAME}', 80)[0][4][0]", id="getaddrinfo"),
        pytest.param(f"socket.gethostbyname_ex('{NAME}')[2][0]", id="gethostbyname_ex"),
    ],
)
def test_python_finds_a_name(names_dir, code):
    assert python(names_dir, code) == "127.9.0.5"


def test_an_unknown_name_of_the_cluster_is_an_error_at_once(names_dir):
    with pytest.raises(subprocess.CalledProcessError) as error:
        python(names_dir, "socket.gethostbyname('other.lab.svc.cluster.local')")
    assert "Name or service not known" in error.value.stderr


def test_other_names_are_resolved_as_ever(names_dir):
    assert python(names_dir, "socket.gethostbyname('localhost')") == "127.0.0.1"


def test_names_on_a_command_line_become_addresses(names_dir):
    words = [
        f"--address={NAME}.cluster.local:6379",
        f"{NAME}:1",
        "other.lab.svc:1",
        f"x{NAME}",
        f"{NAME}.example.org",
    ]
    found = python(names_dir, "sys.argv[1:]", *words)
    assert found == ["--address=127.9.0.5:6379", "127.9.0.5:1", *words[2:]]


def test_a_container_keeps_its_own_pythonpath_and_sitecustomize(names_dir, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text("here = 'mine'")
    later = tmp_path / "later"
    later.mkdir()
    (later / "sitecustomize.py").write_text("import sys; sys.later = True")
    variables = with_names({"PYTHONPATH": str(own)}, names_dir)["PYTHONPATH"]
    code = f"[__import__('mine').here, socket.gethostbyname('{NAME}'), sys.later]"
    command = [sys.executable, "-c", f"import json, socket, sys\nprint(json.dumps({code}))"]
    env = {**os.environ, "PYTHONPATH": f"{variables}{os.pathsep}{later}"}
    answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout) == ["mine", "127.9.0.5", True]


async def test_the_file_follows_the_cluster(lab, ray_cluster, tmp_path, start_part):
    start_part("cluster_names", "--directory", tmp_path / "names")
    await lab.create(ray_cluster(replicas=0))
    (head,) = await lab.until_pods(1, "head")
    await lab.play(head, "Pending", ip="127.9.0.7")
    name = f"rc-head-svc.{lab.namespace}.svc.cluster.local"

    async def line():
        file = tmp_path / "names" / "hosts"
        lines = file.read_text().splitlines() if file.exists() else []
        return next((line for line in lines if name in line), None)

    assert (await lab.until(line, "a name")).startswith("127.9.0.7 ")

    await lab.client.delete(path("rayclusters", lab.namespace, "rc", api="apis/ray.io/v1"))

    async def no_line():
        return not await line()

    await lab.until(no_line, "no name")


async def test_a_container_in_the_cloud_finds_the_head_by_its_name(lab, ray_cluster, tmp_path, start_part):
    names = tmp_path / "names"
    start_part("cluster_names", "--directory", names)
    start_part(
        "kubelet",
        *("--node-name", "n", "--pod-cidr", "127.76.0.0/16", "--data-dir", tmp_path / "kubelet"),
        *("--names-dir", names, "--stop-pods-on-exit"),
    )
    await lab.create(ray_cluster(replicas=0))
    (head,) = await lab.until_pods(1, "head")
    await lab.play(head, "Running", ip="127.9.0.8")
    name = f"rc-head-svc.{lab.namespace}.svc.cluster.local"
    code = f"import socket; assert socket.gethostbyname('{name}') == '127.9.0.8'"
    spec = {
        "nodeName": "n",
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": "i", "command": [sys.executable, "-c", code]}],
    }
    await lab.client.create(path("pods", lab.namespace), {"metadata": {"name": "asks"}, "spec": spec})

    async def found():
        pod = await lab.client.get(path("pods", lab.namespace, "asks"))
        return pod["status"].get("phase") == "Succeeded"

    await lab.until(found, "an answer", 60)


def test_a_container_of_a_job_finds_a_name(names_dir, tmp_path):
    singularity = write_runtime(tmp_path / "plugin", names_dir)
    code = f"import os, socket; print(socket.gethostbyname('{NAME}'), 'RAYSTER_TESTBED_NAMES' in os.environ)"
    command = [singularity, "exec", "--containall", "docker://i", sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.split() == ["127.9.0.5", "False"]
