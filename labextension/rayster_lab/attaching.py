"""Makes this kernel the driver of a cluster, from any thread, and tells panels about it."""

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from . import attachment
from .attachment import AttachError, AttachTarget
from .client.errors import CannotAttach
from .client.service import Service

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attached:
    """Which cluster this kernel drives; ``lost`` says, once it is so, what was lost."""

    cluster: str
    lost: str = ""


class Driver:
    """This process as a driver: one at a time, whoever asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def attached(self) -> Attached | None:
        """What this kernel is attached to, None when to nothing."""
        now = attachment.current()
        return None if now is None else Attached(now.target.cluster, now.lost or "")

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` whenever `attached` has changed; return what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def attach(self, service: Service, cluster_id: str, share_cpus: int = 0) -> None:
        """Attach to a cluster whose head is up. Raises ClusterError."""
        try:
            target = AttachTarget.from_json(service.get(f"clusters/{cluster_id}/attach"))
            attachment.attach(target, share_cpus, on_lost=self._lost)
        except AttachError as error:
            raise CannotAttach(str(error)) from error
        finally:
            self._tell()

    def prepare(self, share_cpus: int = 0) -> None:
        """Begin to start this notebook's Ray node while the cluster is still coming."""
        attachment.prepare(share_cpus)

    def detach(self, cluster_id: str | None = None) -> bool:
        """End the attachment, if there is one (to ``cluster_id``); tell whether there was."""
        now = self.attached
        if now is None or cluster_id not in (None, now.cluster):
            return False
        attachment.detach()
        self._tell()
        return True

    def _lost(self, sentence: str) -> None:
        print(f"RaySTER: {sentence}", file=sys.stderr)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:
                _log.exception("A listener of the attachment failed.")


driver = Driver()
