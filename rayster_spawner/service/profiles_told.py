"""What is told of a profile to somebody who wants a cluster. Pure."""

from typing import Any

from ..profiles import Profile


def profile_told(profile: Profile, status: dict[str, Any], clusters_now: int) -> dict[str, Any]:
    """Return what a form needs of a profile with Ray workers.

    Arguments: ``status`` is that of its site, ``clusters_now`` how many clusters here the asker has.
    """
    assert profile.ray is not None
    limits = profile.ray.limits
    gpus = walltime = None
    if profile.gpu is not None:
        gpus = {**_bounds(profile.gpu), "type": profile.gpu.type}
    if profile.walltime is not None:
        walltime = _bounds(profile.walltime)
    return {
        "name": profile.name,
        "title": profile.title,
        "description": profile.description,
        "site": profile.site_name,
        "network": profile.network.mode,
        "status": status,
        "bounds": {
            "workers": _bounds(profile.ray.workers),
            "cpus": {**_bounds(profile.cpu), "whole": profile.is_batch},
            "memory_mib": _bounds(profile.memory),
            "gpus": gpus,
            "walltime_minutes": walltime,
        },
        "images": [
            {"name": image.name, "title": image.title, "default": image is profile.default_image}
            for image in profile.images
        ],
        "ray_version": profile.ray.version,
        "limits": {
            "clusters_per_user": limits.clusters_per_user,
            "clusters_total": limits.clusters_total,
            "workers_per_user": limits.workers_per_user,
            "clusters_now": clusters_now,
        },
    }


def _bounds(bounds: Any) -> dict[str, Any]:
    return {"min": bounds.min, "max": bounds.max, "default": bounds.default}
