"""`python -m rayster_testbed.kubelet`: run one cloud node until it is signalled; its containers go on unless told."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rayster_testbed.kube import KubeClient, KubeConfig
from rayster_testbed.kubelet.addresses import Addresses
from rayster_testbed.kubelet.node import NodeAgent, NodeSettings
from rayster_testbed.kubelet.pods import PodManager
from rayster_testbed.kubelet.server import KubeletServer
from rayster_testbed.process import configure_logging, run_until_signalled

_STOP_GRACE_SECONDS = 5.0


async def _run(options: argparse.Namespace) -> None:
    addresses = Addresses(options.pod_cidr)
    allocatable = {"cpu": options.cpu, "memory": options.memory}
    options.data_dir.mkdir(parents=True, exist_ok=True)
    async with KubeClient(KubeConfig.load(options.kubeconfig)) as client:
        pods = PodManager(
            client,
            options.node_name,
            addresses,
            options.data_dir.absolute(),
            allocatable,
            options.restart_backoff_seconds,
            options.names_dir,
        )
        server = KubeletServer(pods)
        await server.start(addresses.node, options.port)
        settings = NodeSettings(
            name=options.node_name,
            address=addresses.node,
            port=server.port,
            cpu=options.cpu,
            memory=options.memory,
            pods=options.pods,
            labels=dict(label.split("=", 1) for label in options.node_label),
            pod_cidr=options.pod_cidr,
        )
        try:
            await run_until_signalled(pods.run(), NodeAgent(client, settings, options.lease_seconds).run())
        finally:
            await server.close()
            if options.stop_pods_on_exit:
                await pods.stop_all(_STOP_GRACE_SECONDS)


def _label(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.kubelet", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node-name", required=True)
    parser.add_argument("--cpu", default="8", help="cores offered (a Kubernetes quantity; default 8)")
    parser.add_argument("--memory", default="16Gi", help="memory offered (default 16Gi)")
    parser.add_argument("--pods", default="110", help="pods at most (default 110)")
    parser.add_argument("--pod-cidr", default="127.20.0.0/16", help="loopback network of pod addresses")
    parser.add_argument("--data-dir", type=Path, required=True, help="containers, logs and volumes")
    parser.add_argument("--node-label", action="append", default=[], type=_label, metavar="KEY=VALUE")
    parser.add_argument("--port", type=int, default=0, help="port of the log server (default: a free one)")
    parser.add_argument("--lease-seconds", type=int, default=40, help="renewed every quarter of it")
    parser.add_argument("--restart-backoff-seconds", type=float, default=10.0)
    parser.add_argument("--names-dir", type=Path, help="that of rayster_testbed.cluster_names")
    parser.add_argument(
        "--stop-pods-on-exit", action="store_true", help="end all containers on SIGTERM or SIGINT"
    )
    options = parser.parse_args()
    configure_logging("kubelet")
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
