"""The pod that a spawner asks for, and what of it comes from where."""

import pytest


async def manifest_of(spawner, **options):
    """Return the pod of a spawner with these options, as plain data."""
    spawner.user_options = options
    spawner.take_options()
    await spawner.watch_or_fail()
    return spawner.as_plain(await spawner.get_pod_manifest())


async def test_pod_of_a_site_is_translated_and_marked(make_spawner):
    spawner = make_spawner()
    pod = await manifest_of(spawner, profile="padova", cpu=3)
    notebook = pod["spec"]["containers"][0]
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "padova"}
    assert pod["spec"]["restartPolicy"] == "Never"
    assert notebook["resources"]["limits"]["cpu"] == "3"
    assert "--partition=padova" in pod["metadata"]["annotations"]["slurm-job.vk.io/flags"]
    assert pod["metadata"]["annotations"]["rayster.dev/spawn-id"] == spawner.mark.spawn_id


async def test_port_is_one_everywhere_and_the_servers_own(make_spawner):
    spawner = make_spawner()
    pod = await manifest_of(spawner, profile="padova")
    notebook = pod["spec"]["containers"][0]
    environment = {entry["name"]: entry.get("value") for entry in notebook["env"]}
    assert 10000 <= spawner.port <= 31999
    assert notebook["ports"] == [{"name": "notebook-port", "containerPort": spawner.port}]
    assert environment["JUPYTERHUB_SERVICE_URL"] == f"http://0.0.0.0:{spawner.port}/user/ada/"
    assert spawner.mark.port == spawner.port


async def test_hub_is_called_where_the_site_sees_it(make_spawner):
    pod = await manifest_of(make_spawner(), profile="padova")
    environment = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    assert environment["JUPYTERHUB_API_URL"] == "http://127.0.0.1:1/hub/api"


async def test_braces_of_a_profile_are_inert_k3(make_spawner):
    pod = await manifest_of(make_spawner(), profile="padova")
    environment = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    assert environment["BRACES"] == "{username:>300000000} ${HOME}"


async def test_cloud_pod_keeps_what_kubespawner_is_configured_with(make_spawner):
    spawner = make_spawner(
        extra_annotations={"who": "{username}"}, tolerations=[{"key": "user", "operator": "Exists"}]
    )
    pod = await manifest_of(spawner, profile="cloud")
    assert pod["metadata"]["annotations"]["who"] == "ada"
    assert pod["spec"]["tolerations"] == [{"key": "user", "operator": "Exists"}]
    assert pod["spec"]["containers"][0]["ports"][0]["containerPort"] == 8888


async def test_configured_traits_are_put_back_and_never_mutated(make_spawner):
    environment, annotations = {"A": "1"}, {"who": "{username}"}
    configured = {
        "start_timeout": 77,
        "port": 8888,
        "hub_connect_url": "http://hub",
        "storage_pvc_ensure": True,
        "environment": environment,
        "extra_annotations": annotations,
    }
    spawner = make_spawner(**configured)
    await manifest_of(spawner, profile="padova")
    assert spawner.start_timeout == 24 * 3600 and spawner.storage_pvc_ensure is False
    spawner.clear_state()
    assert {name: getattr(spawner, name) for name in configured} == configured
    assert environment == {"A": "1"} and annotations == {"who": "{username}"}


@pytest.mark.parametrize(
    ("profiles", "options"), [([("padova", 4), ("cloud", 1)], {}), ([("padova", 4), ("padova", 2)], {})]
)
async def test_one_spawner_object_spawns_one_after_the_other_cleanly(make_spawner, profiles, options):
    spawner = make_spawner()
    for profile, cpu in profiles:
        spawner.clear_state()
        pod = await manifest_of(spawner, profile=profile, cpu=cpu)
    assert pod["metadata"]["labels"]["rayster.dev/profile"] == profiles[-1][0]
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == str(profiles[-1][1])
    assert ("slurm-job.vk.io/flags" in pod["metadata"]["annotations"]) == (profiles[-1][0] == "padova")


async def test_hub_reads_the_start_timeout_of_the_profile_before_start(make_spawner):
    spawner = make_spawner(start_timeout=60)
    spawner.user_options = {"profile": "padova"}
    await spawner.run_pre_spawn_hook()
    assert spawner.start_timeout == 24 * 3600


async def test_an_admins_hook_may_choose_other_options(make_spawner):
    spawner = make_spawner(
        pre_spawn_hook=lambda spawner: setattr(spawner, "user_options", {"profile": "padova"})
    )
    spawner.user_options = {"profile": "cloud"}
    spawner.take_options()
    await spawner.run_pre_spawn_hook()
    assert spawner.profile.name == "padova" and spawner.is_offloaded


async def test_profile_that_the_admins_pod_cannot_have_is_refused_before_anything_is_created(
    make_spawner, site
):
    spawner = make_spawner(
        volumes=[{"name": "nfs", "nfs": {"server": "s", "path": "/"}}],
        volume_mounts=[{"name": "nfs", "mountPath": "/data"}],
    )
    with pytest.raises(Exception, match="cannot mount nfs"):
        await manifest_of(spawner, profile="padova")
    assert site.pods() == []


async def test_profile_list_of_kubespawner_with_its_defects_is_not_used_k5_k6(make_spawner):
    spawner = make_spawner(profile_list=[{"display_name": "evil", "kubespawner_override": {"image": "evil"}}])
    pod = await manifest_of(spawner, profile="cloud")
    assert pod["spec"]["containers"][0]["image"] == "rayster/notebook:0.1.0"
    assert "evil" not in await spawner.get_options_form()
