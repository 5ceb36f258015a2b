"""The curves as a picture, for a notebook that is opened without its kernel."""

import io

from herd_tracking.live.story import Story

_BLUE, _ORANGE, _GREY = "#1f5f8f", "#b35900", "#52606d"


def picture(story: Story, title: str) -> bytes:
    """Return a PNG of loss and AUC."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    loss, auc = figure.subplots(1, 2)
    if story.steps:
        loss.plot(
            [one["step"] for one in story.steps],
            [one["loss"] for one in story.steps],
            color=_BLUE,
            label="training",
        )
    ends = [(one["step"], one["val_loss"]) for one in story.epochs if "step" in one and "val_loss" in one]
    if ends:
        loss.plot(*zip(*ends, strict=True), "o--", color=_ORANGE, label="validation")
    loss.set(xlabel="Step", ylabel="Binary cross-entropy per hit", title="Loss")
    points = [(one["epoch"], one["val_auc"]) for one in story.epochs if "val_auc" in one]
    if points:
        auc.plot(*zip(*points, strict=True), "o-", color=_ORANGE, label="validation")
    auc.set(xlabel="Epoch", ylabel="AUC", title="Area under the ROC curve")
    auc.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss, auc):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    figure.suptitle(title, color=_GREY, fontsize=10, x=0.01, ha="left")
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=120)
    return made.getvalue()
