"""Command line of the private SLURM: `python -m rayster_testbed.slurm --state-dir DIR`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from rayster_testbed.slurm.supervisor import SlurmError, Supervisor

log = logging.getLogger("rayster_testbed.slurm")


def main(argv: list[str] | None = None) -> int:
    """Run a private SLURM in the foreground until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.slurm", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="holds everything of this SLURM")
    parser.add_argument("--ready-file", type=Path, help="written once all nodes are up")
    parser.add_argument(
        "--cancel-jobs-on-exit",
        action="store_true",
        help="cancel every job before ending; default: jobs go on",
    )
    options = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s slurm %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)
    try:
        supervisor = Supervisor(options.state_dir)
    except (SlurmError, OSError) as error:
        log.error("%s", error)
        return 1
    try:
        supervisor.start()
        supervisor.wait_ready()
        log.info("ready: commands in %s", supervisor.dir / "bin")
        if options.ready_file:
            options.ready_file.write_text("ready\n")
        supervisor.run(stop)
        if options.cancel_jobs_on_exit:
            supervisor.cancel_jobs()
    except (SlurmError, OSError) as error:
        log.error("%s", error)
        return 1
    finally:
        supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
