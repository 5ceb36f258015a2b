"""The command `rayster-site`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from rayster_site.settings import Settings, SettingsError

app = typer.Typer(
    name="rayster-site",
    help="Tell RaySTER's hub what this site's batch system is doing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "RAYSTER_SITE"},
)


@app.callback()
def _root() -> None:
    """Tell RaySTER's hub what this site's batch system is doing."""


def _variable(name: str) -> str:
    return f"RAYSTER_SITE_{name}"


Site = Annotated[str, typer.Option(help="The site's name in the hub's profiles.", envvar=_variable("SITE"))]
Scheduler = Annotated[str, typer.Option(help="slurm or htcondor.", envvar=_variable("SCHEDULER"))]
CommandDir = Annotated[
    Path | None,
    typer.Option(
        help="Where sinfo, squeue and the like are. Default: the PATH.", envvar=_variable("COMMAND_DIR")
    ),
]
CommandTimeout = Annotated[
    float,
    typer.Option(
        min=0.1, max=600, help="Longest a command may take.", envvar=_variable("COMMAND_TIMEOUT_SECONDS")
    ),
]


@app.command("serve")
def serve_command(
    site: Site,
    token_file: Annotated[
        Path,
        typer.Option(help="File with the site's token, shared with the hub.", envvar=_variable("TOKEN_FILE")),
    ],
    scheduler: Scheduler = "slurm",
    host: Annotated[str, typer.Option(help="Address to listen on.", envvar=_variable("HOST"))] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port.", envvar=_variable("PORT"))] = 8182,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate chain, PEM.", envvar=_variable("TLS_CERT"))
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.", envvar=_variable("TLS_KEY"))] = None,
    interval_seconds: Annotated[
        float,
        typer.Option(
            min=0.2, max=3600, help="Shortest time between two looks.", envvar=_variable("INTERVAL_SECONDS")
        ),
    ] = 15,
    command_timeout_seconds: CommandTimeout = 20,
    command_dir: CommandDir = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keeps ended jobs over a restart. Default: nothing kept.", envvar=_variable("STATE_DIR")
        ),
    ] = None,
    wait_hours: Annotated[
        float,
        typer.Option(
            min=0.1, max=168, help="How far back waits are counted.", envvar=_variable("WAIT_HOURS")
        ),
    ] = 6,
    ended_hours: Annotated[
        float,
        typer.Option(
            min=0.1, max=168, help="How long ended jobs are remembered.", envvar=_variable("ENDED_HOURS")
        ),
    ] = 6,
    job_user: Annotated[
        list[str] | None,
        typer.Option(
            help="Account that interLink submits with; may be repeated; * for any. Default: the agent's own.",
            envvar=_variable("JOB_USER"),
        ),
    ] = None,
    service_url: Annotated[
        str | None,
        typer.Option(
            help="The hub's service, https://hub.example.org/services/rayster, asked for the pods that live.",
            envvar=_variable("SERVICE_URL"),
        ),
    ] = None,
    service_ca: Annotated[
        Path | None, typer.Option(help="CA of the service, PEM.", envvar=_variable("SERVICE_CA"))
    ] = None,
    cancel_orphans: Annotated[
        bool,
        typer.Option(
            "--cancel-orphans", help="Cancel jobs without a pod.", envvar=_variable("CANCEL_ORPHANS")
        ),
    ] = False,
    orphan_grace_seconds: Annotated[
        float,
        typer.Option(
            min=1,
            help="How long a job must have been without a pod.",
            envvar=_variable("ORPHAN_GRACE_SECONDS"),
        ),
    ] = 900,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log every request.", envvar=_variable("DEBUG"))
    ] = False,
) -> None:
    """Serve what sinfo and squeue say, as JSON, until SIGTERM."""
    from rayster_site.agent import serve
    from rayster_site.logs import set_up_logs

    settings = Settings(
        site=site,
        scheduler=scheduler,
        host=host,
        port=port,
        token_file=token_file,
        tls_cert=tls_cert,
        tls_key=tls_key,
        interval_seconds=interval_seconds,
        command_timeout_seconds=command_timeout_seconds,
        command_dir=command_dir,
        state_dir=state_dir,
        wait_hours=wait_hours,
        ended_hours=ended_hours,
        job_users=tuple(job_user or ()),
        service_url=service_url,
        service_ca=service_ca,
        cancel_orphans=cancel_orphans,
        orphan_grace_seconds=orphan_grace_seconds,
    )
    set_up_logs(debug=debug)
    try:
        asyncio.run(serve(settings))
    except SettingsError as error:
        typer.echo(f"rayster-site: {error}", err=True)
        raise typer.Exit(2) from None


@app.command("look")
def look_command(
    scheduler: Scheduler = "slurm",
    command_dir: CommandDir = None,
    command_timeout_seconds: CommandTimeout = 20,
) -> None:
    """Look at the batch system once, print the partitions as JSON; exit with 1 when that fails."""
    from rayster_site.agent import look_once
    from rayster_site.commands import CommandError
    from rayster_site.logs import set_up_logs

    set_up_logs()
    try:
        text = asyncio.run(look_once(scheduler, command_dir, command_timeout_seconds))
    except (CommandError, SettingsError) as error:
        typer.echo(f"rayster-site: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(text)


@app.command("openapi")
def openapi_command() -> None:
    """Print the OpenAPI document."""
    from rayster_site.openapi import openapi_document

    typer.echo(json.dumps(openapi_document(), indent=2))


def main() -> None:
    """Run the command line."""
    app()
