"""`python -m rayster_testbed.virtual_node`: run one virtual node until it is signalled."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rayster_testbed.kube import KubeClient, KubeConfig
from rayster_testbed.process import configure_logging, run_until_signalled
from rayster_testbed.virtual_node.heartbeat import Heartbeat
from rayster_testbed.virtual_node.modes import behaviour
from rayster_testbed.virtual_node.node import Accelerator, VirtualNodeSettings
from rayster_testbed.virtual_node.plugin import Plugin
from rayster_testbed.virtual_node.provider import Provider
from rayster_testbed.virtual_node.server import LogServer


async def _run(options: argparse.Namespace) -> None:
    how = behaviour(
        options.mode, options.status_interval_seconds, options.refresh_seconds, options.ping_seconds
    )
    async with (
        KubeClient(KubeConfig.load(options.kubeconfig)) as client,
        Plugin(options.plugin_url) as plugin,
    ):
        provider = Provider(client, plugin, options.node_name, how)
        server = LogServer(provider, plugin)
        await server.start(options.address, options.port)
        settings = VirtualNodeSettings(
            name=options.node_name,
            address=options.address,
            port=server.port,
            cpu=options.cpu,
            memory=options.memory,
            pods=options.pods,
            accelerators=tuple(options.accelerator),
            labels=dict(label.split("=", 1) for label in options.node_label),
        )
        try:
            await run_until_signalled(provider.run(), Heartbeat(client, plugin, settings, how).run())
        finally:
            await server.close()


def _accelerator(text: str) -> Accelerator:
    try:
        return Accelerator.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _label(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.virtual_node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node-name", required=True)
    parser.add_argument("--plugin-url", required=True, help="address of the interLink plugin")
    parser.add_argument("--mode", choices=("as-found", "ideal"), default="as-found")
    parser.add_argument("--cpu", default="1000")
    parser.add_argument("--memory", default="1000Gi")
    parser.add_argument("--pods", default="1000")
    parser.add_argument(
        "--accelerator", action="append", default=[], type=_accelerator, metavar="RESOURCE=N[:MODEL]"
    )
    parser.add_argument("--node-label", action="append", default=[], type=_label, metavar="KEY=VALUE")
    parser.add_argument("--address", default="127.0.0.1", help="where container logs are served")
    parser.add_argument("--port", type=int, default=0, help="port of the log server (default: a free one)")
    parser.add_argument("--data-dir", type=Path, help="not needed: all state lies in the Kubernetes objects")
    parser.add_argument("--status-interval-seconds", type=float, help="default 5, or 1 in the ideal mode")
    parser.add_argument(
        "--refresh-seconds", type=float, help="one true refresh per so long (as-found; default 10)"
    )
    parser.add_argument("--ping-seconds", type=float, help="default 30, or 5 in the ideal mode")
    options = parser.parse_args()
    configure_logging("virtual-node")
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
