"""What a user chose for one server: any JSON in, typed options or one clear error per field out."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from .profile_fields import Bounds
from .profiles import Profile, ProfileSet
from .quantities import (
    MAX_MEMORY_MIB,
    MAX_WALLTIME_MINUTES,
    format_memory,
    format_number,
    format_walltime,
    parse_memory_mib,
    parse_walltime_minutes,
)
from .text import did_you_mean, shown

FIELDS = ("profile", "image", "cpu", "memory", "gpu", "walltime")

# Of a million unknown ones, finding what each could mean would keep the hub busy for minutes.
MAX_UNKNOWN_TOLD = 20

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


class FieldError(NamedTuple):
    """What is wrong with one field: its name, the value as a person can read it, and what is allowed."""

    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value}: {self.reason}"


class OptionsError(ValueError):
    """The options cannot be used. ``status`` is the HTTP status: 400, or 403 where the user may not."""

    def __init__(self, errors: Iterable[FieldError], status: int = 400):
        self.errors = tuple(errors)
        self.status = status
        super().__init__("\n".join(map(str, self.errors)))


class ServerOptions(BaseModel):
    """What a user chose for one server, complete and within the bounds of its profile.

    ``cpu`` is in cores, ``memory_mib`` in MiB, ``gpu`` a number of devices, ``walltime_minutes`` None where the profile
    has no limit; ``image`` is the name of one of the profile's images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    image: str
    cpu: float
    memory_mib: int
    gpu: int
    walltime_minutes: int | None

    @classmethod
    def parse(
        cls, untrusted: Any, profile: Profile, groups: Iterable[str] = (), *, user: str | None = None
    ) -> "ServerOptions":
        """Return the options of ``untrusted`` for ``profile``; what is left out gets the profile's default.

        Arguments: ``untrusted`` is any JSON value. Amounts may be numbers (memory in GiB, walltime in minutes) or
        texts with a unit (``4Gi``, ``90m``, ``02:00:00``). ``groups`` are the user's.
        Raises OptionsError with one error per wrong field.
        """
        if not profile.access.allows(user, frozenset(groups)):
            raise OptionsError(
                [FieldError("profile", shown(profile.name), "is not one of your profiles")], status=403
            )
        if untrusted is None:
            untrusted = {}
        if not isinstance(untrusted, Mapping):
            raise OptionsError(
                [FieldError("options", shown(untrusted), f"must be a mapping of {', '.join(FIELDS)}")]
            )
        errors = list(_unknown_options(untrusted))
        values: dict[str, Any] = {}
        for field, name, read in _READERS:
            given = untrusted.get(field)
            try:
                values[name] = read(given, profile)
            except ValueError as error:
                errors.append(FieldError(field, shown(given), str(error)))
        if errors:
            raise OptionsError(errors)
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return the options as `parse` reads them again, for the hub's database and for links."""
        values: dict[str, Any] = {"profile": self.profile, "image": self.image, "cpu": self.cpu}
        values["memory"] = f"{self.memory_mib}Mi"
        values["gpu"] = self.gpu
        if self.walltime_minutes is not None:
            values["walltime"] = f"{self.walltime_minutes}m"
        return values


def choose_profile(
    untrusted: Any, profiles: ProfileSet, groups: Iterable[str] = (), *, user: str | None = None
) -> Profile:
    """Return the profile that ``untrusted`` names, or the user's first one when it names none.

    Raises OptionsError: 403 when the user may use no profile or not this one, 400 when there is no such profile.
    """
    allowed = profiles.allowed(user, frozenset(groups))
    if not allowed:
        raise OptionsError(
            [FieldError("profile", "none", "no profile is open to you; ask the hub's admins")], status=403
        )
    name = untrusted.get("profile") if isinstance(untrusted, Mapping) else None
    if name is None:
        return allowed[0]
    chosen = profiles.get(name) if isinstance(name, str) else None
    if chosen in allowed:
        return chosen
    yours = f"; yours are {', '.join(profile.name for profile in allowed)}"
    if chosen is None:
        raise OptionsError([FieldError("profile", shown(name), f"is not a profile of this hub{yours}")])
    raise OptionsError(
        [FieldError("profile", shown(name), f"is not one of your profiles{yours}")], status=403
    )


def parse_options(
    untrusted: Any, profiles: ProfileSet, groups: Iterable[str] = (), *, user: str | None = None
) -> tuple[Profile, ServerOptions]:
    """Return the profile that ``untrusted`` names and the options for it. Raises OptionsError."""
    groups = frozenset(groups)
    if untrusted is not None and not isinstance(untrusted, Mapping):
        raise OptionsError(
            [FieldError("options", shown(untrusted), f"must be a mapping of {', '.join(FIELDS)}")]
        )
    profile = choose_profile(untrusted, profiles, groups, user=user)
    return profile, ServerOptions.parse(untrusted, profile, groups, user=user)


