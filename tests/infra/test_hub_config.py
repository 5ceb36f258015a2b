"""jupyterhub_config.py with good and bad profiles, on one machine and as the chart runs it."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
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


def configured(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, source: str = "") -> Config:
    """Run the configuration as JupyterHub does; return the configuration object."""
    for name in [name for name in os.environ if name.startswith("RAYSTER_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    c = Config()
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


def test_in_a_cluster_the_profiles_are_those_of_the_release_and_the_chart_keeps_the_rest(monkeypatch):
    monkeypatch.setitem(sys.modules, "z2jh", types.ModuleType("z2jh"))
    sys.modules["z2jh"].__spec__ = types.SimpleNamespace()
    source = CONFIG.read_text()
    assert CHART_VALUES in source
    c = configured({}, monkeypatch, source.replace(CHART_VALUES, str(GOOD)))
    assert c.RaysterSpawner.profiles_file == str(GOOD)
    assert c.JupyterHub.spawner_class == "rayster"
    assert "db_url" not in c.JupyterHub
    assert "KubeSpawner" not in c
