"""Pods translated for a site: what a virtual node needs is there, and nothing that it drops or misreads."""

import copy
import os
import shlex
import subprocess
import time

import pytest

from rayster_spawner import interlink
from rayster_spawner.offload import OffloadError, offload
from rayster_spawner.options import ServerOptions
from rayster_spawner.profiles import Profile

from .conftest import cloud_data, make_profile


def offloaded(pod, options=None, **changes):
    profile = make_profile(**changes)
    return offload(pod, profile, ServerOptions.parse(options or {}, profile))


def annotations(pod):
    return pod["metadata"]["annotations"]


def environment(pod):
    return {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}


def test_the_pod_that_is_given_stays_as_it_is(chart_pod):
    pod = chart_pod()
    before = copy.deepcopy(pod)
    offloaded(pod)
    assert pod == before


def test_a_pod_is_placed_on_the_virtual_node_and_stays_there_through_an_outage(chart_pod):
    spec = offloaded(chart_pod(), node_labels={"nvidia-gpu-type": "a100"})["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "padova", "nvidia-gpu-type": "a100"}
    assert spec["tolerations"] == [
        {"key": "virtual-node.interlink/no-schedule", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    ]
    assert not any("tolerationSeconds" in toleration for toleration in spec["tolerations"])


def test_a_site_may_be_chosen_by_labels_and_have_taints_of_its_own(chart_pod):
    spec = offloaded(
        chart_pod(),
        site={"virtual-node.interlink/type": "virtual-kubelet"},
        tolerations=[{"key": "pool.vk.io", "operator": "Equal", "value": "cnaf", "effect": "NoSchedule"}],
    )["spec"]
    assert spec["nodeSelector"] == {"virtual-node.interlink/type": "virtual-kubelet"}
    assert spec["tolerations"][-1] == {
        "key": "pool.vk.io", "operator": "Equal", "value": "cnaf", "effect": "NoSchedule",
    }  # fmt: skip


def test_what_the_chart_adds_for_cloud_nodes_is_gone(chart_pod):
    spec = offloaded(chart_pod())["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for gone in (
        "initContainers", "volumes", "securityContext", "schedulerName", "serviceAccountName", "affinity",
    ):  # fmt: skip
        assert gone not in spec, gone
    assert "volumeMounts" not in spec["containers"][0]
    assert "workingDir" not in spec["containers"][0]


def test_no_claim_of_any_kind_is_left(chart_pod):
    pod = chart_pod(
        volumeMounts=[{"name": "home", "mountPath": "/home/jovyan"}, {"name": "scratch", "mountPath": "/s"}]
    )
    pod["spec"]["volumes"].append({"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}})
    spec = offloaded(pod)["spec"]
    assert "volumes" not in spec
    assert "volumeMounts" not in spec["containers"][0]


def test_limits_and_requests_both_say_what_was_asked_for(chart_pod):
    resources = offloaded(chart_pod(), {"cpu": 8, "memory": "32Gi", "gpu": 2})["spec"]["containers"][0][
        "resources"
    ]
    assert resources["limits"] == {"cpu": "8", "memory": "32768Mi", "nvidia.com/gpu": "2"}
    assert resources["requests"] == resources["limits"]


def test_sbatch_options_come_from_typed_values_in_a_fixed_order(chart_pod):
    pod = offloaded(
        chart_pod(),
        {"gpu": 2, "walltime": "1d2h"},
        slurm={
            "account": "herd", "partition": "boost", "qos": "long", "constraint": "a100&nvlink",
            "reservation": "school", "gres": "gpu:a100:{n}", "extra_flags": ["--exclusive", "--exclude=n[1-3,7]"],
        },
    )  # fmt: skip
    assert annotations(pod)[interlink.FLAGS] == (
        "--account=herd --partition=boost --qos=long --reservation=school '--constraint=a100&nvlink' "
        "--gres=gpu:a100:2 --time=1-02:00:00 --exclusive '--exclude=n[1-3,7]'"
    )


def test_no_gpu_means_no_gres(chart_pod):
    pod = offloaded(chart_pod(), {"gpu": 0})
    assert "gres" not in annotations(pod)[interlink.FLAGS]
    assert "nvidia.com/gpu" not in pod["spec"]["containers"][0]["resources"]["limits"]


def test_mounts_home_and_options_reach_the_container_runtime(chart_pod):
    pod = offloaded(
        chart_pod(),
        mounts=[{"source": "/work/herd", "target": "/work"}, {"source": "/data", "read_only": True}],
        apptainer_options=["--nv"],
        home={"path": "/home/rayster/{username}"},
        pre_exec="module load cuda\n",
    )
    assert annotations(pod)[interlink.APPTAINER_MOUNTS] == "--bind /work/herd:/work --bind /data:/data:ro"
    assert (
        annotations(pod)[interlink.APPTAINER_OPTIONS]
        == "--nv --home /home/rayster/ada --pwd /home/rayster/ada"
    )
    pre_exec = annotations(pod)[interlink.PRE_EXEC]
    assert pre_exec.endswith("\nmkdir -p -m 700 -- /home/rayster/ada\nmodule load cuda\n")


@pytest.mark.parametrize("user", ["ada.lovelace", "ada_l", "Ada", "a", "a-b---7e18f737"])
def test_every_label_that_kubespawner_gives_a_user_is_a_home(chart_pod, user):
    pod = chart_pod()
    pod["metadata"]["labels"]["hub.jupyter.org/username"] = user
    result = offloaded(pod, home={"path": "/home/{username}"})
    assert f"--home /home/{user} " in annotations(result)[interlink.APPTAINER_OPTIONS]


@pytest.mark.parametrize("user", ["../root", "..", ".", "", "a/b", "a\n", "$(id)", "-a", "a b", "é"])
def test_a_user_name_that_is_not_escaped_never_becomes_a_path(chart_pod, user):
    pod = chart_pod()
    pod["metadata"]["labels"]["hub.jupyter.org/username"] = user
    with pytest.raises(OffloadError, match="not escaped"):
        offloaded(pod, home={"path": "/home/{username}"})


def test_htcondor_reads_requests_and_options_only(chart_pod):
    pod = offloaded(
        chart_pod(), {"cpu": 2}, scheduler="htcondor", slurm=None, gpu=None, mounts=[{"source": "/data"}],
        cvmfs=[{"name": "cvmfs"}], fuse=[{"name": "minio", "mount_path": "/s3", "script": "rclone mount x"}],
    )  # fmt: skip
    assert interlink.FLAGS not in annotations(pod)
    assert interlink.APPTAINER_MOUNTS not in annotations(pod)
    assert annotations(pod)[interlink.APPTAINER_OPTIONS] == "--bind /data:/data"
    assert pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "2"
    assert pod["spec"]["activeDeadlineSeconds"] == 4 * 3600
    assert annotations(pod)["cvmfs.vk.io/cvmfs"] == "true"
    assert annotations(pod)["fuse.vk.io/minio"] == "rclone mount x"
    assert pod["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "cvmfs", "mountPath": "/cvmfs"},
        {"name": "minio", "mountPath": "/s3"},
    ]


def run_in_bash(script, **environment):
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=30, env={"PATH": os.environ["PATH"], **environment}
    ).stdout.splitlines()  # fmt: skip


@pytest.mark.parametrize(
    ("given", "is_told"),
    [({"SLURM_JOB_START_TIME": "1764000000"}, True), ({}, False)],
    ids=["SLURM tells", "SLURM 22.05"],
)
def test_job_knows_when_it_started(given, is_told):
    script = interlink.render_pre_exec("", None) + 'echo "$APPTAINERENV_SLURM_JOB_START_TIME"'
    before = int(time.time())
    started_at = int(run_in_bash(script, **given)[-1])
    assert started_at == 1764000000 if is_told else before <= started_at <= time.time()


JOB_SCRIPT = 'echo job "$APPTAINERENV_SLURM_JOB_NODELIST"'


@pytest.mark.parametrize("admins", ["", "export A=admin", "export A=admin\n"])
@pytest.mark.parametrize(
    "before,between", [("", "\n"), ("", " "), ("cat <<'EOFMESH' >/dev/null\nx\nEOFMESH", "\n")],
    ids=["own-line", "same-line", "after-a-mesh-script-without-a-last-newline"],
)  # fmt: skip
def test_lines_before_the_container_fit_every_place_a_plugin_puts_them(admins, before, between):
    pre_exec = interlink.render_pre_exec(admins, None)
    script = f"{before}{pre_exec}{between}bash -c {shlex.quote(JOB_SCRIPT)}; echo $A"
    said = run_in_bash(script, SLURM_JOB_NODELIST="n[1-2],n5")
    assert said == ["job n[1-2],n5", "admin" if admins else ""]


def test_lines_before_an_htcondor_container_are_words_of_its_command(tmp_path):
    home = tmp_path / "ada"
    prefix = interlink.render_command_prefix("export A='it is'\n# done", str(home))
    script = f'runCtn() {{ shift; ( "$@" ); }}\nrunCtn notebook {prefix} bash -c \'echo "$A"\' x'
    assert run_in_bash(script) == ["it is"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert interlink.render_command_prefix("", None) == ""


def test_an_htcondor_server_has_a_home_without_leaving_the_jobs_directory(chart_pod):
    pod = offloaded(
        chart_pod(), scheduler="htcondor", slurm=None, gpu=None, home={"path": "/home/{username}"}
    )
    assert annotations(pod)[interlink.APPTAINER_OPTIONS] == "--home /home/ada"
    assert environment(pod)["JUPYTERHUB_ROOT_DIR"] == "/home/ada"


@pytest.mark.parametrize(
    "network,address",
    [
        ({"mode": "direct"}, "0.0.0.0"),
        ({"mode": "site"}, "127.0.0.1"),
        ({"bind_address": "127.0.0.1"}, "127.0.0.1"),
    ],
)
def test_the_notebook_listens_where_the_network_reaches_it(chart_pod, network, address):
    url = environment(offloaded(chart_pod(), network=network))["JUPYTERHUB_SERVICE_URL"]
    assert url == f"http://{address}:23456/user/ada/"


def test_tunnel_ports_have_names(chart_pod):
    pod = offloaded(
        chart_pod(),
        network={
            "mode": "site",
            "tunnel_ports": [{"port": 6006, "name": "tensorboard"}, {"port": 8265, "name": "ray"}],
            "tunnel_timeout_seconds": 120,
        },
    )
    assert annotations(pod)[interlink.TUNNEL_PORTS] == "6006:tensorboard,8265:ray"
    assert annotations(pod)[interlink.TUNNEL_TIMEOUT] == "120s"


def test_the_server_knows_what_it_was_given(chart_pod):
    values = environment(offloaded(chart_pod(), {"cpu": 4}, environment={"HERD": "{not} a $template"}))
    assert values["CPU_LIMIT"] == "4"
    assert values["MEM_LIMIT"] == str(4 * 2**30)
    assert values["JUPYTER_IMAGE"] == "rayster/notebook:0.1.0"
    assert values["RAYSTER_PROFILE"] == "padova"
    assert values["RAYSTER_WALLTIME_MINUTES"] == "240"
    assert values["HERD"] == "{not} a $template"
    assert values["JUPYTERHUB_API_TOKEN"] == "secret"


def test_annotations_for_the_site_come_from_the_profile_alone(chart_pod):
    pod = chart_pod()
    pod["metadata"]["annotations"].update(
        {"slurm-job.vk.io/flags": "--wrap=x", "slurm-job.vk.io/pre-exec": "id", "fuse.vk.io/x": "id"}
    )
    result = annotations(offloaded(pod))
    assert result[interlink.FLAGS].startswith("--account=herd")
    assert "id" not in result[interlink.PRE_EXEC].splitlines()
    assert "fuse.vk.io/x" not in result


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"env": [{"name": "A;id", "value": "x"}]}, "variable name"),
        (
            {"env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
            "literal value",
        ),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, "envFrom"),
        ({"volumeMounts": [{"name": "x", "mountPath": "/mnt/$(id)"}]}, "mount path"),
        ({"volumeMounts": [{"name": "x", "mountPath": "/mnt", "subPath": "y"}]}, "subPath"),
    ],
)
def test_what_the_site_would_run_or_misread_is_refused(chart_pod, change, reason):
    with pytest.raises(OffloadError, match=reason):
        offloaded(chart_pod(**change))


