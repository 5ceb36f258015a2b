"""Figures of the training that made a model, from what it reported at the end of each epoch."""

from collections.abc import Mapping
from typing import Any

from herd_tracking.physics.layout import Panel
from herd_tracking.physics.marks import legend, plain
from herd_tracking.physics.theme import LIGHT


def epochs(history: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries that end an epoch: those with a validation value."""
    return [one for one in history if "epoch" in one and any(key.startswith("val") for key in one)]


def history_panels(history: list[Mapping[str, Any]]) -> tuple[Panel, ...]:
    """Return the panels of loss, validation AUC and speed that ``history`` has the numbers for."""
    found = epochs(history)
    keys = set().union(*found)
    shown = []
    if keys & {"loss", "train_loss", "val_loss"}:
        shown.append(
            Panel(
                "Loss",
                _lines(
                    found,
                    {"train_loss": "training", "loss": "training", "val_loss": "validation"},
                    "Binary cross-entropy per hit",
                ),
            )
        )
    if "val_auc" in keys:
        shown.append(Panel("Area under the ROC curve", _lines(found, {"val_auc": "validation"}, "AUC")))
    if "events_per_s" in keys:
        shown.append(Panel("Speed", _lines(found, {"events_per_s": "training"}, "Events/s")))
    return tuple(shown)


def _lines(found: list[Mapping[str, Any]], names: Mapping[str, str], label: str) -> Any:
    def draw(axes: Any, _evaluation: Any) -> None:
        looks = iter((("first", "o", "-"), ("second", "s", "--")))
        for key, name in names.items():
            points = [(one["epoch"], one[key]) for one in found if one.get(key) is not None]
            if points:
                colour, mark, dashes = next(looks)
                x, y = zip(*points, strict=True)
                axes.plot(x, y, marker=mark, ls=dashes, color=LIGHT[colour], label=name)
        axes.set(xlabel="Epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(plain)
        legend(axes)

    return draw
