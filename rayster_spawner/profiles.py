"""The admin's model: what a profile may say. JSON Schema, validation and the form's bounds come from these classes."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from . import interlink, profile_words
from . import ray_checks as ray_checks  # what it finds is found in every profile
from .profile_checks import (
    impossible,
    names_used_twice,
    not_one_token,
    refuse,
    site_label,
    sites_of_no_profile,
)
from .profile_fields import (
    ContainerPath,
    CpuBounds,
    EnvironmentName,
    EnvironmentValue,
    FilePath,
    GpuBounds,
    LabelKey,
    LabelValue,
    Member,
    MemoryBounds,
    Model,
    Name,
    NodeName,
    SiteName,
    SitePath,
    SlurmWord,
    Title,
    WalltimeBounds,
    WalltimeMinutes,
    text_of,
)
from .ray_settings import RaySettings


class Image(Model):
    """A container image that a user may choose."""

    name: Name
    title: Title
    image: str = Field(
        max_length=512,
        pattern=interlink.IMAGE_PATTERN,
        strict=True,
        description="An image reference, or the absolute path of a `.sif` file at the site.",
    )
    default: bool = Field(False, strict=True)


class SlurmSettings(Model):
    """What is put on the `#SBATCH` lines of every job of the profile."""

    account: SlurmWord | None = None
    partition: SlurmWord | None = None
    qos: SlurmWord | None = None
    reservation: SlurmWord | None = None
    constraint: Annotated[str, text_of(128, interlink.SLURM_CONSTRAINT_PATTERN)] | None = None
    gres: Annotated[str, text_of(96, interlink.GRES_PATTERN)] = Field(
        "gpu:{n}", description="How the site names its GPUs; {n} is the number that the user chose."
    )
    extra_flags: list[Annotated[str, text_of(192, interlink.SLURM_FLAG_PATTERN)]] = Field(
        [], max_length=32, description="More sbatch options, each `--name` or `--name=value`."
    )


class Mount(Model):
    """A directory of the site inside the container. `{username}` is the user's escaped name."""

    source: SitePath
    target: ContainerPath | None = Field(None, description="Default: the same path as `source`.")
    read_only: bool = Field(False, strict=True)


class CvmfsVolume(Model):
    """A `/cvmfs` bind for plugins that read `cvmfs.vk.io/*`."""

    name: Name
    mount_path: ContainerPath = "/cvmfs"


class FuseVolume(Model):
    """A FUSE file system for plugins that read `fuse.vk.io/*`."""

    name: Name
    mount_path: ContainerPath
    script: str = Field(
        min_length=1,
        max_length=16384,
        strict=True,
        description="The admin's own mount script, RUN AS IT IS at the site. Never put a user's text here.",
    )


class Toleration(Model):
    """A Kubernetes toleration, in Kubernetes' spelling."""

    key: LabelKey | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = Field(None, ge=0, alias="tolerationSeconds", strict=True)


class TunnelPort(Model):
    """One more port that the tunnel opens towards the cloud."""

    port: int = Field(ge=1024, le=65535, strict=True)
    name: Annotated[str, text_of(15, profile_words.PORT_NAME_PATTERN)]


class Network(Model):
    """How the hub and the job reach each other."""

    mode: Literal["direct", "site"] = Field(
        "direct",
        description="direct: pods reach each other. site: only declared ports are tunnelled to the cloud.",
    )
    bind_address: Literal["0.0.0.0", "127.0.0.1"] | None = Field(  # noqa: S104 - a mesh delivers to the job's own address
        None,
        description="Where the notebook listens. Default: 0.0.0.0 for direct; 127.0.0.1 for site, "
        "whose tunnel ends on the compute node itself.",
    )
    tunnel_ports: list[TunnelPort] = Field([], max_length=16)
    tunnel_timeout_seconds: int | None = Field(None, ge=1, le=3600, strict=True)


class Access(Model):
    """Who may use the profile. Both lists empty: everybody."""

    groups: list[Member] = []
    users: list[Member] = []

    def allows(self, user: str | None, groups: frozenset[str]) -> bool:
        """Tell whether a user who is in ``groups`` may use the profile."""
        return not (self.groups or self.users) or user in self.users or not groups.isdisjoint(self.groups)


class Limits(Model):
    """How many servers of the profile there may be at once. None: no limit."""

    servers_per_user: int | None = Field(None, ge=1, strict=True)
    servers_total: int | None = Field(None, ge=1, strict=True)


class HomeDirectory(Model):
    """A home directory on the site's own file system."""

    path: SitePath = Field(description="Absolute path at the site; `{username}` is the user's escaped name.")


