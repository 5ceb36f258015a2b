"""What every long-running testbed process does alike: log one line per event, run until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, MutableMapping
from typing import Any

import structlog


def configure_logging(component: str) -> None:
    """Send structlog and standard logging to standard error, one line per event, tagged with *component*."""

    def name_component(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["component"] = component
        return event

    structlog.configure(
        processors=[
            name_component,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "component", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format=f"{component} %(levelname)s %(message)s"
    )


async def run_until_signalled(*jobs: Awaitable[None]) -> None:
    """Run *jobs* together until SIGTERM or SIGINT, then cancel them and wait for their clean-up.

    Raises: whatever a job raised, when one ends by itself with an error: a part that cannot work must end loudly.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks: list[asyncio.Future] = [asyncio.ensure_future(job) for job in jobs]
    stopping: asyncio.Future = asyncio.ensure_future(stop.wait())
    # From here on it ends cleanly. Who started it waits for this line.
    structlog.get_logger().info("running")
    try:
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in [*tasks, stopping]:
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
