"""The command `rayster ray start`: one node of a Ray cluster, in a pod or in a batch job."""

import os
import sys
from typing import Annotated

import typer

from .failures import ExitCode, LaunchError
from .settings import PREFIX

app = typer.Typer(help="Start a node of a Ray cluster.", no_args_is_help=True)


@app.callback()
def ray() -> None:
    """Start a node of a Ray cluster."""


@app.command("start")
def start(
    head: Annotated[bool, typer.Option("--head", help="Start the cluster's head.")] = False,
    cluster: Annotated[str | None, typer.Option(help="The cluster's id.")] = None,
    network: Annotated[str | None, typer.Option(help="direct: the head has a name; site: a file.")] = None,
    rendezvous: Annotated[str | None, typer.Option(help="With network site: the head's file.")] = None,
    gcs_port: Annotated[str | None, typer.Option(help="The port of the head's GCS.")] = None,
    dashboard_port: Annotated[str | None, typer.Option(help="The port of the dashboard.")] = None,
    dashboard_host: Annotated[str | None, typer.Option(help="Where the dashboard listens.")] = None,
    node_network: Annotated[
        str | None, typer.Option(help="The network of the nodes' addresses, such as 10.128.0.0/16.")
    ] = None,
    plasma_directory: Annotated[str | None, typer.Option(help="Where objects lie.")] = None,
    object_store_bytes: Annotated[str | None, typer.Option(help="Memory for objects, in bytes.")] = None,
    head_wait_seconds: Annotated[str | None, typer.Option(help="How long to wait for the head.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs for tasks.")] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs for tasks.")] = None,
    memory_bytes: Annotated[str | None, typer.Option(help="Memory of the pod, in bytes.")] = None,
) -> None:
    """Start a node and keep it until it ends or is told to.

    Each option has a variable, RAYSTER_RAY_GCS_PORT for --gcs-port, which RaySTER's service sets. Exit status:
    41 the head was not there in time, 42 it refused the token, 43 its Ray or Python is another, 44 there is no Ray,
    45 no address, 46 no ports, 47 no directory, 2 wrong settings, 143 told to end, others Ray's own.
    """
    options = {name: value for name, value in locals().items() if name != "head"}
    given = {PREFIX + name.upper(): value for name, value in options.items() if value is not None}
    os.environ.update(given)
    raise typer.Exit(run(head))


def run(head: bool) -> int:
    """Start the node that the environment describes; return the exit status."""
    from . import node, processes
    from .settings import settings_from

    def say(text: str) -> None:
        print(f"rayster: {text}", file=sys.stderr, flush=True)

    try:
        processes.end_on_signals()
        return node.run(settings_from(os.environ, head), say)
    except LaunchError as error:
        say(str(error))
        return error.code
    except processes.Ended as ended:
        say(f"ended by {ended}.")
        return ExitCode.ENDED
