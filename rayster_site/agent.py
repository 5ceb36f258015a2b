"""Puts the agent together and runs it until it is told to end."""

from __future__ import annotations

import asyncio
import signal

import structlog

from rayster_site.answers import Told
from rayster_site.collector import Collector
from rayster_site.commands import CommandRunner
from rayster_site.facts import Scheduler
from rayster_site.server import Agent, make_app, make_server, tls_context
from rayster_site.settings import Settings, SettingsError, read_token, user_numbers
from rayster_site.slurm.scheduler import Slurm
from rayster_site.state_file import StateFile

log = structlog.get_logger(__name__)

_DRAIN_SECONDS = 5
_LOOPBACK = ("127.", "::1", "localhost")


def make_scheduler(settings: Settings) -> Scheduler:
    """Return the batch system of the settings."""
    runner = CommandRunner(settings.command_dir, settings.command_timeout_seconds)
    return Slurm(runner)


def make_collector(settings: Settings, scheduler: Scheduler) -> Collector:
    """Return a collector over a batch system."""
    return Collector(
        scheduler,
        interval_seconds=settings.interval_seconds,
        wait_hours=settings.wait_hours,
        ended_hours=settings.ended_hours,
        state_file=StateFile(settings.state_dir, settings.site),
    )


def job_owners(settings: Settings, scheduler: Scheduler) -> frozenset[str] | None:
    """Return the accounts whose jobs may be pods' jobs; None: any.

    Raises:
        SettingsError: an account is not known.
    """
    if "*" in settings.job_users:
        return None
    if settings.scheduler != "slurm":
        return frozenset(settings.job_users) or frozenset({scheduler.own_account})
    return user_numbers(settings.job_users) or frozenset({scheduler.own_account})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: a setting is wrong, or the address cannot be had.
    """
    settings.check()
    token = read_token(settings.token_file)
    scheduler = make_scheduler(settings)
    told = Told(settings.site, scheduler, job_owners(settings, scheduler))
    tls = None
    if settings.tls_cert and settings.tls_key:
        try:
            tls = tls_context(settings.tls_cert, settings.tls_key)
        except OSError as error:
            raise SettingsError(f"--tls-cert {settings.tls_cert}: {error}") from error
    elif not settings.host.startswith(_LOOPBACK):
        log.warning("tokens and answers are not encrypted: no --tls-cert", host=settings.host)
    collector = make_collector(settings, scheduler)
    server = make_server(make_app(Agent(settings.site, token, collector, told)), tls)
    try:
        server.listen(settings.port, settings.host)
    except OSError as error:
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error}") from error
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    collector.start()
    log.info("serving", site=settings.site, host=settings.host, port=settings.port, tls=tls is not None)
    try:
        await ended.wait()
    finally:
        log.info("ending")
        server.stop()
        await collector.stop()
        try:
            await asyncio.wait_for(server.close_all_connections(), _DRAIN_SECONDS)
        except asyncio.TimeoutError:
            log.warning("connections did not close in time")