class Profile(Model):
    """One entry of the admin's list: a site plus bounds, defaults, images, mounts and who may use it."""

    name: Name
    title: Title
    description: Annotated[
        str, StringConstraints(strict=True, max_length=600, pattern=profile_words.LINES_PATTERN)
    ] = ""
    icon: Literal["cloud", "cpu", "gpu", "cluster", "grid"] = "cluster"
    site: NodeName | Annotated[dict[LabelKey, LabelValue], Field(min_length=1)] = Field(
        description="`cloud`, the name of a virtual node, or labels that choose one."
    )
    scheduler: Literal["slurm", "htcondor", "none"] = "none"
    cpu: CpuBounds
    memory: MemoryBounds
    gpu: GpuBounds | None = None
    walltime: WalltimeBounds | None = None
    images: list[Image] = Field(min_length=1, max_length=50)
    slurm: SlurmSettings | None = None
    mounts: list[Mount] = Field([], max_length=50)
    environment: dict[EnvironmentName, EnvironmentValue] = Field({}, max_length=200)
    apptainer_options: list[Annotated[str, text_of(256, interlink.APPTAINER_OPTION_PATTERN)]] = Field(
        [], max_length=50, description="Words for the apptainer command line, such as `--nv`."
    )
    pre_exec: Annotated[str, StringConstraints(strict=True, max_length=65536)] = Field(
        "",
        description="The admin's own shell text, RUN AS IT IS in the job before the container starts. "
        "Nothing checks it; never put a user's text here.",
    )
    cvmfs: list[CvmfsVolume] = Field([], max_length=10)
    fuse: list[FuseVolume] = Field([], max_length=10)
    tolerations: list[Toleration] = Field([], max_length=50)
    node_labels: dict[LabelKey, LabelValue] = Field({}, description="More labels that the node must have.")
    annotations: dict[LabelKey, Annotated[str, StringConstraints(strict=True, max_length=8192)]] = {}
    hub_url: Annotated[str, text_of(500, profile_words.HUB_URL_PATTERN)] | None = Field(
        None,
        description="The hub as seen from the site, such as `https://hub.example.org`. Default: the hub's own.",
    )
    network: Network = Network()
    access: Access = Access()
    limits: Limits = Limits()
    start_timeout: WalltimeMinutes | None = Field(
        None,
        description="How long a server may take to start, the queue included. Default: 5m, or 24h for batch systems.",
    )
    home: Literal["pvc"] | HomeDirectory | None = Field(
        None, description="`pvc` (cloud only, its default), or a path at the site."
    )
    ray: RaySettings | None = Field(
        None, description="Ray clusters whose workers are jobs of this profile. Without it there are none."
    )

    @property
    def is_offloaded(self) -> bool:
        """Whether servers of this profile run on a virtual node."""
        return self.site != "cloud"

    @property
    def site_name(self) -> str:
        """The site as one label value: ``cloud``, the virtual node, or the profile that chooses by labels."""
        return site_label(self.name, self.site)

    @property
    def is_batch(self) -> bool:
        """Whether servers of this profile are jobs that may wait in a queue."""
        return self.scheduler != "none"

    @property
    def ray_head_place(self) -> Literal["site", "cloud"]:
        """Where the head of a Ray cluster runs: ``site``, beside its workers, or ``cloud``, which they reach."""
        if self.ray is not None and self.ray.head.place is not None:
            return self.ray.head.place
        return "site" if self.network.mode == "site" else "cloud"

    @property
    def start_timeout_seconds(self) -> int:
        """How long a server may take to start, the queue included."""
        return 60 * (self.start_timeout or (24 * 60 if self.is_batch else 5))

    @property
    def default_image(self) -> Image:
        """The image that is used when the user names none: the marked one, else the first."""
        return next((image for image in self.images if image.default), self.images[0])

    @model_validator(mode="after")
    def is_possible(self) -> "Profile":
        """Refuse what no site can do, all of it at once."""
        refuse(impossible(self))
        return self


class Agent(Model):
    """Where a site's agent is, and the secret that it and the hub know each other by."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["token_file"]}, {"required": ["token_env"]}]}
    )

    url: Annotated[str, text_of(500, profile_words.HUB_URL_PATTERN)] = Field(
        description="The agent's address as seen from the hub, such as `https://edge.example.org:8182`."
    )
    token_file: FilePath | None = Field(
        None, description="The file with the site's token. It is read again when it changes."
    )
    token_env: EnvironmentName | None = Field(
        None,
        description="The environment variable with the site's token, of hub and service, instead of a file.",
    )
    ca_file: FilePath | None = Field(
        None, description="Certificates that the agent's own must come from. Default: the system's."
    )

    @model_validator(mode="after")
    def has_one_token(self) -> "Agent":
        """Refuse an agent without a token, or with two."""
        refuse(not_one_token(self))
        return self


class Site(Model):
    """What is set once for all profiles of a site."""

    agent: Agent = Field(description="The program at the site's edge that tells its queue.")


class ProfileSet(Model):
    """All profiles of a hub, in the order of the form, and what is set for their sites."""

    profiles: list[Profile] = Field(min_length=1, max_length=200)
    sites: dict[SiteName, Site] = Field(
        {},
        max_length=200,
        description="By site: the name of its virtual node, or of the profile that chooses nodes by labels.",
    )

    @model_validator(mode="after")
    def fits_together(self) -> "ProfileSet":
        """Refuse two profiles of one name, and sites that no profile uses."""
        refuse(
            names_used_twice([profile.name for profile in self.profiles])
            + sites_of_no_profile(self.sites, [profile.site_name for profile in self.profiles])
        )
        return self

    def get(self, name: str) -> Profile | None:
        """Return the profile of that name, or None."""
        return next((profile for profile in self.profiles if profile.name == name), None)

    def allowed(self, user: str | None, groups: frozenset[str]) -> list[Profile]:
        """Return the profiles that a user who is in ``groups`` may use, in the order of the form."""
        return [profile for profile in self.profiles if profile.access.allows(user, groups)]


def profiles_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a profiles file."""
    schema = ProfileSet.model_json_schema(by_alias=True)
    _close_mappings(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "RaySTER profiles",
        "description": "What users may choose. In a Helm values file it stands under custom.rayster.",
    }


def _close_mappings(schema: Any) -> None:
    """Refuse, in the schema as in the models, keys that match none of the patterns."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            _close_mappings(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close_mappings(inner)
