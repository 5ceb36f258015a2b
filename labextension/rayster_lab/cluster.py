"""`RayCluster`: a Ray cluster on a site's nodes, from the notebook."""

import os
import queue
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .attaching import driver
from .client.errors import ClusterError, ClusterFailed, NoSuchCluster, ServiceAway
from .client.feed import Snapshot
from .client.logs import follow_log, read_log
from .client.session import Session, session
from .client.status import ClusterStatus
from .progress import in_notebook, lines_of, progress
from .waiting import Goal, gone, look, too_long

_TICK_SECONDS = 1.0


class RayCluster:
    """A Ray cluster: a head, and workers that are jobs of a site's batch system.

    It lives until `close`, or until this server stops; not until the kernel ends: `RayCluster.list()` shows what there
    is, `RayCluster.connect(id)` takes it up again.

    Arguments, of which each left out gets the profile's default: ``profile`` is where workers run (left out: the only
    one there is), ``workers`` how many there shall be. What each of them gets: ``cpus`` (cores), ``memory`` (``"4Gi"``,
    or a number of GiB), ``gpus``, ``walltime`` (``"2h"``, ``"90m"``, or a number of minutes), ``image`` (a name of the
    profile's images). ``name`` is what you call it. Raises ClusterError.
    """

    def __init__(
        self,
        profile: str | None = None,
        workers: int | None = None,
        *,
        cpus: float | None = None,
        memory: str | float | None = None,
        gpus: int | None = None,
        walltime: str | float | None = None,
        image: str | None = None,
        name: str | None = None,
    ) -> None:
        self._session = session()
        asked = {
            "profile": profile if profile is not None else _only_profile(self._session),
            "workers": workers,
            "cpus": cpus,
            "memory": memory,
            "gpus": gpus,
            "walltime": walltime,
            "image": image,
            "name": name,
            "server": self._session.access.server,
        }
        made = self._session.service.post(
            "clusters", {field: value for field, value in asked.items() if value is not None}
        )
        self.id: str = made["id"]

    @classmethod
    def connect(cls, cluster_id: str) -> "RayCluster":
        """Return a cluster that exists, made in code or in a panel. Raises ClusterError."""
        found = cls._of(session(), cluster_id)
        found.status  # noqa: B018
        return found

    @classmethod
    def list(cls) -> "list[RayCluster]":
        """Return all your clusters, the oldest first. Raises ClusterError."""
        here = session()
        return [cls._of(here, told["id"]) for told in here.service.get("clusters")["clusters"]]

    @classmethod
    def _of(cls, here: Session, cluster_id: str) -> "RayCluster":
        found = cls.__new__(cls)
        found._session, found.id = here, str(cluster_id)
        return found

    @property
    def status(self) -> ClusterStatus:
        """What the cluster is now. Raises ClusterError."""
        return ClusterStatus.from_json(self._session.service.get(self._path()))

    @property
    def dashboard_url(self) -> str:
        """Where a browser finds Ray's dashboard: a path of the hub, or the whole address where the hub says its own."""
        path = self.status.dashboard_url
        public = urlsplit(os.environ.get("JUPYTERHUB_PUBLIC_HUB_URL", ""))
        return f"{public.scheme}://{public.netloc}{path}" if public.netloc and path.startswith("/") else path

    def wait(self, workers: int | None = None, timeout: float | None = None) -> None:
        """Wait until ``workers`` have joined (None: all), at most ``timeout`` seconds, and show how it goes.

        Interrupting it ends the wait, not the cluster. Raises ClusterError: WaitedLong after ``timeout``, ClusterFailed
        when waiting is in vain, ClusterGone when the cluster is stopped meanwhile.
        """
        self._wait(Goal(workers), timeout)

    def attach(self, share_cpus: int = 0, timeout: float | None = None) -> None:
        """Make this notebook the cluster's driver, as `ray.init()` would: tasks and actors run on the workers.

        Waits for the head first, at most ``timeout`` seconds; Ray starts tasks when workers join. ``share_cpus`` of
        this notebook's server take part. What this kernel was attached to before is detached. Raises ClusterError.
        """
        if not self.status.is_head_up:
            driver.prepare(share_cpus)
            self._wait(Goal(head_alone=True), timeout)
        driver.attach(self._session.service, self.id, share_cpus)

    def detach(self) -> None:
        """End this notebook's part in the cluster, which goes on. Nothing happens when it is not attached."""
        driver.detach(self.id)

    @property
    def is_attached(self) -> bool:
        """Whether this notebook is the cluster's driver."""
        now = driver.attached
        return now is not None and now.cluster == self.id and not now.lost

    def scale(self, workers: int) -> None:
        """Ask for ``workers`` in all; of too many, idle ones go first. Raises ClusterError."""
        self._session.service.patch(self._path(), {"workers": workers})

    def restart(self) -> None:
        """End its jobs and begin anew with a new head, after a failure or a stop. Raises ClusterError."""
        self._session.service.post(f"{self._path()}/restart")

    def logs(self, pod: str | None = None, follow: bool = False, tail: int = 1000) -> "str | Iterator[str]":
        """Return what the head (or the ``pod`` of a worker, as `status` names it) has printed, its last ``tail`` lines.

        With ``follow`` an iterator of lines, those to come too. Raises ClusterError.
        """
        if follow:
            return follow_log(self._session.service, self.id, pod, tail)
        return read_log(self._session.service, self.id, pod, tail)

    def close(self) -> None:
        """Stop the cluster: its jobs end. Nothing happens when it is stopped already. Raises ClusterError."""
        self.detach()
        try:
            self._session.service.delete(self._path())
        except NoSuchCluster:
            return

    def checked(self, snapshot: Snapshot) -> Snapshot:
        """Return ``snapshot`` with this cluster in it, if it exists: news may be older than the cluster.

        Raises ClusterGone.
        """
        if snapshot.clusters is None or snapshot.lost_since is not None or snapshot.cluster(self.id):
            return snapshot
        try:
            return replace(snapshot, clusters=(*snapshot.clusters, self.status))
        except NoSuchCluster:
            raise gone(self.id) from None
        except ServiceAway:
            return replace(snapshot, clusters=None)

    def outcome(self, snapshot: Snapshot, goal: Goal) -> ClusterStatus | None:
        """Return the cluster once ``goal`` is reached, None while it is worth waiting. Raises ClusterError when not.

        News may be older than what was just asked for, so what ends the wait is asked for once more.
        """
        try:
            if look(snapshot, self.id, goal) is None:
                return None
        except ClusterFailed:
            pass
        try:
            return look(Snapshot((self.status,)), self.id, goal)
        except NoSuchCluster:
            raise gone(self.id) from None
        except ServiceAway:
            return None

    def _path(self) -> str:
        return f"clusters/{self.id}"

    def _wait(self, goal: Goal, timeout: float | None) -> ClusterStatus:
        heard: queue.Queue[Snapshot] = queue.Queue()
        started = time.monotonic()
        stop = self._session.feed.listen(heard.put)
        snapshot = Snapshot()
        try:
            with progress() as shown:
                while True:
                    left = None if timeout is None else started + timeout - time.monotonic()
                    newest = _newest(
                        heard, snapshot, _TICK_SECONDS if left is None else min(_TICK_SECONDS, left)
                    )
                    if newest is not snapshot:
                        snapshot = self.checked(newest)
                    shown.show(lines_of(snapshot, self.id))
                    if (reached := self.outcome(snapshot, goal)) is not None:
                        return reached
                    if left is not None and left <= 0:
                        assert timeout is not None
                        raise too_long(snapshot, self.id, goal, timeout)
        finally:
            stop()

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except ClusterError as trouble:
            if error is None:
                raise
            # What went wrong inside matters more.
            print(f"RaySTER: cluster {self.id} could not be stopped: {trouble}", file=sys.stderr)

    def __repr__(self) -> str:
        return f'RayCluster.connect("{self.id}")'

    def _ipython_display_(self) -> None:
        if not in_notebook():
            print(repr(self))
            return
        from IPython.display import display

        from .widget.panel import panel

        display(panel(self.id))


def _newest(heard: "queue.Queue[Snapshot]", last: Snapshot, seconds: float) -> Snapshot:
    """Return the newest snapshot, after at most ``seconds`` the ``last`` one."""
    try:
        last = heard.get(timeout=max(0.0, seconds))
        while True:
            last = heard.get_nowait()
    except queue.Empty:
        return last


def _only_profile(here: Session) -> str:
    names: list[Any] = [one["name"] for one in here.service.get("profiles")["profiles"]]
    if len(names) == 1:
        return str(names[0])
    if not names:
        raise ClusterError(
            "No profile with Ray workers is open to you. Ask an administrator of the hub for one."
        )
    raise ClusterError(
        f"Say where the workers shall run: RayCluster(profile=…), one of {', '.join(map(repr, names))}."
    )
