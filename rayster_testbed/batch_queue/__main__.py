"""Command line of the built-in batch queue: `python -m rayster_testbed.batch_queue --state-dir DIR`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from rayster_testbed.batch_queue.controller import Queue
from rayster_testbed.batch_queue.daemon import Daemon
from rayster_testbed.batch_queue.store import Store
from rayster_testbed.partitions import KILL_WAIT_SECONDS, PARTITIONS
from rayster_testbed.short_path import short_path

log = logging.getLogger("rayster_testbed.batch_queue")


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options.state_dir.mkdir(parents=True, exist_ok=True)
    directory = short_path(options.state_dir)
    store = Store(directory / "jobs", KILL_WAIT_SECONDS)
    daemon = Daemon(Queue(store, PARTITIONS, options.seconds_per_minute), directory)
    await daemon.serve(stop, options.ready_file)
    if options.cancel_jobs_on_exit:
        await daemon.cancel_jobs()


def main(argv: list[str] | None = None) -> int:
    """Run the queue in the foreground; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.batch_queue", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="holds jobs, socket and bin/")
    parser.add_argument("--ready-file", type=Path, help="written once commands are answered")
    parser.add_argument(
        "--cancel-jobs-on-exit",
        action="store_true",
        help="cancel every job before ending; default: jobs go on",
    )
    parser.add_argument(
        "--seconds-per-minute", type=float, default=60, help="length of a minute of walltime, for tests"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s batch-queue %(levelname)s %(message)s"
    )
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)
    try:
        asyncio.run(serve(options))
    except OSError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
