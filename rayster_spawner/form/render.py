"""Prints the spawn form: an HTML fragment that the hub puts inside its own `<form>`."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..options import FieldError
from ..profiles import Profile
from ..site_facts import SiteStatus
from .controls import Control
from .pages import TEMPLATE_FOLDER, LivePage
from .views import options_of, problems_of


def render_form(
    profiles: Sequence[Profile],
    *,
    chosen: Any,
    errors: Sequence[FieldError] = (),
    statuses: Mapping[str, SiteStatus] = MappingProxyType({}),
    notes: Mapping[str, str] = MappingProxyType({}),
    live: LivePage | None = None,
    is_anyway: bool = False,
) -> str:
    """Return the form for ``profiles``, those that are open to this user, in their order.

    ``chosen`` is what the form is filled in with: saved options or those of a link, hostile until shown otherwise. What
    cannot be used gives way to the profile's default; only with ``errors`` is it shown back for the user to mend.
    ``statuses`` and ``notes`` (such as how much of a limit is used) are by the profile's name; with ``live`` the page
    keeps the statuses up to date itself. ``is_anyway`` tells that the chosen profile is wanted although its site is
    away. Every value is escaped, also the admin's.
    """
    if not profiles:
        return _template("closed.html").render()
    options = options_of(profiles, chosen, errors, statuses, notes, is_anyway)
    return _template("form.html").render(
        options=options, problems=problems_of(options, errors), live=live, controls_of=_controls_html
    )


@lru_cache(maxsize=512)
def _controls_html(controls: tuple[Control, ...], first_wrong: str) -> str:
    """Return a profile's controls. For all profiles but the chosen one they are the same for everybody, every time."""
    return _template("panel.html").render(controls_shown=controls, first_wrong=first_wrong)


@lru_cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER / "fragment"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
