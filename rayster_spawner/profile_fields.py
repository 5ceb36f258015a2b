"""What the fields of a profile are made of: amounts with units, checked texts, bounds of what users may ask for."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from . import interlink, profile_words
from .profile_checks import bounds_out_of_order, refuse
from .quantities import (
    MAX_MEMORY_MIB,
    MAX_WALLTIME_MINUTES,
    MEMORY_HELP,
    WALLTIME_HELP,
    format_memory,
    format_number,
    format_walltime,
    parse_memory_mib,
    parse_walltime_minutes,
)


class Model(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _amount(parse: Any, help_text: str) -> Any:
    def convert(value: Any) -> int:
        if not isinstance(value, str):
            raise ValueError(f"must be {help_text}")
        amount = parse(value)
        if amount < 1:
            raise ValueError("must be more than 0")
        return amount

    return convert


def text_of(max_length: int, pattern: str | None = None) -> Any:
    return StringConstraints(strict=True, min_length=1, max_length=max_length, pattern=pattern)


def _no_parent_folder(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("must not contain a '..' folder")
    return path


def _amount_schema(help_text: str, *examples: str) -> Any:
    # What an admin writes is text; the number in our unit exists only after it is read.
    return WithJsonSchema({"type": "string", "description": help_text, "examples": list(examples)})


MemoryMib = Annotated[
    int,
    BeforeValidator(_amount(parse_memory_mib, MEMORY_HELP)),
    Field(ge=1, le=MAX_MEMORY_MIB),
    _amount_schema(MEMORY_HELP, "512Mi", "4Gi"),
]
WalltimeMinutes = Annotated[
    int,
    BeforeValidator(_amount(parse_walltime_minutes, WALLTIME_HELP)),
    Field(ge=1, le=MAX_WALLTIME_MINUTES),
    _amount_schema(WALLTIME_HELP, "30m", "8h", "24:00:00"),
]
Name = Annotated[str, text_of(40, interlink.NAME_PATTERN)]
Title = Annotated[str, text_of(80, profile_words.ONE_LINE_PATTERN)]
Member = Annotated[str, text_of(255, profile_words.ONE_LINE_PATTERN)]
LabelKey = Annotated[str, text_of(317, interlink.LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, StringConstraints(strict=True, pattern=interlink.LABEL_VALUE_PATTERN)]
NodeName = Annotated[str, text_of(253, interlink.NODE_NAME_PATTERN)]
SitePath = Annotated[str, text_of(500, interlink.USER_PATH_PATTERN), AfterValidator(_no_parent_folder)]
SiteName = Annotated[str, text_of(63, interlink.NODE_NAME_PATTERN)]
FilePath = Annotated[str, text_of(500, interlink.PATH_PATTERN)]
ContainerPath = Annotated[str, text_of(500, interlink.PATH_PATTERN), AfterValidator(_no_parent_folder)]
SlurmWord = Annotated[str, text_of(64, interlink.SLURM_WORD_PATTERN)]
EnvironmentName = Annotated[str, text_of(128, interlink.ENV_NAME_PATTERN)]
EnvironmentValue = Annotated[
    str, StringConstraints(strict=True, max_length=32768, pattern=profile_words.NO_NUL_PATTERN)
]


class Bounds(Model):
    """What a user may ask for: min ≤ default ≤ max."""

    @staticmethod
    def written(amount: Any) -> str:
        """Return an amount as people write it."""
        return format_number(amount)

    @model_validator(mode="after")
    def is_ordered(self) -> "Bounds":
        """Refuse bounds that no value, or not the default, lies between."""
        refuse(bounds_out_of_order(self, self.written))
        return self


class CpuBounds(Bounds):
    """CPU cores that a user may ask for. Fractions are possible on cloud nodes only."""

    min: float = Field(1, gt=0, le=4096, strict=True)
    max: float = Field(gt=0, le=4096, strict=True)
    default: float = Field(gt=0, le=4096, strict=True)


class MemoryBounds(Bounds):
    """Memory that a user may ask for, in MiB once read."""

    min: MemoryMib = Field(1024, json_schema_extra={"default": "1Gi"})
    max: MemoryMib
    default: MemoryMib

    @staticmethod
    def written(amount: Any) -> str:
        """Return an amount as people write it."""
        return format_memory(amount)


class GpuBounds(Bounds):
    """GPUs that a user may ask for."""

    min: int = Field(0, ge=0, le=1024, strict=True)
    max: int = Field(ge=1, le=1024, strict=True)
    default: int = Field(1, ge=0, le=1024, strict=True)
    type: Title | None = Field(None, description="What people call it, such as `NVIDIA A100 64 GB`.")
    # The only extended resources that a virtual node advertises (interLink `Resources.Accelerators`).
    resource: Literal[
        "nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "xilinx.com/fpga", "intel.com/fpga"
    ] = Field("nvidia.com/gpu", description="The Kubernetes resource that the node advertises.")


class WalltimeBounds(Bounds):
    """How long a server may run, in minutes once read."""

    min: WalltimeMinutes = Field(10, json_schema_extra={"default": "10m"})
    max: WalltimeMinutes
    default: WalltimeMinutes

    @staticmethod
    def written(amount: Any) -> str:
        """Return an amount as people write it."""
        return format_walltime(amount)
