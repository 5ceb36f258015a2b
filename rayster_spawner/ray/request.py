"""What a user asked of one cluster: any JSON in, a typed request or one clear error per field out."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..options import FieldError, OptionsError, ServerOptions
from ..profiles import Profile
from ..text import did_you_mean, shown

FIELDS = ("profile", "workers", "cpus", "memory", "gpus", "walltime", "image", "name", "server")
MAX_TITLE_CHARACTERS = 60
MAX_SERVER_CHARACTERS = 255

# Of a server's options, by the name that a cluster's request gives them: there may be many of each.
_OF_A_WORKER = {"cpus": "cpu", "memory": "memory", "gpus": "gpu", "walltime": "walltime", "image": "image"}


class ClusterRequest(BaseModel):
    """One cluster as it was asked for, complete and within the bounds of its profile.

    ``workers`` is how many there shall be. ``cpus`` (cores), ``memory_mib``, ``gpus`` and ``walltime_minutes`` (None:
    the profile has no limit) are what each of them gets; ``image`` is the name of one of the profile's images.
    ``title`` is what the user calls it, ``server`` the name of the server that it belongs to (empty: the default one).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    profile: str
    image: str
    workers: int = Field(ge=0)
    cpus: float
    memory_mib: int
    gpus: int
    walltime_minutes: int | None = None
    title: str | None = None
    server: str = ""

    @classmethod
    def parse(
        cls, untrusted: Any, profile: Profile, groups: Iterable[str] = (), *, user: str | None = None
    ) -> "ClusterRequest":
        """Return the request in ``untrusted`` for ``profile``; what is left out gets the profile's default.

        Arguments: ``untrusted`` is any JSON value; amounts are read as `ServerOptions` reads them. ``groups`` are those
        of the user.
        Raises OptionsError with one error per wrong field: 403 when the user may not use the profile.
        """
        if not isinstance(untrusted, Mapping):
            raise OptionsError([FieldError("request", shown(untrusted), f"must be a JSON object of {_AND}")])
        if profile.ray is None:
            raise OptionsError([FieldError("profile", shown(profile.name), "has no Ray workers")])
        errors = [
            FieldError(shown(key), shown(untrusted[key]), f"is not a field; known are {_AND}{_meant(key)}")
            for key in untrusted
            if key not in FIELDS
        ]
        values: dict[str, Any] = {}
        for field, read in (("workers", read_workers), ("name", _title), ("server", _server)):
            try:
                values[field] = read(untrusted.get(field), profile)
            except ValueError as error:
                errors.append(FieldError(field, shown(untrusted.get(field)), str(error)))
        options = None
        try:
            options = ServerOptions.parse(_worker_options(untrusted), profile, groups, user=user)
        except OptionsError as error:
            if error.status != 400:
                raise
            errors += [FieldError(_ASKED_AS.get(e.field, e.field), e.value, e.reason) for e in error.errors]
        if errors or options is None:
            raise OptionsError(errors)
        return cls(
            profile=profile.name,
            image=options.image,
            workers=values["workers"],
            cpus=options.cpu,
            memory_mib=options.memory_mib,
            gpus=options.gpu,
            walltime_minutes=options.walltime_minutes,
            title=values["name"],
            server=values["server"],
        )

    @classmethod
    def from_json(cls, text: str) -> "ClusterRequest":
        """Read what `as_json` wrote. Raises ValueError when it is anything else."""
        return cls.model_validate_json(text)

    def as_json(self) -> str:
        """Return the request for the annotation of its cluster."""
        return json.dumps(self.model_dump(exclude_none=True), separators=(",", ":"))

    def worker_options(self) -> ServerOptions:
        """Return what one worker gets, as `offload` takes it."""
        return ServerOptions(
            profile=self.profile,
            image=self.image,
            cpu=self.cpus,
            memory_mib=self.memory_mib,
            gpu=self.gpus,
            walltime_minutes=self.walltime_minutes,
        )


def read_workers(given: Any, profile: Profile) -> int:
    """Return a number of workers within the bounds of ``profile``, its default for None. Raises ValueError."""
    assert profile.ray is not None
    bounds = profile.ray.workers
    if given is None:
        return bounds.default
    allowed = f"{bounds.min} to {bounds.max}" if bounds.min != bounds.max else f"{bounds.min}"
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given != given // 1:
        raise ValueError(f"must be a whole number, {allowed}")
    if not bounds.min <= given <= bounds.max:
        raise ValueError(f"must be {allowed}")
    return int(given)


def read_title(given: Any) -> str | None:
    """Return what a user calls a cluster, None for nothing. Raises ValueError."""
    allowed = f"text on one line of at most {MAX_TITLE_CHARACTERS} characters"
    if given is None:
        return None
    if not isinstance(given, str):
        raise ValueError(f"must be {allowed}")
    text = given.strip() if len(given) <= 4 * MAX_TITLE_CHARACTERS else given
    # Not printable: line ends, escapes, marks that turn the reading direction, halves of characters.
    if len(text) > MAX_TITLE_CHARACTERS or not text.isprintable():
        raise ValueError(f"must be {allowed}")
    return text or None


def _title(given: Any, profile: Profile) -> str | None:
    return read_title(given)


def _server(given: Any, profile: Profile) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > MAX_SERVER_CHARACTERS or not given.isprintable():
        raise ValueError("must be the name of one of your servers, or empty for the default one")
    return given


def _worker_options(untrusted: Mapping[str, Any]) -> dict[str, Any]:
    return {option: untrusted[field] for field, option in _OF_A_WORKER.items() if field in untrusted}


def _meant(key: Any) -> str:
    return did_you_mean(key, list(FIELDS))


_ASKED_AS = {option: field for field, option in _OF_A_WORKER.items()}
_AND = ", ".join(FIELDS)
