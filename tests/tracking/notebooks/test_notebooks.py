"""The example notebooks run from top to bottom on few events; the one that needs a site runs in tests/e2e."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from rayster_lab.examples import DIRECTORY, examples

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where the notebooks run, one after the other, as a reader runs them."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(home, monkeypatch):
    """Factory: run a notebook and return it with its outputs."""
    monkeypatch.setenv("RAYSTER_EXAMPLE_EVENTS", "600")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run_(name: str) -> nbformat.NotebookNode:
        notebook = nbformat.read(DIRECTORY / f"{name}.ipynb", as_version=4)
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(home)}}).execute()
        return notebook

    return run_


def kinds(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]


def test_first_look_shows_an_event_and_figures(run):
    shown = kinds(run("1-first-look"))
    assert "application/vnd.plotly.v1+json" in shown and "image/png" in shown


def test_training_and_physics_results_follow_each_other(run, home):
    trained = run("2-train-here")
    # Of the live curves pictures stay, and no widget that a notebook without its kernel cannot show.
    assert "application/vnd.jupyter.widget-view+json" not in kinds(trained)
    assert "Area under the ROC curve: validation 0." in str(trained)
    assert (home / "runs/here-600/best.pt").is_file()
    shown = kinds(run("4-physics-results"))
    assert "application/vnd.plotly.v1+json" in shown
    assert (home / "report-600/report.html").is_file() and (home / "report-600/report.pdf").is_file()


def test_every_example_is_kept_without_outputs_and_with_a_title():
    told = examples()
    assert [one["name"] for one in told] == sorted(path.stem for path in DIRECTORY.glob("*.ipynb"))
    for one in told:
        assert one["title"].startswith("HERD: ") and one["description"].endswith(".")
        cells = json.loads((DIRECTORY / f"{one['name']}.ipynb").read_text())["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
