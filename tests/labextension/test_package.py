"""How the JupyterLab extension gets into a wheel, and what npm is told to install."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

REPOSITORY = Path(__file__).parents[2]
LAB = REPOSITORY / "labextension"


@pytest.fixture
def hook_for(monkeypatch):
    """Factory: what the build hook adds to a wheel of a repository. Hatchling itself is only there while it builds."""
    interface = ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = SimpleNamespace
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def shared_data(root: Path, version: str = "standard") -> dict[str, str]:
        build_data = {"shared_data": {}}
        module.LabExtensionHook(root=str(root)).initialize(version, build_data)
        return build_data["shared_data"]

    return shared_data


@pytest.fixture
def built(tmp_path):
    """A repository whose extension npm has built."""
    output = tmp_path / "labextension/rayster_lab/labextension"
    output.mkdir(parents=True)
    (output / "package.json").write_text("{}")
    return tmp_path


def test_a_wheel_has_what_npm_built_and_the_switch_of_the_server(hook_for, built):
    lab = "share/jupyter/labextensions/rayster-lab"
    assert hook_for(built) == {
        f"{built}/labextension/rayster_lab/labextension": lab,
        f"{built}/labextension/install.json": f"{lab}/install.json",
        f"{built}/labextension/jupyter-config/server-config": "etc/jupyter/jupyter_server_config.d",
    }


def test_a_wheel_without_a_built_extension_is_refused(hook_for, built):
    (built / "labextension/rayster_lab/labextension/package.json").unlink()
    with pytest.raises(RuntimeError, match="npm ci && npm run build"):
        hook_for(built)


def test_an_editable_installation_gets_it_from_the_bootstrap(hook_for, built):
    assert hook_for(built, "editable") == {}


def test_the_hubs_image_does_without_it(hook_for, tmp_path):
    assert hook_for(tmp_path) == {}


def test_every_npm_package_of_the_lock_has_a_hash_and_no_address():
    lock = json.loads((LAB / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 100
    assert [name for name, package in packages.items() if "integrity" not in package] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_both_packages_have_one_version():
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert json.loads((LAB / "package.json").read_text())["version"] == version
