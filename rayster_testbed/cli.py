"""The command `rayster testbed`: start, look at, play faults on, and end a testbed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rayster_testbed.layout import DEMO_USERS, Layout
from rayster_testbed.leftovers import Process, end_processes
from rayster_testbed.parts import PartError, Record, held_file, hold, read_records
from rayster_testbed.supervisor import Supervisor
from rayster_testbed.testbed import Testbed, TestbedError

app = typer.Typer(
    name="testbed",
    help="Kubernetes, interLink, SLURM and JupyterHub on this one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StateDir = Annotated[Path, typer.Option("--state-dir", help="Holds everything that the testbed keeps.")]
PartName = Annotated[str, typer.Argument(metavar="PART", help="A name that `status` shows.")]
_DEFAULT_STATE = Path(".testbed")
_DEFAULT_PORT = 8000
_DOWN_SECONDS = 30
_START_SECONDS = 30
_SIGNALS = ("KILL", "TERM", "INT", "STOP", "CONT")


class _EndError(BaseException):
    """A signal asked the testbed to end."""


@app.command()
def up(
    hub: Annotated[bool, typer.Option("--hub", help="Run JupyterHub and its proxy too.")] = False,
    state_dir: StateDir = _DEFAULT_STATE,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Public port. Default: 8000, or a free one."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address of the public port.")] = "127.0.0.1",
    mode: Annotated[
        str, typer.Option("--mode", help="Virtual nodes as the real ones were found to be, or ideal ones.")
    ] = "as-found",
) -> None:
    """Start a testbed, keep it running, and end it on Ctrl-C with all that it started."""
    if mode not in ("as-found", "ideal"):
        raise typer.BadParameter("is as-found or ideal", param_hint="--mode")
    console = Console(highlight=False)
    lines = _Lines(console)
    testbed = Testbed(
        state_dir,
        hub=hub,
        host=host,
        port=port,
        preferred_port=_DEFAULT_PORT,
        mode=_as_mode(mode),
        say=lines.say,
    )
    raise typer.Exit(_run(testbed, console, lines))


def _as_mode(word: str) -> Literal["as-found", "ideal"]:
    return "ideal" if word == "ideal" else "as-found"


def _run(testbed: Testbed, console: Console, lines: _Lines) -> int:
    started = time.monotonic()
    status = 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask_to_end)
    try:
        console.print(f"Batch system: {_batch_in_words(testbed)}")
        with console.status("Starting ..."):
            testbed.start()
        console.print(_summary(testbed, time.monotonic() - started))
        Supervisor(testbed.parts, lines.say).run(threading.Event())
    except _EndError:
        pass
    except (PartError, TestbedError) as error:
        console.print(str(error), style="red", markup=False)
        status = 1
    finally:
        # A second Ctrl-C must not leave half of it running: what follows is bounded.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        ending = time.monotonic()
        if testbed.parts:
            lines.say("testbed", "ends; this takes a few seconds")
        testbed.stop()
        if testbed.parts:
            lines.say(
                "testbed", f"has ended, after {time.monotonic() - ending:.1f} s; nothing of it runs any more"
            )
    return status


def _ask_to_end(number: int, frame: object) -> None:
    raise _EndError


class _Lines:
    """Prints a line per event; goes silent when the terminal is gone, so that ending goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._mutex = threading.Lock()

    def say(self, name: str, what: str) -> None:
        if what == "starts":
            return
        sign = Text("✓", "green") if what.startswith("ready") else Text("•", "yellow")
        with self._mutex, suppress(OSError):
            self._console.print(Text.assemble(" ", sign, f" {name:<24}{what}"))


def _batch_in_words(testbed: Testbed) -> str:
    if testbed.batch == "slurm":
        return "a private SLURM of this machine's slurm-wlm"
    return "the built-in queue (slurmctld or munged is not installed)"


def _summary(testbed: Testbed, seconds: float) -> Panel:
    table = Table.grid(padding=(0, 2))
    if testbed.setting.hub:
        table.add_row("Open", f"[bold]{testbed.hub_url}[/]")
        for user, groups in DEMO_USERS.items():
            places = f"cloud and the sites of {' and '.join(groups)}" if groups else "cloud only"
            table.add_row("Log in as", f"[bold]{user:<8}[/] [dim]{places}[/]")
        table.add_row("Password", f"[bold]{testbed.password}[/]")
    table.add_row("kubectl", f"KUBECONFIG={testbed.kubeconfig()}")
    table.add_row("SLURM", f"{testbed.layout.slurm / 'bin'}/squeue")
    table.add_row("Logs", str(testbed.layout.root / "logs"))
    table.add_row("Stop", "Ctrl-C")
    return Panel(table, title=f"RaySTER runs, after {seconds:.1f} s", expand=False)