@pytest.mark.parametrize(
    "volume,reason",
    [
        ({"hostPath": {"path": "/mnt/$(id)", "type": "Directory"}}, "unsafe"),
        ({"hostPath": {"path": "/mnt"}}, "hostPath.type"),
        ({"nfs": {"server": "x", "path": "/"}}, "cannot mount nfs"),
        ({"csi": {"driver": "x"}}, "cannot mount csi"),
        ({"downwardAPI": {"items": []}}, "cannot mount downwardAPI"),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            "must not leave the cluster",
        ),
        ({"configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}}, "configMap.items is not read"),
        ({"secret": {"secretName": "s", "items": [{"key": "a", "path": "b"}]}}, "secret.items is not read"),
        ({"projected": {"sources": [{"secret": {"name": "s"}}]}}, "a projected secret is left out"),
    ],
)
def test_volumes_that_a_virtual_node_cannot_mount_are_refused(chart_pod, volume, reason):
    pod = chart_pod()
    pod["spec"]["volumes"].append({"name": "x", **volume})
    with pytest.raises(OffloadError, match=reason):
        offloaded(pod)


def test_an_unsafe_sidecar_or_annotation_from_the_chart_is_refused(chart_pod):
    pod = chart_pod()
    pod["spec"]["containers"].append({"name": "sidecar", "image": "x;id"})
    pod["metadata"]["annotations"]["interlink.eu/pod-vpn"] = "$(id)"
    with pytest.raises(OffloadError) as caught:
        offloaded(pod)
    assert len(caught.value.errors) == 2


@pytest.mark.parametrize(
    "key", ["job.vk.io/options", "htcondor-job.knoc.io/image-root", "interlink.eu/pod-ip"]
)
def test_annotations_of_every_plugin_pass_a_whitelist(chart_pod, key):
    pod = chart_pod()
    pod["metadata"]["annotations"][key] = "127.0.0.1; id"
    with pytest.raises(OffloadError, match=key):
        offloaded(pod)


@pytest.mark.parametrize("key", ["JobID", "interlink.eu/wstunnel-client-commands"])
def test_what_interlink_writes_itself_does_not_come_with_the_pod(chart_pod, key):
    pod = chart_pod()
    pod["metadata"]["annotations"][key] = "17"
    assert key not in annotations(offloaded(pod))


def test_what_would_run_beside_the_container_is_gone(chart_pod):
    hook = {"exec": {"command": ["sh", "-c", "$(id)"]}}
    pod = chart_pod(lifecycle={"postStart": hook}, livenessProbe=hook, stdin=True)
    pod["spec"].update(priorityClassName="high", readinessGates=[{"conditionType": "x"}])
    spec = offloaded(pod)["spec"]
    assert not {"lifecycle", "livenessProbe", "stdin"} & set(spec["containers"][0])
    assert not {"priorityClassName", "readinessGates"} & set(spec)


def test_an_unsafe_init_container_is_refused(chart_pod):
    pod = chart_pod()
    pod["spec"]["initContainers"].append({"name": "prepare", "image": "x;id"})
    with pytest.raises(OffloadError, match="container prepare: image"):
        offloaded(pod)


def test_an_init_container_that_never_ends_is_refused(chart_pod):
    pod = chart_pod()
    pod["spec"]["initContainers"].append({"name": "proxy", "image": "x", "restartPolicy": "Always"})
    with pytest.raises(OffloadError, match="would never let the others start"):
        offloaded(pod)


def test_htcondor_pastes_arguments_so_they_pass_a_whitelist(chart_pod):
    with pytest.raises(OffloadError, match="argument '--x=\\$\\(id\\)' is unsafe"):
        offloaded(
            chart_pod(args=["jupyterhub-singleuser", "--x=$(id)"]), scheduler="htcondor", slurm=None, gpu=None
        )


def test_a_sidecar_before_the_notebook_is_not_taken_for_it(chart_pod):
    pod = chart_pod()
    pod["spec"]["containers"].insert(0, {"name": "sidecar", "image": "busybox"})
    result = offloaded(pod, {"cpu": 4})
    assert "resources" not in result["spec"]["containers"][0]
    assert result["spec"]["containers"][1]["resources"]["limits"]["cpu"] == "4"


def test_a_cloud_pod_keeps_what_the_chart_gave_it(chart_pod):
    cloud = Profile.model_validate(
        cloud_data(node_labels={"disk": "ssd"}, environment={"A": "{b}"}, annotations={"note": "{c}"})
    )
    pod = offload(chart_pod(), cloud, ServerOptions.parse({"cpu": 4}, cloud))
    spec = pod["spec"]
    before = chart_pod()["spec"]
    for kept in (
        "volumes",
        "initContainers",
        "securityContext",
        "schedulerName",
        "restartPolicy",
        "affinity",
    ):
        assert spec[kept] == before[kept]
    assert spec["nodeSelector"] == {"hub.jupyter.org/node-purpose": "user", "disk": "ssd"}
    assert not any(interlink.is_read_at_site(key) for key in annotations(pod))
    assert annotations(pod)["note"] == "{c}"
    assert environment(pod)["A"] == "{b}"
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "4096Mi"}
    assert "activeDeadlineSeconds" not in spec


def test_a_cloud_walltime_is_kept_by_the_kubelet(chart_pod):
    cloud = Profile.model_validate(cloud_data(walltime={"max": "8h", "default": "2h"}))
    pod = offload(chart_pod(), cloud, ServerOptions.parse({}, cloud))
    assert pod["spec"]["activeDeadlineSeconds"] == 7200


def test_options_of_another_profile_are_refused(chart_pod):
    other = make_profile(name="other")
    with pytest.raises(OffloadError, match="options of profile"):
        offload(chart_pod(), make_profile(), ServerOptions.parse({}, other))
