"""The network trained from a notebook on SLURM jobs: seen while it runs, and not stopped by the loss of a worker."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .clusters import JOINED_SECONDS, nothing_is_left, printed, start, worker_jobs
from .hub_client import HubUser, wait_for

pytestmark = pytest.mark.timeout(1200)

PADOVA = {"profile": "padova-slurm", "cpu": 1, "memory": "2Gi", "walltime": "30m"}
CLUSTER = """
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from rayster_lab import RayCluster
cluster = RayCluster(profile="padova-slurm", workers=2, cpus=1, memory="2Gi", walltime="30m")
print("CLUSTER", cluster.id)
cluster.wait(workers=2, timeout=240)
cluster.attach()
"""
TRAIN = """
from herd_tracking import Dataset, simulate_dataset, train
simulate_dataset("toy", 4000, seed=1, progress=False)
told = open("told.jsonl", "w", buffering=1)
result = train(
    Dataset.open(Path("toy").resolve()), preset="deep", epochs=3, batch_events=64, warmup_steps=10, seed=1,
    workers=(1, 2), cpus_per_worker=1, directory=Path("run").resolve(), report_steps=2, checkpoint_seconds=2,
    on_report=lambda report: told.write(json.dumps(report) + chr(10)),
)
print("ENDED", result.ended, len(result.history), max(one["val_auc"] for one in result.history))
"""
REPORT = """
from herd_tracking import baselines, evaluate, score, write_report
from herd_tracking.geometry import FIT
data = Dataset.open("toy")
test = data.events(data.split("test"))
scores = {"network": score(data, result.best_checkpoint, "test"), **baselines(test, FIT)}
print("WROTE", *write_report(evaluate(test, scores), "report", result.history))
"""


def test_training_on_slurm_jobs_survives_the_loss_of_one_and_ends_in_a_report(testbed):
    ada = HubUser(testbed, "ada")
    kernel = start(ada, PADOVA)
    home = next((testbed.layout.homes / "padova").glob("ada*"))
    (cluster,) = printed(kernel.run(CLUSTER, JOINED_SECONDS), "CLUSTER")

    pool = ThreadPoolExecutor(1)
    training = pool.submit(kernel.run, TRAIN, 900)
    told = Path(home / "told.jsonl")

    def steps() -> list[dict]:
        reports = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        return [one for one in reports if "loss" in one]

    # Seen while it runs.
    wait_for(lambda: training.done() or len(steps()) >= 3, "the training tells of its steps", 400)
    assert not training.done(), training.result()
    seen = steps()[-1]["step"]
    victim = sorted(worker_jobs(testbed, cluster))[0]
    testbed.slurm("scancel", victim)
    ended, epochs, auc = printed(training.result(600), "ENDED")
    assert (ended, int(epochs)) == ("finished", 3)
    assert float(auc) > 0.8
    assert steps()[-1]["step"] > seen
    assert victim not in worker_jobs(testbed, cluster)

    for path in printed(kernel.run(REPORT, 300), "WROTE"):
        assert (home / path).stat().st_size > 10_000
    ada.server().stop()
    nothing_is_left(testbed)
