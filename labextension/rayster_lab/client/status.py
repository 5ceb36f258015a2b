"""What the service tells of a cluster, as plain objects. What this version does not know is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..words import span

_Told = TypeVar("_Told", bound="_FromJson")


class _FromJson:
    @classmethod
    def from_json(cls: type[_Told], told: Mapping[str, Any]) -> _Told:
        """Return what the service told."""
        names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in told.items() if name in names})


@dataclass(frozen=True)
class Node(_FromJson):
    """The head or a worker: ``state`` is a word, ``reason`` a sentence, ``raw_reason`` the batch system's own word."""

    pod: str
    state: str
    uid: str = ""
    reason: str = ""
    raw_reason: str = ""
    job_id: str | None = None
    position: int | None = None
    expected_start_in_seconds: int | None = None
    address: str | None = None
    time_left_seconds: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    since_seconds: int | None = None
    note: str = ""

    def __str__(self) -> str:
        return " · ".join(part for part in self._parts() if part)

    def _parts(self) -> list[str]:
        raw = f" ({self.raw_reason})" if self.raw_reason else ""
        start = self.expected_start_in_seconds
        return [
            self.state,
            f"job {self.job_id}" if self.job_id else "",
            f"place {self.position}" if self.position else "",
            f"expected to start in {span(start)}" if start is not None else "",
            f"{self.reason.rstrip('.')}{raw}" if self.reason or raw else "",
            self.note.rstrip("."),
        ]


@dataclass(frozen=True)
class Problem(_FromJson):
    """Something to know: a code, a sentence, and what to do."""

    message: str
    code: str = ""
    do: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.do}".strip()


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster at one moment. ``told`` is all that the service said, as JSON."""

    id: str
    name: str
    profile: str
    site: str
    state: str
    message: str
    wanted_workers: int
    joined: int
    head: Node | None
    workers: tuple[Node, ...]
    ended: tuple[Node, ...]
    problems: tuple[Problem, ...]
    time_left_seconds: int | None
    elapsed_seconds: int
    dashboard_url: str
    told: dict[str, Any]

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "ClusterStatus":
        """Return what the service told of a cluster."""
        head = told.get("head")
        return cls(
            id=told["id"],
            name=told.get("name") or told["id"],
            profile=told.get("profile", ""),
            site=told.get("site", ""),
            state=told.get("state", "unknown"),
            message=told.get("message", ""),
            wanted_workers=int((told.get("wanted") or {}).get("workers") or 0),
            joined=int(told.get("joined") or 0),
            head=Node.from_json(head) if head else None,
            workers=tuple(Node.from_json(row) for row in told.get("workers") or ()),
            ended=tuple(Node.from_json(row) for row in told.get("ended") or ()),
            problems=tuple(Problem.from_json(one) for one in told.get("problems") or ()),
            time_left_seconds=told.get("time_left_seconds"),
            elapsed_seconds=int(told.get("elapsed_seconds") or 0),
            dashboard_url=told.get("dashboard_url", ""),
            told=told,
        )

    @property
    def is_head_up(self) -> bool:
        """Whether a notebook can attach."""
        return self.head is not None and self.head.state == "joined"

    def __str__(self) -> str:
        title = f"{self.name} ({self.id})" if self.name != self.id else self.id
        lines = [f"Ray cluster {title}: {self.state}. {self.message}"]
        lines += [f"  ! {problem}" for problem in self.problems]
        if self.head is not None:
            lines.append(f"  head      {self.head}")
        lines += [f"  worker {number:<2} {row}" for number, row in enumerate(self.workers, 1)]
        return "\n".join(lines)

    __repr__ = __str__
