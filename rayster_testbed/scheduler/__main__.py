"""`python -m rayster_testbed.scheduler`: run the scheduler until it is signalled."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rayster_testbed.kube import KubeClient, KubeConfig
from rayster_testbed.process import configure_logging, run_until_signalled
from rayster_testbed.scheduler.loop import Scheduler


async def _run(kubeconfig: Path, names: list[str]) -> None:
    async with KubeClient(KubeConfig.load(kubeconfig)) as client:
        await run_until_signalled(Scheduler(client, names).run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.scheduler", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument(
        "--scheduler-name",
        action="append",
        default=[],
        help="serve pods with this schedulerName as well as default-scheduler (may be repeated)",
    )
    options = parser.parse_args()
    configure_logging("scheduler")
    asyncio.run(_run(options.kubeconfig, ["default-scheduler", *options.scheduler_name]))


if __name__ == "__main__":
    main()
