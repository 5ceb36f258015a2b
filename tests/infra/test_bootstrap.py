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
    monkeypatch.setattr(module, "LAB", tmp_path / "labextension")
    monkeypatch.setattr(module, "LAB_OUTPUT", tmp_path / "labextension/built")
    lab_files = (
        "package.json",
        "tsconfig.json",
        "src/index.ts",
        "src/__tests__/index.spec.ts",
        "style/base.css",
    )
    for name in lab_files:
        file = tmp_path / "labextension" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    module.ran = []

    def run_npm(nodejs, directory, *words):
        module.ran.append(" ".join(("npm", *words)))
        (directory / "node_modules").mkdir(exist_ok=True)
        (directory / "built").mkdir(exist_ok=True)
        (directory / "built/package.json").touch()

    def make_environment(venv):
        module.ran.append("venv")
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/python").symlink_to(sys.executable)

    monkeypatch.setattr(module, "make_environment", make_environment)
    monkeypatch.setattr(module, "pip_install", lambda venv, words, *options: module.ran.append("pip"))
    monkeypatch.setattr(module, "uv_install", lambda venv, words: False)
    monkeypatch.setattr(module, "run", lambda command, **options: None)
    monkeypatch.setattr(module, "install_proxy", lambda venv, nodejs: module.ran.append("proxy"))
    monkeypatch.setattr(module, "run_npm", run_npm)
    monkeypatch.setattr(module, "system_node", lambda: None)
    monkeypatch.setattr(module, "wheel_node", lambda venv: (["node"], ["npm"]))
    return module


def test_the_first_run_installs_everything(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "dev,lab", [], proxy=True)
    assert bootstrap.ran == ["venv", "pip", "npm ci", "npm run build", "proxy"]


def test_an_environment_without_jupyterlab_needs_no_extension_of_it(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert bootstrap.ran == ["venv", "pip", "proxy"]


def test_the_lab_extension_is_linked_into_the_environment(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=False)
    assert (tmp_path / ".venv/share/jupyter/labextensions/rayster-lab/package.json").is_file()
    switch = tmp_path / ".venv/etc/jupyter/jupyter_server_config.d/rayster_lab.json"
    assert switch.readlink() == tmp_path / "labextension/jupyter-config/server-config/rayster_lab.json"


def test_two_environments_share_one_built_lab_extension(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=False)
    bootstrap.ran.clear()
    bootstrap.bootstrap(tmp_path / ".venv-hub5", "lab", [], proxy=False)
    assert bootstrap.ran == ["venv", "pip"]
    assert (tmp_path / ".venv-hub5/share/jupyter/labextensions/rayster-lab/package.json").is_file()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("package.json", ["npm ci", "npm run build"], id="packages"),
        pytest.param("src/index.ts", ["npm run build"], id="source"),
        pytest.param("style/base.css", ["npm run build"], id="style"),
        pytest.param("src/__tests__/index.spec.ts", [], id="test"),
    ],
)
def test_the_lab_extension_is_built_again_when_it_must(bootstrap, tmp_path, name, expected):
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    bootstrap.ran.clear()
    (tmp_path / "labextension" / name).write_text("changed")
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    assert bootstrap.ran == expected


def test_a_built_lab_extension_that_somebody_removed_is_built_again(bootstrap, tmp_path):
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    bootstrap.ran.clear()
    (tmp_path / "labextension/built/package.json").unlink()
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    assert bootstrap.ran == ["npm run build"]


def test_a_lab_extension_that_cannot_be_built_fails_the_setup_and_is_tried_again(
    bootstrap, tmp_path, monkeypatch
):
    def fail(nodejs, directory, *words):
        raise bootstrap.BootstrapError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "run_npm", fail)
        patch.setattr(bootstrap, "system_node", lambda: (["node"], ["npm"]))
        with pytest.raises(bootstrap.BootstrapError, match="no network"):
            bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    bootstrap.ran.clear()
    bootstrap.bootstrap(tmp_path / ".venv", "lab", [], proxy=True)
    assert bootstrap.ran[-3:] == ["npm ci", "npm run build", "proxy"]


