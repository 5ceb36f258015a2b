"""The example notebook that trains on SLURM jobs: its curves move while it runs, and losing a worker does not stop it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nbformat
import pytest
from rayster_lab.examples import DIRECTORY

from .clusters import JOINED_SECONDS, nothing_is_left, printed, start, worker_jobs
from .hub_client import HubUser, wait_for

pytestmark = pytest.mark.timeout(1200)

PADOVA = {"profile": "padova-slurm", "cpu": 1, "memory": "2Gi", "walltime": "30m"}
FEW = """
import os
os.environ.update(RAYSTER_EXAMPLE_EVENTS="3000", RAYSTER_EXAMPLE_EPOCHS="3")
"""
REPORT = """
from herd_tracking import baselines, evaluate, score, write_report
from herd_tracking.geometry import FIT
test = dataset.events(dataset.split("test"))
scores = {"network": score(dataset, result.best_checkpoint, "test"), **baselines(test, FIT)}
print("WROTE", *write_report(evaluate(test, scores), "report", result.history))
print("ENDED", result.ended, len(result.history), max(one["val_auc"] for one in result.history))
"""


class Curves:
    """What a browser would be told of the live curves, and of what stays in their place."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.left = ""

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message of the kernel."""
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_msg" and "told" in content["data"].get("state", {}):
            self.told.append(content["data"]["state"]["told"])
        elif kind == "update_display_data":
            self.left = content["data"].get("text/html", self.left)

    @property
    def headline(self) -> str:
        """How far the training is."""
        return self.told[-1]["headline"] if self.told else ""

    def has_said(self, words: str) -> bool:
        """Return whether one of the lines above the curves had ``words``."""
        return any(words in message for one in self.told for message in one["messages"])


def test_training_on_slurm_jobs_survives_the_loss_of_one_and_ends_in_a_report(testbed):
    cells = nbformat.read(DIRECTORY / "3-scale-out.ipynb", as_version=4).cells
    make, simulate, attach, train, close = (cell.source for cell in cells if cell.cell_type == "code")
    ada = HubUser(testbed, "ada")
    kernel = start(ada, PADOVA)
    home = next((testbed.layout.homes / "padova").glob("ada*"))
    kernel.run(FEW)
    (cluster,) = printed(kernel.run(f"{make}\nprint('CLUSTER', cluster.id)", JOINED_SECONDS), "CLUSTER")
    kernel.run(simulate, JOINED_SECONDS)
    kernel.run(f"{attach}\ncluster.wait(workers=2, timeout=240)", JOINED_SECONDS)

    curves = Curves()
    training = ThreadPoolExecutor(1).submit(kernel.run, train, 900, curves.hear)
    wait_for(lambda: training.done() or curves.headline.startswith("1 of 3 epochs"), "a second epoch", 420)
    assert not training.done(), training.result()
    victim = sorted(worker_jobs(testbed, cluster))[0]
    testbed.slurm("scancel", victim)
    training.result(600)
    assert curves.has_said("goes on with the others") and curves.has_said("from epoch 2")
    assert "Area under the ROC curve: validation" in curves.left
    assert victim not in worker_jobs(testbed, cluster)

    output = kernel.run(REPORT, 300)
    ended, epochs, auc = printed(output, "ENDED")
    assert (ended, int(epochs)) == ("finished", 3)
    assert float(auc) > 0.8
    for path in printed(output, "WROTE"):
        assert (home / path).stat().st_size > 10_000
    kernel.run(close)
    ada.server().stop()
    nothing_is_left(testbed)
