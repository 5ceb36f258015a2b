"""A worker of bench/scaling.py under torchrun: the training's own loop, without Ray. Prints reports as JSON lines."""

import json
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch
import torch.distributed as dist

from herd_tracking.training.job import Job, do
from herd_tracking.training.peers import Peers
from herd_tracking.training.settings import Settings


def main() -> None:
    """Train as RANK of WORLD_SIZE, by the settings, dataset and directory that the command line has."""
    settings, dataset, directory, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    dist.init_process_group("gloo")
    peers = Peers(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    job = Job(Settings(**json.loads(settings)), Path(dataset), Path(directory))
    do(job, peers=peers, say=lambda report: print(json.dumps(report), flush=True), wants_stop=lambda: False)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
