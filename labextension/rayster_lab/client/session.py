"""What all clusters and panels of a kernel share: the service, the feed, and the attachment of this kernel."""

import threading
from functools import lru_cache

from .access import Access
from .feed import Feed
from .service import Service

_lock = threading.Lock()


class Session:
    """One user's service and feed."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.service = Service(access)
        self.feed = Feed(self.service)


def session() -> Session:
    """Return this kernel's session. Raises NoService."""
    with _lock:
        return _session(Access.from_environ())


@lru_cache(maxsize=4)
def _session(access: Access) -> Session:
    return Session(access)
