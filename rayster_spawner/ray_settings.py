"""What a profile says of Ray clusters: their workers, head, network and limits."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from . import interlink, profile_words
from .profile_checks import refuse, warned_too_late
from .profile_fields import (
    Bounds,
    ContainerPath,
    LabelValue,
    MemoryMib,
    Model,
    SitePath,
    WalltimeMinutes,
    text_of,
)
from .profile_words import check_ipv4_network, check_ray_version

MAX_WORKERS = 1000


class WorkerBounds(Bounds):
    """How many workers a cluster may have. What one of them gets has the bounds of the profile."""

    min: int = Field(0, ge=0, le=MAX_WORKERS, strict=True)
    max: int = Field(ge=1, le=MAX_WORKERS, strict=True)
    default: int = Field(1, ge=0, le=MAX_WORKERS, strict=True)


class RayHead(Model):
    """The head of a cluster. No task of the user runs on it."""

    place: Literal["site", "cloud"] | None = Field(
        None,
        description="site: a job beside the workers. cloud: a pod that they reach (network.mode: direct). "
        "Default: cloud for direct, site for site.",
    )
    image: (
        Annotated[
            str, StringConstraints(strict=True, min_length=1, max_length=512, pattern=interlink.IMAGE_PATTERN)
        ]
        | None
    ) = Field(None, description="Default: the image of the workers.")
    cpu: float = Field(1, gt=0, le=4096, strict=True)
    memory: MemoryMib = Field(2048, json_schema_extra={"default": "2Gi"})


class RayIdle(Model):
    """When a cluster that no driver is attached to ends by itself."""

    stop_after: WalltimeMinutes = Field(60, json_schema_extra={"default": "1h"})
    warn_before: WalltimeMinutes = Field(
        10, json_schema_extra={"default": "10m"}, description="How long before that its user is warned."
    )

    @model_validator(mode="after")
    def warns_in_time(self) -> "RayIdle":
        """Refuse a warning that would have to come before anybody is idle."""
        refuse(warned_too_late(self))
        return self


class RayLimits(Model):
    """How many clusters and workers of the profile there may be at once. None: no limit."""

    clusters_per_user: int | None = Field(2, ge=1, strict=True)
    clusters_total: int | None = Field(None, ge=1, strict=True)
    workers_per_user: int | None = Field(
        None, ge=1, strict=True, description="Of all clusters of a user together."
    )


class RaySettings(Model):
    """Ray clusters whose workers are jobs (or pods) of the profile."""

    version: Annotated[
        str, text_of(20, profile_words.RAY_VERSION_PATTERN), AfterValidator(check_ray_version)
    ] = Field(description="The version of Ray in the images, such as `2.60.0`.")
    workers: WorkerBounds
    head: RayHead = RayHead()
    shared_directory: SitePath | None = Field(
        None,
        description="A directory of the site, as the containers see it, in which head, workers and notebooks find each "
        "other; made for each user with mode 700. Required for network.mode: site.",
    )
    node_network: (
        Annotated[str, text_of(18, profile_words.IPV4_NETWORK_PATTERN), AfterValidator(check_ipv4_network)]
        | None
    ) = Field(
        None,
        description="Which of a node's addresses Ray uses, such as `10.128.0.0/16`. Of a loopback network each node "
        "takes one of its own. Default: the address of the default route.",
    )
    plasma_directory: ContainerPath | None = Field(
        None, description="Where Ray's objects are, such as `/dev/shm`. Default: the launcher chooses."
    )
    object_store: MemoryMib | None = Field(
        None, description="How much of its memory a node keeps for Ray's objects. Default: 30 % of it."
    )
    bash_env: ContainerPath = Field(
        "/opt/rayster/skip-gcs-wait.sh",
        description="The file in the images that ends KubeRay's own wait for the head, which has no bound.",
    )
    head_wait: WalltimeMinutes = Field(
        15,
        json_schema_extra={"default": "15m"},
        description="How long a worker that runs waits for the head, which may still be in the queue.",
    )
    idle: RayIdle | None = Field(RayIdle(), description="null: a cluster never ends for being idle.")
    failures_in_a_row: int = Field(
        3,
        ge=1,
        le=100,
        strict=True,
        description="So many jobs of a cluster that fail one after the other end its workers.",
    )
    limits: RayLimits = RayLimits()
    queue: Annotated[LabelValue, Field(min_length=1)] | None = Field(
        None, description="The Kueue queue that clusters wait in (`kueue.x-k8s.io/queue-name`)."
    )
