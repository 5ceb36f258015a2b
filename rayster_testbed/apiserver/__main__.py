"""`python -m rayster_testbed.apiserver`: run the testbed's Kubernetes API until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from .server import Server, Settings

log = logging.getLogger("apiserver")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.apiserver", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 for any free one")
    parser.add_argument("--port-file", type=Path, help="write the port into this file once it answers")
    parser.add_argument("--data-dir", type=Path, help="keep the objects here (default: in memory only)")
    parser.add_argument(
        "--token-auth-file",
        type=Path,
        help='lines of token,user,uid,"group1,group2"; without it all is allowed',
    )
    parser.add_argument("--tls-cert-file", type=Path)
    parser.add_argument("--tls-private-key-file", type=Path)
    return parser.parse_args(arguments)


async def serve(options: argparse.Namespace) -> None:
    """Run the server until SIGTERM or SIGINT."""
    settings = Settings(
        bind=options.bind,
        port=options.port,
        data_dir=options.data_dir,
        token_file=options.token_auth_file,
        cert_file=options.tls_cert_file,
        key_file=options.tls_private_key_file,
    )
    server = Server(settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    port = await server.start()
    scheme = "https" if settings.cert_file else "http"
    log.info("listening url=%s://%s:%d version=%d", scheme, settings.bind, port, server.store.version)
    if options.port_file:
        fresh = options.port_file.with_name(options.port_file.name + ".new")
        fresh.write_text(f"{port}\n")
        fresh.replace(options.port_file)
    await ended.wait()
    log.info("stopping")
    await server.stop()


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(parse_arguments()))


if __name__ == "__main__":
    main()
