"""`python -m rayster_testbed.cluster_names`: keep the names of a cluster in a directory until signalled."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rayster_testbed.cluster_names.follow import NameKeeper
from rayster_testbed.kube import KubeClient, KubeConfig
from rayster_testbed.process import configure_logging, run_until_signalled


async def _run(kubeconfig: Path, directory: Path) -> None:
    async with KubeClient(KubeConfig.load(kubeconfig)) as client:
        await run_until_signalled(NameKeeper(client, directory).run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.cluster_names", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument(
        "--directory", type=Path, required=True, help="what containers get as their PYTHONPATH"
    )
    options = parser.parse_args()
    configure_logging("cluster-names")
    asyncio.run(_run(options.kubeconfig, options.directory.absolute()))


if __name__ == "__main__":
    main()
