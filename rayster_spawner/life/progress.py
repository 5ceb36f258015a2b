"""What the pending page is told: a state, why, how long so far; and the cluster's own words on this pod. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from .belief import Belief
from .pod_status import Pod, State
from .site_message import site_words

_PERCENT = {State.SUBMITTED: 10, State.QUEUED: 30, State.STARTING: 60, State.RUNNING: 90}
# A line again after so many seconds, by how long the spawn has lasted: nobody reads a line a second for hours.
_REPEAT_SECONDS = ((60, 5), (600, 15), (float("inf"), 60))


# What is less than the site looks at its queue once.
_SOON_SECONDS = 30


class Report(NamedTuple):
    """One event of the hub's progress stream, and of the service's. Texts are plain: the page escapes them.

    ``raw_reason`` is the batch system's own word, ``position`` the place in the queue (1: next), ``heard_seconds_ago``
    how old the site's news is (None: it was not heard), ``note`` a sentence where the cluster and the site differ.
    """

    state: State
    reason: str
    job_id: str | None
    elapsed_seconds: int
    site: str
    raw_reason: str = ""
    partition: str = ""
    position: int | None = None
    expected_start_in_seconds: int | None = None
    heard_seconds_ago: int | None = None
    note: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What is worth a new line at once when it changes."""
        return self.state, self.reason, self.raw_reason, self.job_id, self.position, self.note

    def as_event(self) -> dict[str, Any]:
        """Return the report as the streams send it to the page."""
        return {
            "progress": _PERCENT.get(self.state, 90),
            "message": self.sentence(),
            **self._asdict(),
            "state": self.state.value,
        }

    def sentence(self) -> str:
        """Return the report as one line for people."""
        where = f" at {self.site}" if self.site else ""
        job = f" as job {self.job_id}" if self.job_id else ""
        said = {
            State.SUBMITTED: f"Submitted{where}",
            State.QUEUED: f"Queued{where}{job}{self._place()}",
            State.STARTING: f"Starting{where}{job}",
            State.RUNNING: f"Running{where}{job}, waiting for JupyterLab to answer",
        }.get(self.state, f"Checking on the server{where}{job}")
        why = f": {self.reason}" if self.reason else ""
        return f"{said}, {duration(self.elapsed_seconds)} so far{why}"

    def _place(self) -> str:
        place = f", {ordinal(self.position)} in line" if self.position else ""
        if self.expected_start_in_seconds is None:
            return place
        soon = self.expected_start_in_seconds < _SOON_SECONDS
        when = "any moment" if soon else f"in about {duration(self.expected_start_in_seconds)}"
        return f"{place}, expected to start {when}"


def make_report(belief: Belief, elapsed_seconds: float, site: str) -> Report:
    """Return what to tell of a spawn. ``site`` is empty for cloud nodes."""
    return Report(
        belief.view.state,
        belief.view.reason,
        belief.view.job_id,
        max(0, int(elapsed_seconds)),
        site,
        belief.raw_reason,
        belief.partition,
        belief.position,
        belief.expected_start_in_seconds,
        belief.heard_seconds_ago,
        belief.note,
    )


def ordinal(number: int) -> str:
    """Return ``number`` as people count: ``1st``, ``12th``, ``23rd``."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"


def repeat_seconds(elapsed_seconds: float) -> float:
    """Return after how many seconds an unchanged state is worth a line again."""
    return next(repeat for until, repeat in _REPEAT_SECONDS if elapsed_seconds < until)


def duration(seconds: int) -> str:
    """Return ``seconds`` as people say it: ``40 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def new_events(events: Iterable[Pod], pod: Pod | None, seen: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return the cluster's events of this very pod that are not in ``seen``, oldest first, and add them to it.

    By uid: an earlier pod of the server had the same name. Not by position: events expire after an hour, and then
    the list is shorter than it was.
    """
    if pod is None:
        return []
    uid = pod["metadata"]["uid"]
    mine = [event for event in events if (event.get("involvedObject") or {}).get("uid") == uid]
    fresh = []
    for event in sorted(mine, key=_event_time):
        key = (event["metadata"]["uid"], event.get("count") or 0)
        if key not in seen:
            seen.add(key)
            fresh.append({"message": _event_words(event)})
    return fresh


def _event_time(event: Pod) -> str:
    return (
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def _event_words(event: Pod) -> str:
    kind = event.get("type") or "Normal"
    return f"{_event_time(event)} [{kind}] {site_words(event.get('message') or event.get('reason') or '')}"
