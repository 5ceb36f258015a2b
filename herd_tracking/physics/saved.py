"""An evaluation as a JSON file: written when it is measured, read when a report of it is made."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from herd_tracking.events import Events, TrackingError
from herd_tracking.physics.evaluation import Evaluation, Method
from herd_tracking.physics.examples import Example
from herd_tracking.physics.hits import HitCurves
from herd_tracking.physics.intervals import Estimate, Estimates

SCHEMA = 1
_KINDS = {
    kind.__name__: kind for kind in (Evaluation, Method, Example, HitCurves, Estimate, Estimates, Events)
}


def save_evaluation(evaluation: Evaluation, path: str | Path) -> Path:
    """Write ``evaluation`` to ``path`` and return it; what stood there stays until all is written."""
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    text = json.dumps({"schema": SCHEMA, "evaluation": _plain(evaluation)}, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrackingError(
            f"{path}: cannot be written ({error}). Free space or choose another place."
        ) from error
    return path


def load_evaluation(path: str | Path) -> Evaluation:
    """Return the evaluation in the file ``path``; raises TrackingError, with the reason, for any other file."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrackingError(
            f"{path}: cannot be read ({error}). `herd_tracking evaluate` writes it."
        ) from error
    except ValueError as error:
        raise TrackingError(f"{path}: truncated, or no evaluation ({error}). Make it again.") from error
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, Mapping) else type(content).__name__
        raise TrackingError(
            f"{path}: schema {found!r}; this version reads {SCHEMA}. Make the evaluation again."
        )
    try:
        evaluation = _made(content["evaluation"])
    except (KeyError, TypeError, ValueError) as error:
        raise TrackingError(
            f"{path}: not an evaluation as this version writes it ({error}). Make it again."
        ) from error
    if not isinstance(evaluation, Evaluation):
        raise TrackingError(f"{path}: holds no evaluation. `herd_tracking evaluate` writes one.")
    return evaluation


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {"kind": type(value).__name__, **found}
    if isinstance(value, np.ndarray):
        kind = {"kind": "array", "dtype": value.dtype.str, "shape": value.shape}
        return kind | {"values": _plain(value.ravel().tolist())}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    # JSON has no NaN; browsers and other readers refuse Python's.
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return [_made(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("kind") == "array":
        values = [np.nan if one is None else one for one in value["values"]]
        return np.array(values, dtype=np.dtype(value["dtype"])).reshape(value["shape"])
    made = {key: _made(one) for key, one in value.items() if key != "kind"}
    if "kind" not in value:
        return made
    kind = _KINDS[value["kind"]]
    if kind is Estimate:
        made = {key: np.nan if one is None else one for key, one in made.items()}
    return kind(**made)
