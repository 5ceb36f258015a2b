"""Puts the agent together and runs it until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from rayster_site.answers import Told
from rayster_site.collector import Collector
from rayster_site.commands import CommandRunner
from rayster_site.facts import Scheduler
from rayster_site.htcondor.scheduler import HtCondor
from rayster_site.live_pods import LivePodsClient
from rayster_site.orphan_watch import OrphanWatch
from rayster_site.server import Agent, make_app, make_server, tls_context
from rayster_site.settings import Settings, SettingsError, read_token, user_numbers
from rayster_site.slurm.scheduler import Slurm
from rayster_site.state_file import StateFile

log = structlog.get_logger(__name__)

_DRAIN_SECONDS = 5
_LOOPBACK = ("127.", "::1", "localhost")


def make_scheduler(name: str, runner: CommandRunner) -> Scheduler:
    """Return a batch system by its name.

    Raises:
        SettingsError: there is none of that name.
    """
    schedulers: dict[str, Callable[[CommandRunner], Scheduler]] = {"slurm": Slurm, "htcondor": HtCondor}
    if name not in schedulers:
        raise SettingsError(f"--scheduler {name!r}: not one of {', '.join(schedulers)}")
    return schedulers[name](runner)


async def look_once(scheduler_name: str, command_dir: Path | None, timeout_seconds: float) -> str:
    """Return what one look tells of the partitions, as JSON.

    Raises:
        SettingsError: there is no such batch system.
        CommandError: the look failed.
    """
    scheduler = make_scheduler(scheduler_name, CommandRunner(command_dir, timeout_seconds))
    collector = Collector(scheduler, interval_seconds=1, state_file=StateFile(None, ""))
    await collector.collect()
    if collector.view.error is not None:
        raise collector.view.error
    told = Told("", scheduler)
    return told.site(collector.view, now=time.time(), clock=time.monotonic()).model_dump_json(indent=2)


def make_collector(settings: Settings, scheduler: Scheduler, state_file: StateFile) -> Collector:
    """Return a collector over a batch system."""
    return Collector(
        scheduler,
        interval_seconds=settings.interval_seconds,
        wait_hours=settings.wait_hours,
        ended_hours=settings.ended_hours,
        state_file=state_file,
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
    """Serve until SIGTERM or SIGINT; on SIGHUP, read the token and the certificate again.

    Raises:
        SettingsError: a setting is wrong, or the address cannot be had.
    """
    settings.check()
    token = read_token(settings.token_file)
    scheduler = make_scheduler(
        settings.scheduler, CommandRunner(settings.command_dir, settings.command_timeout_seconds)
    )
    told = Told(settings.site, scheduler, job_owners(settings, scheduler))
    tls = None
    if settings.tls_cert and settings.tls_key:
        try:
            tls = tls_context(settings.tls_cert, settings.tls_key)
        except OSError as error:
            raise SettingsError(f"--tls-cert {settings.tls_cert}: {error}") from error
    elif not settings.host.startswith(_LOOPBACK):
        log.warning("tokens and answers are not encrypted: no --tls-cert", host=settings.host)
    state_file = StateFile(settings.state_dir, settings.site)
    collector = make_collector(settings, scheduler, state_file)
    orphans, pods = None, None
    if settings.service_url is not None:
        pods = LivePodsClient(settings.service_url, settings.site, token, settings.service_ca)
        orphans = OrphanWatch(
            collector,
            told,
            pods,
            state_file=state_file,
            grace_seconds=settings.orphan_grace_seconds,
            cancels=settings.cancel_orphans,
        )
    agent = Agent(settings.site, token, collector, told, orphans)
    server = make_server(make_app(agent), tls)
    try:
        server.listen(settings.port, settings.host)
    except OSError as error:
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error}") from error
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _read_again, settings, agent, pods, tls)
    collector.start()
    if orphans is not None:
        orphans.start()
    log.info("serving", site=settings.site, host=settings.host, port=settings.port, tls=tls is not None)
    try:
        await ended.wait()
    finally:
        log.info("ending")
        server.stop()
        if orphans is not None:
            await orphans.stop()
        await collector.stop()
        await state_file.save()
        if pods is not None:
            pods.close()
        try:
            await asyncio.wait_for(server.close_all_connections(), _DRAIN_SECONDS)
        except asyncio.TimeoutError:
            log.warning("connections did not close in time")


def _read_again(
    settings: Settings, agent: Agent, pods: LivePodsClient | None, tls: ssl.SSLContext | None
) -> None:
    """Take a new token and a new certificate into use; keep the old ones when they are not usable."""
    try:
        token = read_token(settings.token_file)
        if tls and settings.tls_cert and settings.tls_key:
            # For connections from now on.
            tls.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (SettingsError, OSError) as error:
        log.error("token and certificate stay the old ones", error=str(error))
        return
    agent.token = token
    if pods is not None:
        pods.token = token
    log.info("token and certificate read again")