def test_what_npm_said_is_told_when_it_fails(bootstrap, tmp_path, monkeypatch):
    monkeypatch.undo()  # The real function is asked.
    with pytest.raises(bootstrap.BootstrapError, match="no such host"):
        bootstrap.run_npm((["/bin/sh"], ["/bin/sh", "-c", "echo no such host; exit 1"]), tmp_path)


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
    def fail(venv, nodejs):
        raise bootstrap.BootstrapError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "install_proxy", fail)
        with pytest.raises(bootstrap.BootstrapError):
            bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    bootstrap.ran.clear()
    bootstrap.bootstrap(tmp_path / ".venv", "dev", [], proxy=True)
    assert "proxy" in bootstrap.ran


@pytest.fixture
def venv_with_tools(tmp_path):
    """A directory like an environment's, with a `python -m pip` and a `uv` that note what they are asked for."""

    def make(uv, configuration=""):
        places = tmp_path / "venv/bin"
        places.mkdir(parents=True)
        for name, does in (("python", f"echo {configuration!r}"), ("uv", uv)):
            tool = places / name
            tool.write_text(f'#!/bin/sh\necho "{name} $UV_DEFAULT_INDEX $@" >>{tmp_path}/asked\n{does}\n')
            tool.chmod(0o755)
        return tmp_path / "venv"

    return make


def test_uv_installs_what_it_can(bootstrap, monkeypatch, venv_with_tools, tmp_path):
    monkeypatch.undo()  # The real functions are asked.
    assert bootstrap.uv_install(
        venv_with_tools("exit 0", "global.index-url='https://mirror/simple'"), [".[hub]"]
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1].startswith("uv https://mirror/simple pip install")
    assert asked[-1].endswith(" .[hub]")


def test_pip_installs_what_uv_cannot_and_what_uv_said_is_told(
    bootstrap, monkeypatch, venv_with_tools, tmp_path, capfd
):
    monkeypatch.undo()
    monkeypatch.setattr(bootstrap, "quieten_lab", lambda venv: None)
    monkeypatch.setattr(bootstrap, "has_python", lambda venv: True)
    bootstrap.install_python_part(venv_with_tools("echo no such host; exit 2"), "hub", ["jupyterhub==5.5.*"])
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-2].endswith("--editable .[hub] jupyterhub==5.5.*")
    assert asked[-1].endswith(f"uninstall -qq --yes {bootstrap.SLOW_TO_IMPORT}")
    assert "no such host" in capfd.readouterr().out


def test_what_is_held_at_one_version_comes_from_where_pip_is_told(bootstrap, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(bootstrap, "pip_install", lambda venv, words, *options: asked.append(words))
    monkeypatch.setattr(bootstrap, "uv_install", lambda venv, words: not asked.append(words))
    bootstrap.install_python_part(tmp_path / ".venv", "hub,tracking", [])
    assert asked == [bootstrap.held_versions(), ["--editable", ".[hub,tracking]"]]
    assert any(word.startswith("torch==") for word in asked[0])


@pytest.mark.parametrize(
    ("listing", "index"),
    [
        ("", None),
        ("global.extra-index-url='https://more/simple'\nglobal.timeout='60'", None),
        ("global.index-url='https://mirror/simple'", "https://mirror/simple"),
        (":env:.index-url='https://mirror/simple'\n:env:.cert='/ca.pem'", "https://mirror/simple"),
    ],
)
def test_the_index_of_pip_is_found(bootstrap, listing, index):
    assert bootstrap.index_of_pip(listing) == index


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
    [
        pytest.param("v24.1.0", True, True, id="new"),
        pytest.param("v20.19.0", True, True, id="oldest"),
        pytest.param("v20.18.3", True, False, id="too old"),
        pytest.param("v18.20.4", True, False, id="of Debian 12"),
        pytest.param("v22.11.0", True, False, id="too old of its line"),
        pytest.param("nonsense", True, False, id="none"),
        pytest.param("v24.1.0", False, False, id="without npm"),
    ],
)
def test_the_systems_node_is_used_when_it_will_do(
    bootstrap, tmp_path, monkeypatch, version, has_npm, is_used
):
    monkeypatch.undo()  # The real function is asked.
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
