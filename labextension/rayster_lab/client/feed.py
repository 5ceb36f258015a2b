"""One stream per kernel of what becomes of its user's clusters, in a thread of its own, for all who want to know."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .errors import ClusterError
from .events import read_events
from .service import Service
from .status import ClusterStatus

# The service says something at least every 15 s.
_SILENCE_SECONDS = 45.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What is known. ``clusters`` is None until something was heard; ``heard_at`` and ``lost_since`` are epoch seconds.

    ``fault`` says why nothing is heard since ``lost_since``.
    """

    clusters: tuple[ClusterStatus, ...] | None = None
    heard_at: float | None = None
    lost_since: float | None = None
    fault: str = ""

    def cluster(self, cluster_id: str) -> ClusterStatus | None:
        """Return a cluster, None when there is none."""
        return next((one for one in self.clusters or () if one.id == cluster_id), None)


Listener = Callable[[Snapshot], None]


class Feed:
    """Follows the clusters while somebody listens; comes back by itself when the stream breaks off."""

    def __init__(self, service: Service, first_pause_seconds: float = _FIRST_PAUSE_SECONDS) -> None:
        self._service = service
        self._first_pause_seconds = first_pause_seconds
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self.snapshot = Snapshot()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with what is known, then, in the feed's thread, with every change; return what ends that.

        A listener must be quick and must not raise.
        """
        with self._lock:
            self._listeners.append(listener)
            if self._thread is None:
                self.snapshot = Snapshot()
                self._thread = threading.Thread(target=self._run, name="rayster-feed", daemon=True)
                self._thread.start()
            known = self.snapshot
        self._hurry.set()
        if known.clusters is not None:
            listener(known)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def _is_wanted(self) -> bool:
        """Tell whether to go on; else the thread is over, in one step with the look."""
        with self._lock:
            if not self._listeners:
                self._thread = None
            return self._thread is not None

    def _run(self) -> None:
        pause = self._first_pause_seconds
        while self._is_wanted():
            fault = self._follow()
            if fault is None:
                return
            if self.snapshot.lost_since is None:
                pause = self._first_pause_seconds
            self._tell(
                Snapshot(
                    self.snapshot.clusters,
                    self.snapshot.heard_at,
                    self.snapshot.lost_since or time.time(),
                    fault,
                )
            )
            self._hurry.clear()
            self._hurry.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _follow(self) -> str | None:
        """Follow the stream until it ends; return why, None when nobody listens any more."""
        try:
            with self._service.open("clusters/events", silence_seconds=_SILENCE_SECONDS) as answer:
                for name, event in read_events(answer.iter_lines()):
                    if name == "clusters" and event is not None:
                        self._hear(event.get("clusters"))
                    if not self._is_wanted():
                        return None
        except ClusterError as error:
            return str(error)
        except httpx.HTTPError as error:
            return f"RaySTER's service has gone silent ({error or type(error).__name__}). Clusters that run go on."
        return "RaySTER's service has ended the stream: it is being started anew. Clusters that run go on."

    def _hear(self, told: object) -> None:
        try:
            clusters = tuple(ClusterStatus.from_json(one) for one in told)  # type: ignore[attr-defined]
        except (AttributeError, KeyError, TypeError, ValueError):
            _log.warning("The service tells of clusters in a way that this version does not understand.")
            return
        self._tell(Snapshot(clusters, time.time()))

    def _tell(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(snapshot)
            except Exception:
                # One that fails must not keep the news from the others.
                _log.exception("A listener of the clusters' feed failed.")
