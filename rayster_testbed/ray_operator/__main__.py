"""`python -m rayster_testbed.ray_operator`: run the operator of RayClusters until it is signalled."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rayster_testbed.kube import KubeClient, KubeConfig
from rayster_testbed.process import configure_logging, run_until_signalled
from rayster_testbed.ray_operator.loop import RayOperator


async def _run(kubeconfig: Path) -> None:
    async with KubeClient(KubeConfig.load(kubeconfig)) as client:
        await run_until_signalled(RayOperator(client).run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.ray_operator", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    options = parser.parse_args()
    configure_logging("ray-operator")
    asyncio.run(_run(options.kubeconfig))


if __name__ == "__main__":
    main()
