"""Clusters as they change: all of somebody's in one stream, or one in a stream of its own, until it is gone."""

from typing import Any

from .cluster_handler import ClusterHandler
from .streams import Last

# Counted as one asker, because services have no user's name.
_SERVICES = "(services)"
# A list of everybody's clusters is long; so many seconds lie between two of them.
_ALL_SECONDS = 0.2


class ClustersStream(ClusterHandler):
    """All clusters of somebody; for administrators everybody's, or those of `?user=`."""

    async def get(self) -> None:
        """Stream."""
        asker = await self.asker()
        self.know_clusters()
        clusters, user = self.parts.clusters, self.user_to_list(asker)

        def look() -> tuple[Any, dict[str, Any]]:
            found = clusters.all() if user is None else clusters.of_user(user)
            ids = [cluster["metadata"]["name"] for cluster in found]
            # All clusters of everybody are too many to ask their Ray all the time.
            for cluster_id in ids if user is not None else ():
                clusters.note_asked(cluster_id)
            views = clusters.views(ids)
            return tuple(view.key for view in views), {"clusters": [view.as_json() for view in views]}

        changed = clusters.changed if user is None else clusters.change_of_user(user)
        with self.parts.streams.counted(asker.name or _SERVICES):
            changes = [changed] if user is None else [changed, self.parts.sites.changed]
            pause_seconds = _ALL_SECONDS if user is None else 0
            await self.send_events("clusters", look, changes, self.parts.streams, True, pause_seconds)


class ClusterStream(ClusterHandler):
    """One cluster."""

    async def get(self, cluster_id: str) -> None:
        """Stream."""
        asker = await self.asker()
        self.cluster_of(asker, cluster_id)
        clusters = self.parts.clusters

        def look() -> tuple[Any, dict[str, Any]] | Last:
            view = clusters.view(cluster_id)
            return (view.key, view.as_json()) if view is not None else Last("gone", {"id": cluster_id})

        changes = [clusters.change_of(cluster_id), self.parts.sites.changed]
        with self.parts.streams.counted(asker.name or _SERVICES), clusters.watching(cluster_id):
            await self.send_events("cluster", look, changes, self.parts.streams, repeats=True)


ROUTES: list[tuple[str, type[ClusterHandler]]] = [
    ("api/clusters/events", ClustersStream),
    (r"api/clusters/([^/]+)/events", ClusterStream),
]
