"""The generated scripts, against what the real plugin was seen to generate."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_testbed.slurm_plugin.resources import limits_of
from rayster_testbed.slurm_plugin.script import containers_script, env_file, image_reference, job_script


def pod(annotations: dict[str, str] | None = None, *limits: dict[str, str], **spec: Any) -> dict[str, Any]:
    containers = [
        {"name": f"c{index}", "image": "busybox", "resources": {"limits": limit}}
        for index, limit in enumerate(limits or ({},))
    ]
    metadata = {"name": "p", "namespace": "ns", "uid": "uid-1", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def directives(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


FLAGS = "slurm-job.vk.io/flags"
SMALL = {"cpu": "1", "memory": "100Mi"}


@pytest.mark.parametrize(
    ("given_pod", "expected"),
    [
        pytest.param(pod(), ["--cpus-per-task=1", "--mem=1"], id="no limits: one core, one MiB"),
        pytest.param(
            pod(None, {"cpu": "1500m", "memory": "300Mi"}),
            ["--cpus-per-task=2", "--mem=300"],
            id="rounded up",
        ),
        pytest.param(
            pod(None, {"cpu": "1", "memory": "64Mi"}, {"cpu": "3", "memory": "32Mi"}),
            ["--cpus-per-task=3", "--mem=64"],
            id="largest, not sum",
        ),
        pytest.param(
            pod(None, {"nvidia.com/gpu": "1", **SMALL}),
            ["--cpus-per-task=1", "--mem=100"],
            id="no gres from GPUs",
        ),
        pytest.param(
            pod({FLAGS: "--account=X --time=00:05:00 --gres=gpu:1 -p padova"}, SMALL),
            ["--account=X", "--time=00:05:00", "--gres=gpu:1", "-p padova", "--cpus-per-task=1", "--mem=100"],
            id="flags in order, then cores and memory",
        ),
        pytest.param(
            pod({FLAGS: '--comment="two words"'}, SMALL),
            ["--comment=two words", "--cpus-per-task=1", "--mem=100"],
            id="quotes vanish",
        ),
        pytest.param(
            pod({FLAGS: "--cpus-per-task=7 --mem=99"}, SMALL),
            ["--cpus-per-task=1", "--mem=100"],
            id="limits beat flags",
        ),
        pytest.param(pod({FLAGS: "-c 7 --mem=99"}), ["-c 7", "--mem=99"], id="flags beat the defaults"),
        pytest.param(
            pod({FLAGS: "--time=1 -p x -t 2"}, SMALL),
            ["-t 2", "-p x", "--cpus-per-task=1", "--mem=100"],
            id="duplicates",
        ),
        pytest.param(
            pod(None, SMALL, securityContext={"runAsUser": 65534}),
            ["--uid=65534", "--cpus-per-task=1", "--mem=100"],
            id="runAsUser of the pod",
        ),
        pytest.param(
            pod(None, SMALL, initContainers=[{"name": "i", "resources": {"limits": {"cpu": "8"}}}]),
            ["--cpus-per-task=8", "--mem=100"],
            id="init containers count",
        ),
    ],
)
def test_directives(given_pod: dict[str, Any], expected: list[str]) -> None:
    fixed = ["--job-name=uid-1", "--output=/jobs/ns-uid-1/job.out"]
    assert directives(job_script(given_pod, "/jobs/ns-uid-1")) == fixed + expected


def test_script_is_directives_then_pod_ip_tunnel_and_pre_exec_then_the_containers() -> None:
    annotations = {
        "interlink.eu/pod-ip": "127.0.50.7",
        "interlink.eu/wstunnel-client-commands": "./wstunnel client &",
        "slurm-job.vk.io/pre-exec": "module load x\necho $HOME",
    }
    lines = job_script(pod(annotations, SMALL), "/j").splitlines()
    assert lines[0] == "#!/bin/bash"
    body = [line for line in lines if line and not line.startswith("#")]
    assert body == [
        "export POD_IP=127.0.50.7",
        "./wstunnel client &",
        "module load x",
        "echo $HOME",
        "/j/job.sh",
    ]


def test_a_quoted_line_end_in_flags_becomes_a_command() -> None:
    """The hole that a caller has to close: nobody untrusted may write this annotation."""
    script = job_script(pod({FLAGS: '--comment="a\ntouch /tmp/x\n" -p padova'}, SMALL))
    assert "\ntouch /tmp/x\n" in script


@given(st.text(alphabet=st.characters(blacklist_characters="\"'\\", blacklist_categories=["Cs"])))
def test_without_quotes_and_backslashes_every_flag_stays_in_its_own_directive(text: str) -> None:
    script = job_script(pod({FLAGS: text}, SMALL))
    body = [line for line in script.split("\n")[1:] if line and not line.startswith("#SBATCH ")]
    assert body == ["/interlink/jobs/pod/job.sh"]


@pytest.mark.parametrize(
    ("image", "annotations", "reference"),
    [
        ("rayster/notebook:0.1.0", {}, "docker://rayster/notebook:0.1.0"),
        ("/images/notebook.sif", {}, "/images/notebook.sif"),
        ("oras://rayster/x", {}, "oras://rayster/x"),
        ("x", {"slurm-job.vk.io/image-root": "/cvmfs/"}, "/cvmfs/x"),
    ],
)
def test_image_is_prefixed_unless_it_is_a_path_or_has_a_scheme(
    image: str, annotations: dict[str, str], reference: str
) -> None:
    assert image_reference(pod(annotations), image) == reference


def container_line(container: dict[str, Any], annotations: dict[str, str] | None = None) -> str:
    one = pod(annotations)
    one["spec"]["containers"] = [{"name": "main", "image": "busybox", **container}]
    script = containers_script(one, "/j", "/bin/singularity", {"main": ["/src:/dst:ro"]})
    return next(line for line in script.splitlines() if line.startswith("runCtn "))


def test_container_line_has_annotations_env_file_binds_image_and_quoted_words() -> None:
    line = container_line(
        {"command": ["sh", "-c"], "args": ["echo $HOME; it's"], "env": [{"name": "A", "value": "1"}]},
        {
            "slurm-job.vk.io/singularity-mounts": "--bind /ceph",
            "slurm-job.vk.io/singularity-options": "--env POD_IP=$POD_IP",
        },
    )
    assert line == (
        "runCtn main /bin/singularity exec --nv --no-eval --containall --bind /ceph --env POD_IP=$POD_IP"
        " --env-file /j/main_envfile.properties --bind /src:/dst:ro docker://busybox"
        """ sh -c 'echo $HOME; it'"'"'s'"""
    )


def test_container_without_command_is_run_with_its_own_entry_point() -> None:
    assert container_line({"args": ["x"]}).split()[2:4] == ["/bin/singularity", "run"]


@pytest.mark.parametrize(
    ("container", "pasted"),
    [
        ({"image": "busybox; touch X;#"}, "docker://busybox; touch X;#"),
        ({"command": ["true"], "image": "$(touch X)"}, "docker://$(touch X) true"),
    ],
    ids=["command", "substitution"],
)
def test_image_is_pasted_as_shell(container: dict[str, Any], pasted: str) -> None:
    assert pasted in container_line(container)


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=4))
def test_any_command_and_arguments_arrive_unchanged(words: list[str]) -> None:
    line = container_line({"command": ["cmd"], "args": words, "image": "/i.sif"})
    # The line of a script may itself span lines when a word holds a line end, so look at the whole text.
    one = pod()
    one["spec"]["containers"] = [{"name": "main", "image": "/i.sif", "command": ["cmd"], "args": words}]
    script = containers_script(one, "/j", "/bin/singularity", {})
    tail = script[script.index("/i.sif") :].rpartition("\nwaitCtns")[0]
    assert shlex.split(tail) == ["/i.sif", "cmd", *words]
    assert line.startswith("runCtn main ")


def test_env_file_quotes_values_and_not_names() -> None:
    env = [{"name": "A", "value": "it's $(x)\n`y`"}, {"name": "B", "value": ""}, {"name": "C;touch X;D"}]
    assert env_file({"env": env}) == "A='it'\"'\"'s $(x)\n`y`'\nB=''\nC;touch X;D=''\n"


def test_job_sh_is_valid_bash(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(containers_script(pod(), "/j", "/bin/singularity", {}))
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_memory_that_is_no_whole_number_of_bytes_counts_as_no_limit() -> None:
    assert limits_of(pod(None, {"memory": "1500m"})).memory_mib is None
