"""Turns profiles, their sites, what was chosen and what was wrong into the plain data that the form prints. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..offload import site_name
from ..options import FIELDS, FieldError
from ..profiles import Profile
from ..quantities import format_memory, format_walltime
from ..site_facts import SiteState, SiteStatus
from .controls import LABELS, Control, controls_of
from .received import anyway_name
from .site_words import SiteLine, site_line, why_anyway
from .wording import count, devices


class Option(NamedTuple):
    """A profile in the form: its card, how its site is, and its controls.

    ``error`` is about the profile itself; ``is_anyway`` tells that it is wanted although its site is away.
    """

    id: str
    name: str
    title: str
    description: str
    icon: str
    place: str
    chips: tuple[str, ...]
    site: str
    site_line: SiteLine | None
    why_anyway: str
    note: str
    is_chosen: bool
    is_anyway: bool
    error: str
    controls: tuple[Control, ...]

    @property
    def is_unreachable(self) -> bool:
        """Whether the profile can be chosen only after saying so."""
        return bool(self.why_anyway)

    @property
    def anyway_id(self) -> str:
        """The id of the checkbox that is needed while the site does not answer."""
        return f"{self.id}-anyway"

    @property
    def anyway_name(self) -> str:
        """The name under which that checkbox is sent."""
        return anyway_name(self.name)


class Problem(NamedTuple):
    """A line of the summary of errors; ``target`` is the id of the control it is about, or empty."""

    field: str
    text: str
    target: str


def options_of(
    profiles: Sequence[Profile],
    chosen: Any,
    errors: Sequence[FieldError],
    statuses: Mapping[str, SiteStatus],
    notes: Mapping[str, str],
    is_anyway: bool = False,
) -> list[Option]:
    """Return the form's options, with ``chosen`` filled in and the ``errors`` beside their controls.

    Values and errors of a profile that is not among ``profiles`` (vanished, or closed to the user) say nothing about
    the one that is shown in its place.
    """
    given = chosen if isinstance(chosen, Mapping) else {}
    name = given.get("profile")
    at = next((n for n, profile in enumerate(profiles) if profile.name == name), 0)
    wrong = {error.field: _sentence(error.reason) for error in errors}
    if name is not None and profiles[at].name != name:
        given, wrong, is_anyway = {}, {}, False
    return [
        _option(
            profile,
            given if n == at else {},
            wrong if n == at else {},
            is_chosen=n == at,
            is_anyway=is_anyway and n == at,
            status=statuses.get(profile.name),
            note=notes.get(profile.name, ""),
        )
        for n, profile in enumerate(profiles)
    ]


def problems_of(options: Sequence[Option], errors: Sequence[FieldError]) -> list[Problem]:
    """Return the summary of ``errors``, in the order of the form, each with the control that it is about."""
    option = next(option for option in options if option.is_chosen)
    targets = {control.field: control.id for control in option.controls if control.error}
    order = {field: n for n, field in enumerate(FIELDS)}
    return [
        Problem(
            error.field,
            f"{LABELS.get(error.field, error.field)}: {error.reason} (given: {error.value})",
            targets.get(error.field, _profile_target(option) if error.field == "profile" else ""),
        )
        for error in sorted(errors, key=lambda error: order.get(error.field, len(order)))
    ]


def _profile_target(option: Option) -> str:
    return option.anyway_id if option.is_unreachable else option.id


def _option(
    profile: Profile,
    given: Mapping[Any, Any],
    wrong: Mapping[str, str],
    *,
    is_chosen: bool,
    is_anyway: bool,
    status: SiteStatus | None,
    note: str,
) -> Option:
    is_away = status is not None and status.state is SiteState.UNREACHABLE
    return Option(
        id=f"rs-{profile.name}",
        name=profile.name,
        title=profile.title,
        description=profile.description,
        icon=profile.icon,
        place=_place(profile),
        chips=_chips(profile),
        site=site_name(profile),
        site_line=site_line(status) if status else None,
        why_anyway=why_anyway(site_name(profile), status) if status and is_away else "",
        note=note,
        is_chosen=is_chosen,
        is_anyway=is_anyway,
        error=wrong.get("profile", ""),
        controls=controls_of(profile, given, wrong),
    )


def _place(profile: Profile) -> str:
    """Return where servers of ``profile`` run, with its queue."""
    if not profile.is_offloaded:
        return "Cloud · no queue"
    where = profile.site if isinstance(profile.site, str) else "Remote site"
    if profile.scheduler == "slurm":
        partition = profile.slurm.partition if profile.slurm else None
        return f"{where} · SLURM queue {partition}" if partition else f"{where} · SLURM"
    return f"{where} · HTCondor" if profile.scheduler == "htcondor" else where


def _chips(profile: Profile) -> tuple[str, ...]:
    chips = [f"up to {count(profile.cpu.max, 'core')}", f"up to {format_memory(profile.memory.max)}"]
    if profile.gpu:
        chips.append(f"up to {devices(profile.gpu.max, profile.gpu.type)}")
    if profile.walltime:
        chips.append(f"up to {format_walltime(profile.walltime.max)}")
    return tuple(chips)


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
