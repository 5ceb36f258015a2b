"""jupyterhub_config.py with good and bad profiles, on one machine and as the chart runs it."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml
from traitlets.config import Config

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "jupyterhub_config.py"
GOOD = REPOSITORY / "helm-values" / "profiles.yaml"
CHART_VALUES = "/usr/local/etc/jupyterhub/secret/values.yaml"

BAD = """\
profiles:
  - name: cloud
    title: Cloud
    site: cloud
    cpu: {min: 4, max: 2, default: 1}
    memory: {max: 4 apples, default: 1Gi}
    images: [{name: lab, title: Lab, image: "lab:1"}]
    colour: red
"""


def configured(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    source: str = "",
    c: Config | None = None,
    hub_line: int | None = None,
) -> Config:
    """Run the configuration as JupyterHub does, after what is in ``c`` already; return the configuration object."""
    if hub_line is not None:
        monkeypatch.setattr("jupyterhub.version_info", (hub_line, 5, 0, "", ""))
    for name in [name for name in os.environ if name.startswith("RAYSTER_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    c = Config() if c is None else c
    exec(compile(source or CONFIG.read_text(), str(CONFIG), "exec"), {"c": c, "__file__": str(CONFIG)})
    return c


def test_the_hub_takes_the_configuration(tmp_path):
    environment = {
        **os.environ,
        "RAYSTER_PROFILES_FILE": str(GOOD),
        "RAYSTER_HUB_STATE_DIR": str(tmp_path),
    }
    answer = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG), "--show-config-json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert '"spawner_class": "rayster"' in answer.stdout
    assert "Config option" not in answer.stderr  # how traitlets says that it does not know a name


def test_a_hub_with_bad_profiles_does_not_start_and_says_every_mistake(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    environment = {**os.environ, "RAYSTER_PROFILES_FILE": "bad.yaml", "RAYSTER_HUB_STATE_DIR": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert answer.returncode == 1
    for path in ("profiles.0.cpu", "profiles.0.memory.max", "profiles.0.colour"):
        assert path in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "jupyterhub.sqlite").exists()


def test_a_hub_without_profiles_does_not_start(monkeypatch, capsys):
    with pytest.raises(SystemExit) as error:
        configured({}, monkeypatch)
    assert error.value.code == 1
    assert "RAYSTER_PROFILES_FILE is not set" in capsys.readouterr().err


def test_demo_users_are_in_their_groups_and_share_the_password(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("a-password-of-the-demo\n")
    c = configured(
        {
            "RAYSTER_PROFILES_FILE": str(GOOD),
            "RAYSTER_HUB_STATE_DIR": str(tmp_path),
            "RAYSTER_DEMO_PASSWORD_FILE": str(tmp_path / "password"),
            "RAYSTER_DEMO_USERS": '{"ada": ["leonardo", "padova"], "bruno": []}',
        },
        monkeypatch,
    )
    assert c.JupyterHub.authenticator_class == "shared-password"
    assert c.SharedPasswordAuthenticator.user_password == "a-password-of-the-demo"
    assert c.Authenticator.allowed_users == {"ada", "bruno"}
    assert c.JupyterHub.load_groups == {"leonardo": {"users": ["ada"]}, "padova": {"users": ["ada"]}}


def test_nobody_gets_in_by_a_password_unless_asked_for(monkeypatch, tmp_path):
    c = configured({"RAYSTER_PROFILES_FILE": str(GOOD), "RAYSTER_HUB_STATE_DIR": str(tmp_path)}, monkeypatch)
    assert "authenticator_class" not in c.JupyterHub


def test_a_proxy_of_its_own_keeps_its_routes_while_the_hub_is_away(monkeypatch, tmp_path):
    c = configured(
        {
            "RAYSTER_PROFILES_FILE": str(GOOD),
            "RAYSTER_HUB_STATE_DIR": str(tmp_path),
            "RAYSTER_PROXY_API_URL": "http://127.0.0.1:1",
        },
        monkeypatch,
    )
    assert c.ConfigurableHTTPProxy.should_start is False
    assert c.JupyterHub.cleanup_proxy is False
    assert c.JupyterHub.cleanup_servers is False


# The service


@pytest.fixture
def with_service(tmp_path) -> dict[str, str]:
    """The environment of a hub on one machine that has the service."""
    (tmp_path / "token").write_text("the-services-token\n")
    return {
        "RAYSTER_PROFILES_FILE": str(GOOD),
        "RAYSTER_HUB_STATE_DIR": str(tmp_path),
        "RAYSTER_SERVICE_URL": "http://127.0.0.1:8183",
        "RAYSTER_SERVICE_TOKEN_FILE": str(tmp_path / "token"),
    }


def roles(c: Config) -> dict[str, list[str]]:
    return {role["name"]: role["scopes"] for role in c.JupyterHub.get("load_roles", [])}


USE_SERVICE = "access:services!service=rayster"


def test_hub_without_the_service_says_nothing_of_it(monkeypatch, tmp_path):
    c = configured({"RAYSTER_PROFILES_FILE": str(GOOD), "RAYSTER_HUB_STATE_DIR": str(tmp_path)}, monkeypatch)
    assert not {"services", "load_roles", "extra_user_scopes"} & set(c.JupyterHub)
    assert not {"service_url", "service_token"} & set(c.RaysterSpawner)


def test_service_may_list_servers_and_change_nothing(monkeypatch, with_service):
    c = configured(with_service, monkeypatch)
    (service,) = c.JupyterHub.services
    assert (service["name"], service["url"], service["api_token"]) == (
        "rayster", "http://127.0.0.1:8183", "the-services-token",
    )  # fmt: skip
    assert roles(c)["rayster-service"] == ["list:users", "read:servers"]


def test_spawner_knows_where_the_service_is_and_signs_with_its_token(monkeypatch, with_service):
    c = configured(with_service, monkeypatch)
    assert c.RaysterSpawner.service_url == "/services/rayster"
    assert c.RaysterSpawner.service_token == "the-services-token"


def test_service_is_below_the_hubs_base_url(monkeypatch, with_service):
    before = Config()
    before.JupyterHub.base_url = "/jupyter/"
    c = configured(with_service, monkeypatch, c=before)
    assert c.RaysterSpawner.service_url == "/jupyter/services/rayster"


def test_every_user_may_use_the_service_on_line_6(monkeypatch, with_service):
    c = configured(with_service, monkeypatch, hub_line=6)
    assert (c.JupyterHub.extra_user_scopes, "user" in roles(c)) == ({USE_SERVICE}, False)


def test_every_user_may_use_the_service_on_line_5(monkeypatch, with_service):
    c = configured(with_service, monkeypatch, hub_line=5)
    assert roles(c)["user"] == ["self", USE_SERVICE]
    assert "extra_user_scopes" not in c.JupyterHub  # which it does not know


@pytest.mark.parametrize("line", [5, 6])
def test_admins_own_role_of_users_is_added_to(monkeypatch, with_service, line):
    before = Config()
    before.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "shares!user"]}]
    c = configured(with_service, monkeypatch, c=before, hub_line=line)
    assert roles(c)["user"] == ["self", "shares!user", USE_SERVICE]


@pytest.mark.parametrize(("line", "seconds"), [(5, None), (6, 1)], ids=["5", "6"])
def test_hub_does_not_wait_for_a_service_that_is_away(monkeypatch, with_service, line, seconds):
    (service,) = configured(with_service, monkeypatch, hub_line=line).JupyterHub.services
    assert service.get("timeout") == seconds  # line 5 knows no such key, and waits 1 s


OF_A_SERVER = ["users:activity!user", "access:servers!server"]


@pytest.mark.parametrize(
    ("role", "section", "own", "wanted"),
    [
        (None, None, None, OF_A_SERVER),
        (["users:activity!user"], None, None, ["users:activity!user"]),
        (None, "Spawner", ["inherit"], ["inherit"]),
        (None, "KubeSpawner", ["inherit"], ["inherit"]),
    ],
    ids=["as-the-hub-has-it", "admins-role", "admins-list", "admins-list-of-kubespawner"],
)
def test_the_token_of_a_server_is_good_for_the_service(monkeypatch, with_service, role, section, own, wanted):
    before = Config()
    if role is not None:
        before.JupyterHub.load_roles = [{"name": "server", "scopes": role}]
    if section is not None:
        before[section].server_token_scopes = own
    c = configured(with_service, monkeypatch, c=before)
    assert c[section or "Spawner"].server_token_scopes == [*wanted, USE_SERVICE]


def test_scopes_that_an_admin_computes_are_added_to(monkeypatch, with_service):
    before = Config()
    before.Spawner.server_token_scopes = lambda spawner: [f"custom:{spawner}"]
    c = configured(with_service, monkeypatch, c=before)
    assert c.Spawner.server_token_scopes("x") == ["custom:x", USE_SERVICE]


@pytest.mark.parametrize(
    ("hub_url", "url"),
    [
        (None, "http://127.0.0.1:8183/jupyter/services/rayster"),
        ("https://hub.example.org/", "https://hub.example.org/jupyter/services/rayster"),
    ],
    ids=["directly", "from-a-site"],
)
def test_a_server_is_told_where_the_service_is(monkeypatch, with_service, hub_url, url):
    before = Config()
    before.JupyterHub.base_url = "/jupyter/"
    before.KubeSpawner.environment = {"OWN": "of the admin"}
    c = configured(with_service, monkeypatch, c=before)
    spawner = types.SimpleNamespace(profile=types.SimpleNamespace(hub_url=hub_url))
    assert c.KubeSpawner.environment["RAYSTER_SERVICE_URL"](spawner) == url
    assert c.KubeSpawner.environment["OWN"] == "of the admin"


def test_service_without_a_token_is_a_mistake(monkeypatch, with_service, capsys):
    del with_service["RAYSTER_SERVICE_TOKEN_FILE"]
    with pytest.raises(SystemExit):
        configured(with_service, monkeypatch)
    assert "RAYSTER_SERVICE_URL is set, its token is not" in capsys.readouterr().err


def test_the_hub_takes_the_services(tmp_path, with_service):
    environment = {**os.environ, **with_service, "RAYSTER_CULL_SECONDS": "3600"}
    answer = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG), "--show-config-json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "Config option" not in answer.stderr


# The culler


def test_nobody_is_culled_unless_asked_for(monkeypatch, tmp_path):
    c = configured({"RAYSTER_PROFILES_FILE": str(GOOD), "RAYSTER_HUB_STATE_DIR": str(tmp_path)}, monkeypatch)
    assert "services" not in c.JupyterHub


@pytest.mark.parametrize(("seconds", "every"), [("3600", 600), ("40", 10), ("2", 1)])
def test_culler_looks_often_enough_for_its_limit(monkeypatch, tmp_path, seconds, every):
    environment = {"RAYSTER_PROFILES_FILE": str(GOOD), "RAYSTER_HUB_STATE_DIR": str(tmp_path)}
    c = configured({**environment, "RAYSTER_CULL_SECONDS": seconds}, monkeypatch)
    (culler,) = c.JupyterHub.services
    assert culler["command"][1:] == [
        "-m",
        "jupyterhub_idle_culler",
        f"--timeout={seconds}",
        f"--cull-every={every}",
    ]
    assert roles(c)["idle-culler"] == ["list:users", "read:users:activity", "read:servers", "delete:servers"]


# In a cluster


@pytest.fixture
def chart(monkeypatch) -> str:
    """The configuration as the chart's hub runs it, reading the shipped profiles."""
    monkeypatch.setitem(sys.modules, "z2jh", types.ModuleType("z2jh"))
    sys.modules["z2jh"].__spec__ = types.SimpleNamespace()
    source = CONFIG.read_text()
    assert CHART_VALUES in source
    return source.replace(CHART_VALUES, str(GOOD))


def test_in_a_cluster_the_services_entry_of_the_values_is_all_it_takes(monkeypatch, chart):
    values = yaml.safe_load((REPOSITORY / "helm-values" / "rayster.yaml").read_text())
    before = Config()
    # What the chart makes of hub.services.
    before.JupyterHub.services = [
        {**entry, "name": name, "api_token": "of-the-charts-secret"}
        for name, entry in values["hub"]["services"].items()
    ]
    c = configured({}, monkeypatch, chart, before)
    assert c.RaysterSpawner.service_token == "of-the-charts-secret"
    assert roles(c)["rayster-service"] == ["list:users", "read:servers"]


def test_in_a_cluster_the_profiles_are_those_of_the_release_and_the_chart_keeps_the_rest(monkeypatch, chart):
    c = configured({}, monkeypatch, chart)
    assert c.RaysterSpawner.profiles_file == str(GOOD)
    assert c.JupyterHub.spawner_class == "rayster"
    assert "db_url" not in c.JupyterHub
    assert "KubeSpawner" not in c
