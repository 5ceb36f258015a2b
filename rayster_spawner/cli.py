"""The command `rayster`: checks profiles, renders pods; other rooms add their own subcommands."""

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
import yaml

COMMANDS_GROUP = "rayster.commands"
# What `render` takes from the extra `hub`.
_HUB_PACKAGES = ("kubespawner", "kubernetes_asyncio", "jupyterhub")

app = typer.Typer(
    name="rayster",
    help="Ray-powered Scalable Training and Execution Runtime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
profiles_app = typer.Typer(help="Check profiles, and print their JSON Schema.", no_args_is_help=True)
app.add_typer(profiles_app, name="profiles")

ProfilesFile = Annotated[
    Path, typer.Argument(help="A profiles file, or a Helm values file with profiles under custom.rayster.")
]


@profiles_app.command("check")
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check profiles files; exit with 1 and every mistake with its line when there is one."""
    from .profile_files import ProfilesError, load_profiles

    failed = False
    for file in files:
        try:
            profiles = load_profiles(file)
        except ProfilesError as error:
            failed = True
            for mistake in error.mistakes:
                typer.echo(str(mistake), err=True)
        else:
            names = ", ".join(profile.name for profile in profiles.profiles)
            typer.echo(f"{file}: {len(profiles.profiles)} profiles: {names}")
    if failed:
        raise typer.Exit(1)


@profiles_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of a profiles file."""
    import json

    from .profiles import profiles_schema

    typer.echo(json.dumps(profiles_schema(), indent=2))


@app.command("render")
def render(
    file: ProfilesFile,
    profile: Annotated[str, typer.Option(help="The name of a profile in FILE.")],
    option: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="A server option, such as cpu=4 or walltime=2h.")
    ] = [],  # noqa: B006 - typer copies it
    user: Annotated[str, typer.Option(help="The user whose server it is.")] = "user",
    groups: Annotated[
        str | None, typer.Option(help="The user's groups, with commas. Default: those of the profile.")
    ] = None,
) -> None:
    """Print the pod that a server of a profile would be, as YAML.

    Exit status 2 when the options are wrong, with one line per field: `field: value: reason`; 1 when FILE is.
    """
    from .offload import OffloadError
    from .options import OptionsError
    from .profile_files import ProfilesError, load_profiles
    from .render import render_pod

    options: dict[str, object] = {"profile": profile}
    for text in option:
        name, _, value = text.partition("=")
        # An option that is given twice stays a list, which no option may be.
        options[name] = [options[name], value] if name in options else value
    try:
        profiles = load_profiles(file)
        manifest = render_pod(
            profiles,
            options,
            user=user,
            groups=None if groups is None else [name for name in map(str.strip, groups.split(",")) if name],
        )
    except OptionsError as error:
        for line in error.errors:
            typer.echo(str(line), err=True)
        raise typer.Exit(2) from None
    except OffloadError as error:
        for text in error.errors:
            typer.echo(f"profile: {profile}: {text}", err=True)
        raise typer.Exit(2) from None
    except ProfilesError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _HUB_PACKAGES:
            raise
        typer.echo(_needs_more("render", "hub"), err=True)
        raise typer.Exit(1) from None
    typer.echo(
        yaml.dump(manifest, Dumper=_BlockText, sort_keys=False, allow_unicode=True, width=110), nl=False
    )


class _BlockText(yaml.SafeDumper):
    """YAML with scripts as people read them: line by line."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BlockText.add_representer(str, _represent_text)


def main() -> None:
    """Run the command line, with the subcommands of whichever other rooms are installed."""
    rooms = entry_points(group=COMMANDS_GROUP)
    # Rooms take time to import; a node of a Ray cluster does not wait for that of the others.
    for entry in [room for room in rooms if room.name in sys.argv[1:2]] or rooms:
        try:
            app.add_typer(entry.load(), name=entry.name)
        except ModuleNotFoundError as error:
            # A room whose extra is not installed; its command says what to install.
            any_words = {"allow_extra_args": True, "ignore_unknown_options": True}
            command = app.command(
                entry.name, help=f"Not installed: needs {error.name}.", context_settings=any_words
            )
            command(_missing(entry.name))
    app()


def _missing(name: str) -> Callable[[], None]:
    def explain() -> None:
        typer.echo(_needs_more(name, name), err=True)
        sys.exit(1)

    return explain


def _needs_more(command: str, extra: str) -> str:
    return f"rayster {command} needs more packages: pip install 'rayster[{extra}]'"


if __name__ == "__main__":
    main()
