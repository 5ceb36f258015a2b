"""What can go wrong with a cluster; each error is a sentence that says what to do."""

from collections.abc import Sequence


class ClusterError(Exception):
    """Something about a cluster went wrong. ``code`` is the service's word for programs, empty where it said none."""

    def __init__(self, message: str, code: str = "", fields: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.fields = tuple(fields)

    def _render_traceback_(self) -> list[str]:
        # IPython's way to show an error: here a sentence helps, and a page of stack does not.
        return [f"{type(self).__name__}: {self}"]


class NoService(ClusterError):
    """This notebook does not know of a RaySTER service."""


class ServiceAway(ClusterError):
    """The service does not answer, or answers something else."""


class Refused(ClusterError):
    """The service says no: a wrong value, a right that is missing, a limit."""


class NoSuchCluster(Refused):
    """There is no such cluster, or it is somebody else's."""


class NotReady(Refused):
    """The cluster's head is not up yet."""


class ClusterGone(ClusterError):
    """The cluster was stopped."""


class ClusterFailed(ClusterError):
    """The cluster has failed, and will not come by waiting."""


class WaitedLong(ClusterError, TimeoutError):
    """The time for waiting is over; the cluster goes on."""


class CannotAttach(ClusterError):
    """This notebook cannot become the cluster's driver."""
