"""scripts/bootstrap.py: installs when something has changed, and only then."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """The script as a module, for a repository of its own; what it would run is noted in `bootstrap.ran`."""
    spec = importlib.util.spec_from_file_location("bootstrap", REPOSITORY / "scripts" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    node_file = tmp_path / "package.json"
    node_file.write_text("{}")
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(module, "NODE_FILES", [node_file])
    module.ran = []

    def make_environment(venv):
        module.ran.append("venv")
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/python").symlink_to(sys.executable)

    monkeypatch.setattr(module, "make_environment", make_environment)
    monkeypatch.setattr(module, "pip_install", lambda venv, words: module.ran.append("pip"))
    monkeypatch.setattr(module, "install_proxy", lambda venv: module.ran.append("proxy"))
    return module


def test_the_first_run_installs_everything(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert bootstrap.ran == ["venv", "pip", "proxy"]


def test_a_second_run_installs_nothing(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    assert bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True) == 0
    assert bootstrap.ran == []


@pytest.mark.parametrize("name", ["pyproject.toml", "package.json"])
def test_a_changed_file_installs_again_into_the_same_environment(bootstrap, tmp_path, name):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    (tmp_path / name).write_text("changed")
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert bootstrap.ran == ["pip", "proxy"]


def test_another_pin_installs_again(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    bootstrap.bootstrap(tmp_path / ".venv", "dev", ["jupyterhub==5.5.*"], proxy=True)
    assert "pip" in bootstrap.ran


def test_another_python_makes_the_environment_anew(bootstrap, tmp_path, monkeypatch):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    python = tmp_path / ".venv/bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\necho 3.9\n")
    python.chmod(0o755)
    monkeypatch.setattr(bootstrap, "make_environment", lambda venv: bootstrap.ran.append("venv"))
    (tmp_path / "pyproject.toml").write_text("changed")
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert bootstrap.ran[0] == "venv"


def test_an_install_that_failed_is_tried_again(bootstrap, tmp_path, monkeypatch):
    def fail(venv):
        raise bootstrap.BootstrapError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "install_proxy", fail)
        with pytest.raises(bootstrap.BootstrapError):
            bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert "proxy" in bootstrap.ran


@pytest.mark.parametrize(
    ("modules", "programs", "first_words"),
    [
        pytest.param({"venv", "ensurepip"}, set(), [["-m", "venv"]], id="plain Python"),
        pytest.param({"venv"}, set(), [], id="Debian without python3-venv"),
        pytest.param({"venv", "virtualenv"}, set(), [["-m", "virtualenv"]], id="virtualenv as a module"),
        pytest.param({"venv"}, {"virtualenv"}, [["--clear", "-q"]], id="virtualenv as a program"),
        pytest.param({"venv"}, {"uv"}, [["venv", "-q"]], id="uv"),
    ],
)
def test_the_environment_is_made_with_what_is_there(bootstrap, monkeypatch, modules, programs, first_words):
    monkeypatch.setattr(
        bootstrap.importlib.util, "find_spec", lambda name: object() if name in modules else None
    )
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/bin/{name}" if name in programs else None)
    assert [command[1:3] for command in bootstrap.environment_makers(Path("v"))] == first_words


@pytest.mark.parametrize(
    ("version", "has_npm", "is_used"),
    [("v20.1.0", True, True), ("v18.0.0", True, True), ("v16.9.0", True, False), ("v20.1.0", False, False)],
    ids=["new", "oldest", "too old", "without npm"],
)
def test_the_systems_node_is_used_when_it_will_do(
    bootstrap, tmp_path, monkeypatch, version, has_npm, is_used
):
    for name in ["node", *(["npm"] if has_npm else [])]:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert (bootstrap.system_node() is not None) == is_used


def test_an_old_python_is_told_what_is_needed(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9))
    with pytest.raises(SystemExit, match=r"3\.10"):
        bootstrap.main()


def test_make_sets_up_with_the_script_before_it_tests_or_runs():
    # Not as a part of the `make test` that may have started this.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    for target in ("demo", "test-main", "lint"):
        command = ["make", "--dry-run", target]
        plan = subprocess.run(
            command, cwd=REPOSITORY, check=True, capture_output=True, text=True, env=environment
        ).stdout
        assert plan.splitlines()[0].endswith("scripts/bootstrap.py"), plan
