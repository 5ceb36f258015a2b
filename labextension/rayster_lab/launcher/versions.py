"""Compares the Ray and the Python of a node with those of its cluster, as Ray does, but before anything is started."""

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Mapping


def own_ray() -> str | None:
    """Return the version of the Ray that is installed here, or None."""
    try:
        return importlib.metadata.version("ray") if importlib.util.find_spec("ray") else None
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def own_python() -> str:
    """Return the version of this Python, such as 3.11.7."""
    return platform.python_version()


def difference(
    cluster_ray: str | None,
    cluster_python: str | None,
    ray: str | None,
    python: str,
    environ: Mapping[str, str] = os.environ,
) -> str | None:
    """Return what keeps this node out of the cluster, as a sentence; None when nothing does.

    Ray wants the same release, and the same Python to the patch, unless RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL is
    ``minor`` (`ray._private.utils.check_version_info`). A version that the cluster does not tell is not compared.
    """
    differing = []
    if cluster_ray is not None and ray != cluster_ray:
        differing.append(f"Ray is {ray} here and {cluster_ray} there")
    if cluster_python is not None:
        parts = 2 if environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor" else 3
        if python.split(".")[:parts] != cluster_python.split(".")[:parts]:
            differing.append(f"Python is {python} here and {cluster_python} there")
    if not differing:
        return None
    return (
        f"This environment does not fit the cluster: {' and '.join(differing)}. Ray needs the same on both sides: "
        "choose an image for the cluster's workers that was made from the same base as this one."
    )
