"""Scaling: what follows from the reports, how it is shown, and what is refused before anything is trained."""

import io
import json

import pytest
from rich.console import Console

from herd_tracking.events import TrackingError
from herd_tracking.scaling import scale, table
from herd_tracking.scaling.points import KINDS, Point, Scaling, efficiencies, point_of, speedups
from herd_tracking.scaling.showing import figure


def report(events_per_s: float, seconds: float, compute: float = 0.5) -> dict[str, float]:
    return {
        "loss": 0.3,
        "events_per_s": events_per_s,
        "seconds": seconds,
        "data_s": 0.1 * seconds,
        "compute_s": compute * seconds,
        "exchange_s": (0.9 - compute) * seconds,
    }


def point(kind: str, workers: int, events_per_s: float) -> Point:
    return point_of(kind, workers, 256, 1000, [report(1.0, 9.0), report(events_per_s, 2.0)])


def some() -> Scaling:
    rates = {1: 100.0, 2: 190.0, 4: 340.0}
    return Scaling([point(kind, *one) for kind in KINDS for one in rates.items()], {"preset": "deep"})


def test_a_point_is_the_mean_over_time_without_the_first_report():
    reports = [
        {"message": "Training …"},
        report(1.0, 50.0),
        report(100.0, 1.0, compute=0.5),
        report(200.0, 3.0, compute=0.7),
        {"epoch": 1, "val_auc": 0.9},
    ]
    found = point_of("strong", 2, 256, 1000, reports)
    assert found.events_per_s == pytest.approx((100 + 600) / 4)
    assert found.epoch_seconds == pytest.approx(1000 / 175)
    assert found.parts == pytest.approx({"data": 0.1, "compute": 0.65, "exchange": 0.25})


@pytest.mark.parametrize("reports", [[], [report(100.0, 1.0)], [report(1.0, 1.0), report(0.0, 0.0)]])
def test_a_point_needs_more_than_the_warm_up(reports):
    with pytest.raises(ValueError, match="two reports"):
        point_of("strong", 1, 256, 1000, reports)


def test_speedup_and_efficiency_are_of_the_fewest_workers():
    points = [point("strong", workers, rate) for workers, rate in ((2, 200.0), (4, 300.0))]
    assert speedups(points) == pytest.approx([1, 1.5])
    assert efficiencies(points) == pytest.approx([1, 0.75])
    assert speedups([]) == efficiencies([]) == []


def test_the_table_and_the_file_say_the_same():
    rows = some().as_dict()["points"]
    assert [(one["kind"], one["workers"]) for one in rows] == [
        (kind, workers) for kind in KINDS for workers in (1, 2, 4)
    ]
    console = Console(file=io.StringIO(), width=80)
    console.print(table(some()))
    shown = console.file.getvalue()
    for one in rows:
        line = next(
            line for line in shown.splitlines() if line.split()[:2] == [one["kind"], str(one["workers"])]
        )
        assert f"{one['speedup']:.2f}" in line
        assert f"{100 * one['efficiency']:.0f} %" in line
    assert json.loads(json.dumps(rows)) == rows


def test_the_point_at_100_percent_is_not_cut_in_halves():
    (share,) = (axes for axes in figure(some()).axes if axes.get_title() == "Efficiency")
    assert share.get_ylim()[1] >= 105
    assert [list(line.get_ydata()) for line in share.get_lines()][:2] == [pytest.approx([100, 95, 85])] * 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workers": []}, r"workers: \[\]"),
        ({"workers": [0, 2]}, r"workers: \[0, 2\]"),
        ({"workers": [1], "batch_events": 200}, "less than ten steps of 200"),
        ({"workers": [1], "limit_events": 90, "batch_events": 10}, "limit_events: 90"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(toy, tmp_path, asked, said):
    with pytest.raises(TrackingError, match=said):
        scale(toy, directory=tmp_path / "scaling", **asked)
    assert not (tmp_path / "scaling").exists()


def test_a_directory_that_cannot_be_made_is_named(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot be made: Not a directory"):
        scale(toy, [1], batch_events=8, directory=tmp_path / "file" / "scaling")
