"""Command line of the SLURM plugin: `python -m rayster_testbed.slurm_plugin --data-dir DIR --slurm-bin-dir DIR`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shlex
import signal
import sys
from pathlib import Path

from aiohttp import web

from rayster_testbed.short_path import short_path
from rayster_testbed.slurm_plugin import container
from rayster_testbed.slurm_plugin.batch import Batch
from rayster_testbed.slurm_plugin.jobs import Jobs
from rayster_testbed.slurm_plugin.server import Plugin

log = logging.getLogger("rayster_testbed.slurm_plugin")


def write_runtime(data_dir: Path, names_dir: Path | None = None) -> Path:
    """Write `bin/singularity` below `data_dir` and return its path; its containers look up names in `names_dir`."""
    program = data_dir / "bin" / "singularity"
    program.parent.mkdir(parents=True, exist_ok=True)
    # Isolated: nothing of the job's environment or directory may change which modules this program finds.
    words = [sys.executable, "-I", "-S", str(Path(container.__file__).resolve())]
    names = f"{container.NAMES}={shlex.quote(str(names_dir or ''))}"
    program.write_text(f'#!/bin/sh\n{names} exec {shlex.join(words)} "$@"\n')
    program.chmod(0o755)
    return program


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    options.data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = short_path(options.data_dir)
    jobs = Jobs(data_dir / "jobs", write_runtime(data_dir, options.names_dir))
    batch = Batch(options.slurm_bin_dir.resolve(), options.slurm_conf, data_dir)
    plugin = Plugin(jobs, batch, ideal=options.mode == "ideal", ping=options.ping_resources)
    runner = web.AppRunner(plugin.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, options.bind, options.port)
    await site.start()
    port = runner.addresses[0][1]
    log.info("listening on http://%s:%s, mode %s", options.bind, port, options.mode)
    if options.port_file:
        options.port_file.write_text(f"{port}\n")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main(argv: list[str] | None = None) -> int:
    """Run the plugin in the foreground; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.slurm_plugin", description=__doc__)
    parser.add_argument(
        "--bind", default="127.0.0.1", help="address to listen on; the plugin has no authentication"
    )
    parser.add_argument("--port", type=int, default=4000, help="0 = any free one, see --port-file")
    parser.add_argument("--port-file", type=Path, help="the port is written here")
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="one directory per job, kept over restarts"
    )
    parser.add_argument("--slurm-bin-dir", type=Path, required=True, help="has sbatch, squeue and scancel")
    parser.add_argument("--names-dir", type=Path, help="that of rayster_testbed.cluster_names")
    parser.add_argument("--slurm-conf", type=Path, help="SLURM_CONF for those commands")
    parser.add_argument("--mode", choices=("as-found", "ideal"), default="as-found")
    parser.add_argument("--ping-resources", type=json.loads, help="JSON body of the answer to a ping")
    options = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s slurm-plugin %(levelname)s %(message)s"
    )
    try:
        asyncio.run(serve(options))
    except OSError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
