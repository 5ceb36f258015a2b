"""Stands in for `singularity exec|run`: the command runs natively, with the environment a container would have.

Standard library only, no import from this package: it runs inside jobs as a plain script.
What a bind would show at its destination is translated instead, since nobody may mount here: home,
working directory, arguments and environment values that lie under a destination point to the source.
"""

from __future__ import annotations

import csv
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass, field
from pathlib import Path

PASSED_ALWAYS = ("TERM", *(f"{p}_proxy" for p in ("http", "https", "ftp", "all", "no")))
# Apptainer does not let --env, --env-file or APPTAINERENV_ set these two.
NOT_OVERRIDABLE = ("HOME", "PATH")
PREFIXES = ("SINGULARITYENV_", "APPTAINERENV_")
# Where the program that stands for the runtime is told how names of the cluster resolve.
NAMES = "RAYSTER_TESTBED_NAMES"
_PR_SET_CHILD_SUBREAPER = 36

_CLEANING_FLAGS = {"-e", "-C", "--cleanenv", "--containall", "--compat"}
_FLAGS = _CLEANING_FLAGS | {
    *(
        "-c",
        "-u",
        "-f",
        "-w",
        "--contain",
        "--nv",
        "--nvccli",
        "--rocm",
        "--no-eval",
        "--no-home",
        "--no-init",
    ),
    *("--no-privs", "--no-umask", "--userns", "--uts", "--pid", "--ipc", "--net", "--fakeroot", "--writable"),
    *("--writable-tmpfs", "--disable-cache", "--unsquash"),
}
_VALUED = {
    *("-B", "-H", "-W", "-S", "--bind", "--mount", "--home", "--pwd", "--cwd", "--workdir", "--scratch"),
    *("--env", "--env-file", "--overlay", "--hostname", "--network", "--network-args", "--dns", "--no-mount"),
    *("--add-caps", "--drop-caps", "--security", "--app", "--cpus", "--memory"),
}


class UsageError(Exception):
    """The command line is not one of singularity's; its text is what singularity would say."""


@dataclass
class Options:
    """What the command line asks for."""

    clean_environment: bool = False
    binds: list[tuple[str, str]] = field(default_factory=list)
    home: tuple[str, str] | None = None
    working_directory: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)
    image: str = ""
    command: list[str] = field(default_factory=list)


def parse(argv: list[str]) -> Options:
    """Return the options of `exec|run [options] image [command [argument...]]`.

    Raises:
        UsageError: an unknown flag or a missing image.
    """
    verb = argv[0] if argv else ""
    if verb not in ("exec", "run"):
        raise UsageError(f'unknown command "{verb}" for "singularity"')
    options = Options()
    words = argv[1:]
    while words and words[0].startswith("-"):
        name, equals, value = words.pop(0).partition("=")
        if name in _FLAGS:
            options.clean_environment |= name in _CLEANING_FLAGS
        elif name in _VALUED:
            if not equals and not words:
                raise UsageError(f"flag needs an argument: {name}")
            _apply(options, name, value if equals else words.pop(0))
        else:
            raise UsageError(f"unknown flag: {name}")
    if not words:
        raise UsageError("requires at least 1 arg(s), only received 0")
    options.image, options.command = words[0], words[1:]
    if verb == "exec" and not options.command:
        raise UsageError("requires at least 2 arg(s), only received 1")
    return options


def _apply(options: Options, name: str, value: str) -> None:
    if name in ("-B", "--bind"):
        options.binds += [_bind(part) for part in value.split(",") if part]
    elif name == "--mount":
        parts = dict(part.partition("=")[::2] for part in value.split(","))
        source = parts.get("src") or parts.get("source") or ""
        options.binds.append((source, parts.get("dst") or parts.get("destination") or source))
    elif name in ("-H", "--home"):
        options.home = _bind(value)
        options.binds.append(options.home)
    elif name in ("--pwd", "--cwd"):
        options.working_directory = value
    elif name == "--env":
        options.env |= _assignments(value)
    elif name == "--env-file":
        options.env_files.append(value)


def _assignments(text: str) -> dict[str, str]:
    """Return the variables of one `--env`: a comma separates as soon as there is a second equals sign."""
    words = [text.strip('"')] if text.count("=") == 1 else next(csv.reader([text]), [])
    for word in words or [text]:
        if "=" not in word:
            raise UsageError(
                f'invalid argument "{text}" for "--env" flag: {word} must be formatted as key=value'
            )
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _bind(text: str) -> tuple[str, str]:
    source, _, rest = text.partition(":")
    return source, rest.partition(":")[0] or source


