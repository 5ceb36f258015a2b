"""Makes a notebook the driver of a Ray cluster, with a Ray node of its own beside the kernel."""

from .attach import Attachment, attach, current, detach, prepare
from .errors import (
    AlreadyConnected,
    AttachError,
    HeadNotThere,
    NodeFailed,
    NoRay,
    TokenRefused,
    VersionsDiffer,
)
from .target import AttachTarget

__all__ = [
    "AlreadyConnected",
    "AttachError",
    "AttachTarget",
    "Attachment",
    "HeadNotThere",
    "NoRay",
    "NodeFailed",
    "TokenRefused",
    "VersionsDiffer",
    "attach",
    "current",
    "detach",
    "prepare",
]