def _unknown_options(untrusted: Mapping[Any, Any]) -> Iterator[FieldError]:
    known = f"known are {', '.join(FIELDS)}"
    unknown = [key for key in untrusted if key not in FIELDS]
    for key in unknown[:MAX_UNKNOWN_TOLD]:
        yield FieldError(
            key if isinstance(key, str) and _is_plain(key) else shown(key),
            shown(untrusted[key]),
            f"is not an option; {known}{did_you_mean(key, list(FIELDS))}",
        )
    if (more := len(unknown) - MAX_UNKNOWN_TOLD) > 0:
        yield FieldError("options", f"{more} more", f"are no options either; {known}")


def _is_plain(key: str) -> bool:
    return 0 < len(key) <= 40 and key.isascii() and key.isprintable()


def _number(given: Any, allowed: str) -> float:
    """Return a finite number of any JSON spelling. Raises ValueError that says what is ``allowed``."""
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        return float(given)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ValueError(f"must be a number, {allowed}")
    if isinstance(given, int) and given.bit_length() > 64:
        raise ValueError(f"must be {allowed}")
    if not math.isfinite(given):
        raise ValueError(f"must be a finite number, {allowed}")
    return float(given)


def _within(value: float, bounds: Bounds, allowed: str) -> None:
    if not bounds.min <= value <= bounds.max:  # type: ignore[attr-defined]
        raise ValueError(f"must be {allowed}")


def _profile(given: Any, profile: Profile) -> str:
    if given is not None and given != profile.name:
        raise ValueError(f"must be {profile.name}")
    return profile.name


def _image(given: Any, profile: Profile) -> str:
    names = [image.name for image in profile.images]
    if given is None:
        return profile.default_image.name
    if not isinstance(given, str) or given not in names:
        raise ValueError(f"must be {'one of ' if len(names) > 1 else ''}{', '.join(names)}")
    return given


def _cpu(given: Any, profile: Profile) -> float:
    if given is None:
        return profile.cpu.default
    allowed = f"{format_number(profile.cpu.min)} to {format_number(profile.cpu.max)} cores"
    cores = _number(given, allowed)
    _within(cores, profile.cpu, allowed)
    if profile.is_batch and cores != int(cores):
        raise ValueError(f"must be a whole number, {allowed}")
    # Kubernetes counts in thousandths of a core.
    if round(cores, 3) != cores:
        raise ValueError(f"must have at most three decimals, {allowed}")
    return cores


def _memory(given: Any, profile: Profile) -> int:
    if given is None:
        return profile.memory.default
    allowed = f"{format_memory(profile.memory.min)} to {format_memory(profile.memory.max)}"
    mib = _amount(given, allowed, parse_memory_mib, 1024, MAX_MEMORY_MIB)
    _within(mib, profile.memory, allowed)
    return mib


def _gpu(given: Any, profile: Profile) -> int:
    if profile.gpu is None:
        if given is None or (not isinstance(given, bool) and given in (0, "0")):
            return 0
        raise ValueError("must be 0: this profile has no GPUs")
    if given is None:
        return profile.gpu.default
    allowed = f"{profile.gpu.min} to {profile.gpu.max}"
    count = _number(given, allowed)
    if count != int(count):
        raise ValueError(f"must be a whole number, {allowed}")
    _within(count, profile.gpu, allowed)
    return int(count)


def _walltime(given: Any, profile: Profile) -> int | None:
    if profile.walltime is None:
        if given is None:
            return None
        raise ValueError("must be left out: this profile has no time limit")
    if given is None:
        return profile.walltime.default
    allowed = f"{format_walltime(profile.walltime.min)} to {format_walltime(profile.walltime.max)}"
    minutes = _amount(given, allowed, parse_walltime_minutes, 1, MAX_WALLTIME_MINUTES)
    _within(minutes, profile.walltime, allowed)
    return minutes


def _amount(given: Any, allowed: str, parse: Callable[[str], int], factor: int, largest: int) -> int:
    """Return an amount from a bare number (times ``factor``, rounded up) or from a text with a unit."""
    if isinstance(given, str) and not _NUMBER.fullmatch(given.strip()):
        try:
            return parse(given[:100])
        except ValueError as error:
            raise ValueError(f"{error}; {allowed}") from None
    # Neither end becomes infinite, whatever number was given.
    return math.ceil(max(-1, min(_number(given, allowed) * factor, largest + 1)))


_READERS: tuple[tuple[str, str, Callable[[Any, Profile], Any]], ...] = (
    ("profile", "profile", _profile),
    ("image", "image", _image),
    ("cpu", "cpu", _cpu),
    ("memory", "memory_mib", _memory),
    ("gpu", "gpu", _gpu),
    ("walltime", "walltime_minutes", _walltime),
)
