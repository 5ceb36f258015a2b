"""What of a profile's Ray clusters no site can do. Pure; importing it adds its checks to those of profiles."""

from collections.abc import Iterator
from typing import Any

from . import interlink
from .profile_checks import CLOUD_SITE, Mistake, needs
from .quantities import format_memory

# KubeRay leaves variables of these names as it finds them, and takes others for a wish that the cluster does not have.
_RAYS_OWN = frozenset(
    {
        "BASH_ENV",
        "FQ_RAY_IP",
        "RAY_ADDRESS",
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
        "RAY_IP",
    }
    | {"RAY_PORT", "RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_USERNAME"}
)
_OWN_PREFIX = "RAYSTER_"


@needs("ray", "network")
def _head_can_be_found(p: Any) -> Iterator[Mistake]:
    if p.ray is None or p.network.mode == "direct":
        return
    if p.ray.shared_directory is None:
        yield Mistake(
            ("ray", "shared_directory"),
            None,
            "is required for network.mode: site; nodes find each other in it",
        )
    if p.ray.head.place == "cloud":
        yield Mistake(
            ("ray", "head", "place"), "cloud", "must be site for network.mode: site; no job reaches the cloud"
        )


@needs("ray", "network", "images")
def _cloud_can_run_the_head(p: Any) -> Iterator[Mistake]:
    if p.ray is None or _is_at_site(p):
        return
    if p.ray.head.image is not None:
        if p.ray.head.image.startswith("/"):
            yield Mistake(
                ("ray", "head", "image"),
                p.ray.head.image,
                "must be an image reference: the head is in the cloud",
            )
    elif any(image.image.startswith("/") for image in p.images):
        yield Mistake(
            ("ray", "head", "image"), None, "is required: the head is in the cloud, which runs no .sif files"
        )


@needs("ray", "network", "scheduler")
def _site_can_run_the_head(p: Any) -> Iterator[Mistake]:
    image = p.ray.head.image if p.ray is not None else None
    if image is None or not image.startswith("/") or not _is_at_site(p):
        return
    if p.scheduler == "none":
        yield Mistake(("ray", "head", "image"), image, "a path needs the scheduler slurm or htcondor")
    elif not interlink.matches(interlink.SIF_PATTERN, image) or ".." in image.split("/"):
        yield Mistake(("ray", "head", "image"), image, "must be the absolute path of a .sif file")


def _is_at_site(p: Any) -> bool:
    return p.network.mode == "site" or p.ray.head.place == "site"


@needs("ray", "network", "scheduler")
def _heads_cores_are_whole(p: Any) -> Iterator[Mistake]:
    if p.ray is None:
        return
    if _is_at_site(p) and p.scheduler != "none" and p.ray.head.cpu != int(p.ray.head.cpu):
        yield Mistake(
            ("ray", "head", "cpu"), p.ray.head.cpu, "must be a whole number of cores on a batch system"
        )
    elif round(p.ray.head.cpu, 3) != p.ray.head.cpu:
        yield Mistake(("ray", "head", "cpu"), p.ray.head.cpu, "must have at most three decimals")


@needs("ray", "memory")
def _objects_fit_into_memory(p: Any) -> Iterator[Mistake]:
    if p.ray is None or p.ray.object_store is None:
        return
    for name, amount in (("memory.min", p.memory.min), ("ray.head.memory", p.ray.head.memory)):
        if p.ray.object_store >= amount:
            yield Mistake(
                ("ray", "object_store"),
                format_memory(p.ray.object_store),
                f"must be less than {name} ({format_memory(amount)})",
            )


@needs("ray", "walltime")
def _wait_is_shorter_than_the_job(p: Any) -> Iterator[Mistake]:
    if p.ray is not None and p.walltime is not None and p.ray.head_wait >= p.walltime.max:
        yield Mistake(("ray", "head_wait"), f"{p.ray.head_wait} min", "must be less than walltime.max")


@needs("ray", "environment")
def _environment_is_not_rays(p: Any) -> Iterator[Mistake]:
    if p.ray is not None:
        for name in p.environment:
            if name in _RAYS_OWN or name.startswith(_OWN_PREFIX):
                yield Mistake(("environment", name), "…", "is set by RaySTER for Ray clusters")


@needs("ray", "site")
def _head_has_a_place(p: Any) -> Iterator[Mistake]:
    if p.ray is not None and p.site == CLOUD_SITE and p.ray.head.place == "site":
        yield Mistake(("ray", "head", "place"), "site", "must be cloud for the site cloud")
