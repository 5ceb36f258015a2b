"""Turns one profile's amounts, what was chosen and what was wrong into the controls that the form prints. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ..options import FIELDS, OptionsError, ServerOptions
from ..profiles import Access, Profile
from ..quantities import format_memory, format_number, format_walltime, walltime_text
from .received import MEMORY_UNIT_FIELD, control_name
from .wording import count, devices

LABELS = {
    "profile": "Profile",
    "image": "Software",
    "cpu": "Cores",
    "memory": "Memory",
    "gpu": "GPUs",
    "walltime": "Time limit",
}
MAX_TYPED_CHARACTERS = 200

_PRESET_MINUTES = (30, 60, 4 * 60, 8 * 60, 24 * 60, 3 * 24 * 60)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


class Choice(NamedTuple):
    """One of several values, with what people read."""

    value: str
    title: str
    is_chosen: bool


class Control(NamedTuple):
    """One field of a profile. ``kind`` is choice, number, duration or fixed (there is nothing to choose)."""

    kind: str
    field: str
    id: str
    name: str
    label: str
    value: str
    hint: str = ""
    error: str = ""
    choices: tuple[Choice, ...] = ()
    min: str = ""
    max: str = ""
    step: str = ""
    slider_step: str = ""
    unit: str = ""
    unit_name: str = ""
    unit_value: str = ""

    @property
    def is_number(self) -> bool:
        """Whether the value can stand in a number input; browsers show anything else there as empty."""
        return _NUMBER.fullmatch(self.value) is not None

    @property
    def described_by(self) -> str:
        """The ids of the texts that belong to the control."""
        return " ".join(f"{self.id}-{part}" for part in ("hint", "error") if getattr(self, part))


def controls_of(profile: Profile, given: Mapping[Any, Any], wrong: Mapping[str, str]) -> tuple[Control, ...]:
    """Return the controls of ``profile`` with the values in ``given``; ``wrong`` are the errors by field."""
    typed = {field: _typed(given[field]) for field in wrong if field in given}
    asked = _Asked(profile, usable(profile, given), typed, wrong)
    controls = (_image(asked), _cpu(asked), _memory(asked), _gpu(asked), _walltime(asked))
    return tuple(control for control in controls if control)


def usable(profile: Profile, chosen: Mapping[Any, Any]) -> ServerOptions:
    """Return the options of ``chosen``, with the profile's default wherever a value cannot be used."""
    # Who may use the profile is decided before a form is shown.
    profile = profile.model_copy(update={"access": Access()})
    given = {field: chosen[field] for field in FIELDS if field in chosen and field != "profile"}
    try:
        return ServerOptions.parse(given, profile)
    except OptionsError as refused:
        wrong = {error.field for error in refused.errors}
        return ServerOptions.parse({field: given[field] for field in given if field not in wrong}, profile)


class _Asked(NamedTuple):
    """One profile with the options to show; ``typed`` and ``wrong`` have an entry for each field with an error."""

    profile: Profile
    options: ServerOptions
    typed: Mapping[str, str]
    wrong: Mapping[str, str]

    def control(self, kind: str, field: str, value: str, **rest: Any) -> Control:
        error = self.wrong.get(field, "")
        return Control(
            # What is wrong can be mended, also where there is but one right value.
            kind="number" if kind == "fixed" and error and field in ("cpu", "memory", "gpu") else kind,
            field=field,
            id=f"rs-{self.profile.name}-{field}",
            name=control_name(self.profile.name, field),
            label=LABELS[field],
            value=self.typed.get(field, value),
            error=error,
            **rest,
        )


def _image(asked: _Asked) -> Control:
    name = asked.options.image
    choices = tuple(Choice(i.name, i.title, i.name == name) for i in asked.profile.images)
    # An image that does not exist cannot be shown as chosen: no text that somebody typed stands in its place.
    return asked.control(
        "choice" if len(choices) > 1 else "fixed",
        "image",
        name,
        hint="" if len(choices) > 1 else choices[0].title,
        choices=choices,
    )._replace(value=name)


def _cpu(asked: _Asked) -> Control:
    bounds = asked.profile.cpu
    is_whole = asked.profile.is_batch
    return asked.control(
        _kind(bounds, "number"),
        "cpu",
        _exactly(asked.options.cpu),
        min=_exactly(bounds.min),
        max=_exactly(bounds.max),
        step="1" if is_whole else "any",
        slider_step="1" if is_whole or bounds.min >= 1 else "0.5",
        unit="cores",
        hint=_range(bounds, format_number(bounds.min), count(bounds.max, "core")),
    )


def _memory(asked: _Asked) -> Control:
    bounds, mib = asked.profile.memory, asked.options.memory_mib
    is_gib = all(amount % 1024 == 0 for amount in (bounds.min, bounds.max, mib))
    unit, factor, slider_step = ("Gi", 1024, "1") if is_gib else ("Mi", 1, "256")
    control = asked.control(
        _kind(bounds, "number"),
        "memory",
        str(mib // factor),
        min=str(bounds.min // factor),
        max=str(bounds.max // factor),
        step="1",
        slider_step=slider_step,
        unit=f"{unit}B",
        unit_name=control_name(asked.profile.name, MEMORY_UNIT_FIELD),
        unit_value=unit,
        hint=_range(bounds, format_memory(bounds.min), format_memory(bounds.max)),
    )
    return control._replace(value=control.value.removesuffix(unit))


def _gpu(asked: _Asked) -> Control | None:
    bounds = asked.profile.gpu
    if bounds is None:
        return None
    return asked.control(
        _kind(bounds, "number"),
        "gpu",
        str(asked.options.gpu),
        min=str(bounds.min),
        max=str(bounds.max),
        step="1",
        slider_step="1",
        unit="GPUs",
        hint=_range(bounds, str(bounds.min), devices(bounds.max, bounds.type)),
    )


def _walltime(asked: _Asked) -> Control | None:
    bounds, minutes = asked.profile.walltime, asked.options.walltime_minutes
    if bounds is None or minutes is None:
        return None
    usual = {preset for preset in _PRESET_MINUTES if bounds.min <= preset <= bounds.max}
    presets = sorted(usual | {bounds.default, bounds.max})
    return asked.control(
        _kind(bounds, "duration") if "walltime" not in asked.wrong else "duration",
        "walltime",
        walltime_text(minutes),
        min=str(bounds.min),
        max=str(bounds.max),
        hint=_range(bounds, format_walltime(bounds.min), format_walltime(bounds.max)),
        choices=tuple(Choice(walltime_text(n), format_walltime(n), n == minutes) for n in presets),
    )


def _kind(bounds: Any, kind: str) -> str:
    return "fixed" if bounds.min == bounds.max else kind


def _range(bounds: Any, low: str, high: str) -> str:
    return high if bounds.min == bounds.max else f"{low} to {high}"


def _exactly(number: float) -> str:
    """Return ``number`` in full: what is rounded here would come back as another choice, or out of bounds."""
    return f"{Decimal(format_number(number)) if number == int(number) else Decimal(repr(number)):f}"


def _typed(value: Any) -> str:
    """Return ``value`` as the user may have typed it, or an empty text where nobody could have."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    text = "".join(c for c in str(value)[:MAX_TYPED_CHARACTERS] if c.isprintable())
    return text.strip()