def translate(text: str, binds: list[tuple[str, str]]) -> str:
    """Return `text` with a leading bind destination, also behind `--name=`, replaced by its source."""
    head, value = re.fullmatch(r"(-[^=\s]*=)?(.*)", text, re.DOTALL).groups(default="")  # type: ignore[union-attr]
    for source, destination in sorted(binds, key=lambda bind: len(bind[1]), reverse=True):
        place = destination.rstrip("/")
        if place and (value == place or value.startswith(place + "/")):
            return head + source.rstrip("/") + value[len(place) :]
    return text


def environment(options: Options, host: dict[str, str]) -> dict[str, str]:
    """Return the variables of the container, before HOME, PATH and TMPDIR are set.

    Later ones win: host (unless cleaned), `APPTAINERENV_*` of the host, env files, `--env`.
    """
    inside = {
        name: value
        for name, value in host.items()
        if not name.startswith(PREFIXES)
        and (not options.clean_environment or name in PASSED_ALWAYS or name.lower() in PASSED_ALWAYS)
    }
    given: dict[str, str] = {}
    for name, value in host.items():
        for prefix in PREFIXES:
            if name.startswith(prefix):
                given[name.removeprefix(prefix)] = value
    for env_file in options.env_files:
        given |= _read_env_file(env_file)
    given |= options.env
    for name in NOT_OVERRIDABLE:
        if given.pop(name, None) is not None:
            print(f"WARNING: Overriding {name} environment variable is not permitted", file=sys.stderr)
    return inside | {name: translate(value, options.binds) for name, value in given.items()}


def _read_env_file(path: str) -> dict[str, str]:
    """Return what the file sets; like singularity, it is evaluated as shell."""
    script = f'set -a; . "$1" || exit 1; exec {shutil.which("env")} -0'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", path], env={}, stdout=subprocess.PIPE, check=False
    )
    pairs = (word.partition("=")[::2] for word in os.fsdecode(done.stdout).split("\0") if word)
    return {name: value for name, value in pairs if name not in ("_", "PWD", "SHLVL", "OLDPWD")}


def run(options: Options) -> int:
    """Run the command and everything it starts, end what it leaves behind, return its exit status."""
    if "does-not-exist" in options.image:
        print(f"FATAL:   Unable to handle {options.image} uri: manifest unknown", file=sys.stderr)
        return 255
    names = os.environ.pop(NAMES, "")
    variables = environment(options, dict(os.environ))
    if names:
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [variables.get("PYTHONPATH"), names]))
    scratch = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))
    (scratch / "home").mkdir()
    home = options.home[0] if options.home else str(scratch / "home")
    start = translate(options.working_directory, options.binds) if options.working_directory else home
    variables |= {
        "HOME": home,
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(scratch),
        "SINGULARITY_CONTAINER": options.image,
        "APPTAINER_CONTAINER": options.image,
    }
    variables.setdefault("LANG", "C.UTF-8")
    command = [translate(word, options.binds) for word in options.command] or ["/bin/true"]
    # Orphans of the command become our children: a container has its own process space and ends them too.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        return _run_to_end(command, variables, start if Path(start).is_dir() else "/")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_to_end(command: list[str], variables: dict[str, str], directory: str) -> int:
    program = shutil.which(command[0], path=variables["PATH"]) or command[0]
    try:
        child = subprocess.Popen([program, *command[1:]], env=variables, cwd=directory)
    except OSError as error:
        reason = "no such file or directory" if isinstance(error, FileNotFoundError) else error.strerror
        print(f'FATAL:   stat {command[0]}: "{command[0]}": {reason}', file=sys.stderr)
        return 255

    def pass_on(number: int, _frame: types.FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, pass_on)
    status = child.wait()
    _end_children()
    return status if status >= 0 else 128 - status


def _end_children() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := [int(pid) for pid in children.read_text().split()]:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> int:
    """Behave as the `singularity` program; return its exit status."""
    try:
        options = parse(sys.argv[1:])
    except UsageError as error:
        print(f'Error for command "{sys.argv[1] if len(sys.argv) > 1 else ""}": {error}', file=sys.stderr)
        return 1
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
