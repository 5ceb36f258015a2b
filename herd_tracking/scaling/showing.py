"""The scaling as a figure and as a table."""

from typing import Any

from herd_tracking.scaling.points import KINDS, PARTS, Scaling, efficiencies, speedups

_COLOURS = {"strong": "#1f5f8f", "weak": "#b35900"}
_PART_COLOURS = {"data": "#8aa6bd", "compute": "#1f5f8f", "exchange": "#b35900"}
_GREY = "#52606d"


def figure(scaling: Scaling) -> Any:
    """Return a figure: events/s, efficiency, time of an epoch, where the time goes; against the number of workers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(10, 7.2), layout="constrained")
    FigureCanvasAgg(made)
    (speed, share), (epoch, parts) = made.subplots(2, 2)
    for kind in KINDS:
        colour = _COLOURS[kind]
        points = scaling.of(kind)
        if not points:
            continue
        workers = [one.workers for one in points]
        speed.plot(workers, [one.events_per_s for one in points], "o-", color=colour, label=kind)
        share.plot(workers, [100 * one for one in efficiencies(points)], "o-", color=colour, label=kind)
        epoch.plot(workers, [one.epoch_seconds for one in points], "o-", color=colour, label=kind)
    strong = scaling.of("strong")
    if strong:
        ideal = [strong[0].events_per_s * one.workers / strong[0].workers for one in strong]
        speed.plot([one.workers for one in strong], ideal, ":", color=_GREY, label="ideal")
    share.axhline(100, ls=":", color=_GREY)
    for axes, label, title in (
        (speed, "Events/s, all workers", "Speed"),
        (share, "Speed per worker (% of the first)", "Efficiency"),
        (epoch, "Time of an epoch (s)", "Time of an epoch"),
    ):
        axes.set(xlabel="Workers", ylabel=label, title=title, ylim=(0, None))
        axes.set_xticks(sorted({one.workers for one in scaling.points}))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    # The points at 100 % whole, not cut in halves.
    share.set_ylim(top=max(105, share.get_ylim()[1]))
    _draw_parts(parts, scaling)
    for axes in (speed, share, epoch, parts):
        axes.spines[["top", "right"]].set_visible(False)
    about = scaling.about
    said = (
        f"preset {about.get('preset')}, {about.get('precision')}, load {about.get('load_average')} at the end"
    )
    made.suptitle(f"Scaling of the training: {said}", color=_GREY, fontsize=10, x=0.01, ha="left")
    return made


def _draw_parts(axes: Any, scaling: Scaling) -> None:
    points = [*scaling.of("strong"), *scaling.of("weak")]
    labels = [f"{one.kind}\n{one.workers}" for one in points]
    below = [0.0] * len(points)
    for name in PARTS:
        heights = [100 * one.parts[name] for one in points]
        label = "exchange (all-reduce, waiting)" if name == "exchange" else name
        axes.bar(range(len(points)), heights, bottom=below, color=_PART_COLOURS[name], label=label)
        below = [one + more for one, more in zip(below, heights, strict=True)]
    axes.set_xticks(range(len(points)), labels)
    axes.set(
        xlabel="Workers", ylabel="Time of the first worker (%)", title="Where the time goes", ylim=(0, 118)
    )
    axes.legend(frameon=False, ncols=3, loc="upper center", fontsize=8)


def table(scaling: Scaling) -> Any:
    """Return a table for a terminal."""
    from rich import box
    from rich.table import Table

    # Ten columns are to be read in a terminal of 80 characters.
    made = Table(
        title="Scaling of the training",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    for name in ("scaling", "workers", "batch", "events/s", "speedup", "efficiency", "epoch\n(s)", *PARTS):
        made.add_column(name, justify="left" if name == "scaling" else "right")
    for kind in KINDS:
        points = scaling.of(kind)
        for one, speed, share in zip(points, speedups(points), efficiencies(points), strict=True):
            made.add_row(
                kind,
                str(one.workers),
                f"{one.batch_events:,}",
                f"{one.events_per_s:,.0f}",
                f"{speed:.2f}",
                f"{100 * share:.0f} %",
                f"{one.epoch_seconds:.1f}",
                *(f"{100 * one.parts[name]:.0f} %" for name in PARTS),
            )
    return made
