"""Live sites: what is known of each profile's site and of each pod's job, refreshed in the background."""

from .hub import hub_sites
from .watcher import Sites

__all__ = ["Sites", "hub_sites"]