@app.command()
def status(state_dir: StateDir = _DEFAULT_STATE) -> None:
    """Show the parts; exit with 1 when not all run that should."""
    layout = Layout(state_dir)
    records = read_records(layout.root)
    orchestrator = _orchestrator(layout)
    table = Table("part", "state", "pid", "for", box=None)
    for record in records:
        pid = str(record.process.pid) if record.process else ""
        table.add_row(record.name, _state(record), pid, _age(record) if record.process else "")
    console = Console(highlight=False)
    if records:
        console.print(table)
    if orchestrator is None:
        console.print(f"No testbed runs in {layout.root}.")
        raise typer.Exit(1)
    url = layout.read_summary().get("url")
    console.print(f"Run by pid {orchestrator.pid}{f', {url}' if url else ''}; logs in {layout.root / 'logs'}")
    if any(record.process is None and not record.is_held for record in records):
        raise typer.Exit(1)


def _state(record: Record) -> str:
    if record.process is not None:
        return "running"
    return "down on purpose" if record.is_held else "down"


def _age(record: Record) -> str:
    seconds = int(time.time() - record.started)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@app.command()
def down(state_dir: StateDir = _DEFAULT_STATE) -> None:
    """End the testbed of a state directory, whoever started it."""
    layout = Layout(state_dir)
    orchestrator = _orchestrator(layout)
    if orchestrator is not None:
        typer.echo(f"Asking pid {orchestrator.pid} to end ...")
        orchestrator.send(signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_SECONDS
        while orchestrator.is_alive and time.monotonic() < deadline:
            time.sleep(0.1)
        if orchestrator.is_alive:
            typer.echo(f"It has not ended after {_DOWN_SECONDS} s: killed.", err=True)
            orchestrator.send(signal.SIGKILL)
    for process in end_processes(layout.root, 5):
        typer.echo(f"Ended a leftover: {process.pid} {process.command[:100]}")
    typer.echo(f"Nothing of {layout.root} runs any more.")


@app.command()
def kill(
    part: PartName,
    state_dir: StateDir = _DEFAULT_STATE,
    name: Annotated[str, typer.Option("--signal", help=f"One of {', '.join(_SIGNALS)}.")] = "KILL",
) -> None:
    """Kill a part and leave it down, to see what the others make of it."""
    word = name.upper().removeprefix("SIG")
    if word not in _SIGNALS:
        raise typer.BadParameter(f"is one of {', '.join(_SIGNALS)}", param_hint="--signal")
    record = _record(state_dir, part)
    if record.process is None:
        typer.echo(f"{part} does not run.", err=True)
        raise typer.Exit(1)
    if word not in ("STOP", "CONT"):
        hold(held_file(Layout(state_dir).root, part))
    record.process.send(getattr(signal, f"SIG{word}"))
    typer.echo(f"Sent SIG{word} to {part}, pid {record.process.pid}.")


@app.command()
def start(part: PartName, state_dir: StateDir = _DEFAULT_STATE) -> None:
    """Start a part that was killed on purpose."""
    layout = Layout(state_dir)
    record = _record(state_dir, part)
    if _orchestrator(layout) is None:
        typer.echo(f"No testbed runs in {layout.root}: rayster testbed up", err=True)
        raise typer.Exit(1)
    if record.process is not None:
        record.process.send(signal.SIGCONT)
        typer.echo(f"{part} runs, pid {record.process.pid}.")
        return
    held_file(layout.root, part).unlink(missing_ok=True)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        process = _record(state_dir, part).process
        if process is not None:
            typer.echo(f"{part} runs, pid {process.pid}.")
            return
        time.sleep(0.1)
    typer.echo(
        f"{part} does not run after {_START_SECONDS} s; see {layout.root / 'logs' / part}.log", err=True
    )
    raise typer.Exit(1)


def _orchestrator(layout: Layout) -> Process | None:
    summary = layout.read_summary()
    process = Process.read(summary["pid"]) if "pid" in summary else None
    return process if process is not None and process.start_ticks == summary["start_ticks"] else None


def _record(state_dir: Path, part: str) -> Record:
    records = {record.name: record for record in read_records(Layout(state_dir).root)}
    if part not in records:
        known = ", ".join(records) or "none"
        raise typer.BadParameter(f"no part is called {part!r}; known are: {known}", param_hint="PART")
    return records[part]


if __name__ == "__main__":
    sys.exit(app())
