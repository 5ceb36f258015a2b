"""No value that a user can give ever changes a line of the batch script other than its own.

The script is the one that the testbed's SLURM plugin writes, which pastes annotations as the real plugin does.
"""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from rayster_spawner.offload import OffloadError, offload
from rayster_spawner.options import OptionsError, ServerOptions
from rayster_spawner.profile_files import validate_profiles
from rayster_spawner.profiles import Profile
from rayster_testbed.slurm_plugin.script import containers_script, env_file, job_script

from .conftest import make_profile, profile_data

PROFILE = make_profile(
    mounts=[{"source": "/work/herd", "target": "/work"}],
    home={"path": "/home/{username}"},
    slurm={"partition": "boost", "account": "herd", "gres": "gpu:a100:{n}", "extra_flags": ["--exclusive"]},
)

# What shells, SLURM, YAML, str.format and templates stumble over, besides any text at all.
NASTY = [
    "\n#SBATCH --wrap=id", "$(id)", "`id`", "; id", "' ; id '", '" ; id "', "{username:>300000000}", "{0.__class__}",
    "%x", "\\n", "\r", "\u2028", "\x00", "4\n", "1 --uid=0", "--uid=0", "../..", "~", "*", "1;2", "0x10", "1_000", "١",
    "NaN", "1e9", "{{ 7*7 }}", "a=b", "#", "!", "&", "|", "<", ">",
]  # fmt: skip
AMOUNTS = st.one_of(
    st.integers(-10, 10**6),
    st.floats(),
    st.sampled_from(NASTY),
    st.text(max_size=20),
    st.builds(
        lambda n, nasty: f"{n}{nasty}",
        st.integers(0, 99),
        st.sampled_from([*NASTY, "Gi", "h", "m", ":00:00"]),
    ),
)
UNTRUSTED = st.fixed_dictionaries(
    {},
    optional={
        "cpu": AMOUNTS,
        "memory": AMOUNTS,
        "gpu": AMOUNTS,
        "walltime": AMOUNTS,
        "image": st.sampled_from(["lab", "sif", *NASTY]) | st.text(max_size=20),
    },
)


def pod_of(chart_pod):
    pod = copy.deepcopy(chart_pod)
    pod["metadata"]["uid"] = "5d8f8a39-9e2c-4d1c-8a4e-6f2b2f1a0c11"
    return pod


def lines_of(pod):
    """Return the `#SBATCH` lines by option, and everything else that the job would run."""
    script = job_script(pod).splitlines()
    directives = [line.removeprefix("#SBATCH ") for line in script if line.startswith("#SBATCH ")]
    rest = [line for line in script if not line.startswith("#SBATCH ")]
    return {line.partition("=")[0]: line.partition("=")[2] for line in directives}, rest, directives


@settings(max_examples=300, deadline=None)
@given(untrusted=UNTRUSTED)
def test_an_option_changes_its_own_sbatch_line_and_no_other(untrusted):
    try:
        options = ServerOptions.parse(untrusted, PROFILE)
    except OptionsError:
        return
    chart_pod = pod_of(CHART_POD)
    usual, usual_rest, _ = lines_of(offload(chart_pod, PROFILE, ServerOptions.parse({"gpu": 1}, PROFILE)))
    found, rest, directives = lines_of(offload(chart_pod, PROFILE, options))
    assert len(directives) == len(found), "an option stands twice"
    changed = {name for name in usual.keys() | found.keys() if usual.get(name) != found.get(name)}
    assert changed <= {"--time", "--cpus-per-task", "--mem", "--gres"}
    assert rest == usual_rest
    assert int(found["--cpus-per-task"]) == options.cpu
    assert int(found["--mem"]) == options.memory_mib
    assert found.get("--gres") == (f"gpu:a100:{options.gpu}" if options.gpu else None)


ADMIN_TEXT = st.text(max_size=12) | st.sampled_from(NASTY)
ADMIN_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "slurm": st.fixed_dictionaries(
            {},
            optional={
                name: ADMIN_TEXT
                for name in ("account", "partition", "qos", "constraint", "reservation", "gres")
            }
            | {"extra_flags": st.lists(ADMIN_TEXT, max_size=2)},
        ),
        "mounts": st.lists(
            st.fixed_dictionaries({"source": ADMIN_TEXT}, optional={"target": ADMIN_TEXT}), max_size=2
        ),
        "apptainer_options": st.lists(ADMIN_TEXT, max_size=2),
        "environment": st.dictionaries(ADMIN_TEXT, ADMIN_TEXT, max_size=2),
        "images": st.builds(lambda image: [{"name": "a", "title": "A", "image": image}], ADMIN_TEXT),
        "home": st.builds(lambda path: {"path": path}, ADMIN_TEXT),
        "annotations": st.dictionaries(
            st.sampled_from(["slurm-job.vk.io/image-root", "interlink.eu/pod-ip", "interlink.eu/pod-vpn"]),
            ADMIN_TEXT,
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(changes=ADMIN_CHANGES)
def test_the_admins_file_cannot_break_the_script_either(changes):
    profiles, _ = validate_profiles({"profiles": [profile_data(**changes)]})
    if profiles is None:
        return
    profile: Profile = profiles.profiles[0]
    try:
        pod = offload(pod_of(CHART_POD), profile, ServerOptions.parse({}, profile))
    except OffloadError:
        return
    found, rest, directives = lines_of(pod)
    assert all(line.startswith("--") and line.isprintable() and '"' not in line for line in directives)
    assert found["--cpus-per-task"] == "2"
    script = "\n".join(rest) + containers_script(
        {**pod, "metadata": {"name": "x", **pod["metadata"]}}, "/job", "singularity", {"notebook": []}
    )
    for shell in ("$(id)", "`id`", "; id"):
        assert shell not in script
        assert not any(shell in line for line in directives)
    assert not any("--uid" in line or "--wrap" in line for line in directives)


def test_values_of_the_environment_arrive_as_they_are():
    profile = make_profile(environment={"A": "$(id)\n`id`'\"; {x}"})
    pod = offload(pod_of(CHART_POD), profile, ServerOptions.parse({}, profile))
    container = pod["spec"]["containers"][0]
    # The values stand in a file of their own, quoted; the script only names that file.
    assert "$(id)" not in job_script(pod)
    assert "A='$(id)\n`id`" in env_file(container)


CHART_POD = {
    "metadata": {"labels": {"hub.jupyter.org/username": "ada"}, "annotations": {}},
    "spec": {"containers": [{"name": "notebook", "image": "x", "args": ["jupyterhub-singleuser"]}]},
}
