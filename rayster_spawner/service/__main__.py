"""The command line of the service: ``python -m rayster_spawner.service``."""

import asyncio
import logging
import os
import sys
from typing import Annotated

import typer
from kubernetes_asyncio.config import ConfigException
from pydantic import ValidationError

from ..profile_files import ProfilesError, load_profiles
from .process import serve
from .settings import DEFAULT_PREFIX, Settings, address_from_hub

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    profiles: Annotated[str, typer.Option(envvar="RAYSTER_PROFILES_FILE", help="The hub's profiles file.")],
    namespace: Annotated[
        str, typer.Option(envvar="RAYSTER_NAMESPACE", help="The servers' namespace.")
    ] = "rayster",
    host: Annotated[
        str | None, typer.Option(help="Default: the hub's JUPYTERHUB_SERVICE_URL, or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Default: the hub's JUPYTERHUB_SERVICE_URL, or 8183.")
    ] = None,
    base_url: Annotated[
        str,
        typer.Option(envvar="JUPYTERHUB_SERVICE_PREFIX", help="The path of the service on the hub's host."),
    ] = DEFAULT_PREFIX,
    sweep: Annotated[
        bool, typer.Option(help="Delete pods whose server the hub does not know any more.")
    ] = True,
    orphan_grace_seconds: Annotated[
        int,
        typer.Option(envvar="RAYSTER_ORPHAN_GRACE_SECONDS", help="For how long the hub must not know it."),
    ] = 600,
    refresh_seconds: Annotated[float, typer.Option(help="How often nodes and agents are asked.")] = 10,
) -> None:
    """Feed the hub's pages live states, tell the sites' agents which pods live, and sweep orphan pods.

    The hub is found by JUPYTERHUB_API_URL and JUPYTERHUB_API_TOKEN, which it sets for a service that it starts itself;
    Kubernetes by KUBECONFIG, or by the credential of the pod.
    """
    log = _start_log()
    hub_host, hub_port = address_from_hub()
    try:
        load_profiles(profiles)
        settings = Settings(
            profiles_file=profiles,
            namespace=namespace,
            host=host if host is not None else hub_host,
            port=port if port is not None else hub_port,
            base_url=f"/{base_url.strip('/')}/" if base_url.strip("/") else "/",
            hub_api_url=os.environ.get("JUPYTERHUB_API_URL", ""),
            service_name=os.environ.get("JUPYTERHUB_SERVICE_NAME", "rayster"),
            token=os.environ.get("JUPYTERHUB_API_TOKEN", ""),
            sweeps=sweep,
            orphan_grace_seconds=orphan_grace_seconds,
            refresh_seconds=refresh_seconds,
        )
    except ProfilesError as error:
        sys.exit(f"The service does not start: its profiles cannot be used.\n{error}")
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        sys.exit("The service does not start: its settings cannot be used.\n" + "\n".join(lines))
    if not settings.token:
        log.warning("JUPYTERHUB_API_TOKEN is not set: no page can be told anything, and nothing is swept")
    try:
        asyncio.run(serve(settings, log))
    except ConfigException as error:
        sys.exit(f"The service does not start: there is no credential for Kubernetes: {error}")
    except OSError as error:
        sys.exit(f"The service does not start: {settings.host}:{settings.port}: {error.strerror or error}")


def _start_log() -> logging.Logger:
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # A line for each refused request would let anybody fill the log.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    log = logging.getLogger("rayster.service")
    log.setLevel(logging.INFO)
    return log


if __name__ == "__main__":
    app()
