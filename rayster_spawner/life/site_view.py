"""What the spawner sees of its server: its pod, and what the pod's site says of the job."""

from ..offload import SITE_LABEL
from ..site_facts import HeardJob
from ..sites import Sites, hub_sites
from .belief import Belief, believe
from .pod_requests import PodRequests
from .pod_status import Pod, PodView, view_pod


class SiteView(PodRequests):
    """KubeSpawner that hears what sites say. Nothing here waits for one."""

    @property
    def sites(self) -> Sites | None:
        """The hub's live sites, or None outside a hub."""
        return hub_sites(self)

    def view(self, pod: Pod | None) -> PodView:
        """Return what ``pod`` itself says of the present server."""
        return view_pod(pod, offloaded=self.is_offloaded)

    def believe(self, pod: Pod | None) -> Belief:
        """Return what to believe of the present server, whose pod is ``pod``."""
        return believe(self.view(pod), self._heard_of(pod))

    def site_tells(self, pod: Pod | None) -> bool:
        """Tell whether the site of ``pod`` has an agent that was heard lately, whatever it knows of this job yet."""
        site = (((pod or {}).get("metadata") or {}).get("labels") or {}).get(SITE_LABEL)
        return bool(site and self.sites is not None and self.sites.tells_jobs(site))

    def _heard_of(self, pod: Pod | None) -> list[HeardJob]:
        metadata = (pod or {}).get("metadata") or {}
        site, uid = (metadata.get("labels") or {}).get(SITE_LABEL), metadata.get("uid")
        if not (self.is_offloaded and site and uid):
            return []
        sites = self.sites
        return sites.jobs_of(site, uid) if sites is not None else []
