"""The report and the event display: whole, alone, escaped, with units, in both themes."""

import re
from html import escape

import numpy as np
import pytest

from herd_tracking.events import TrackingError
from herd_tracking.geometry import FIT
from herd_tracking.physics.baselines import baselines
from herd_tracking.physics.display import event_display, save_display
from herd_tracking.physics.evaluation import evaluate
from herd_tracking.physics.history import epochs, history_panels
from herd_tracking.physics.marks import plain
from herd_tracking.physics.picture import event_picture
from herd_tracking.physics.report import write_report
from herd_tracking.physics.scene import limits_cm, projections, scene
from herd_tracking.physics.theme import DARK, LIGHT, styles

HISTORY = [{"epoch": one, "train_loss": 0.4 / (one + 1), "val_loss": 0.5, "val_auc": 0.9} for one in range(3)]
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def events(straight_lines):
    return type(straight_lines)(FIT)(300, noise=30)


@pytest.fixture(scope="module")
def scores(events):
    return np.where(events.y == 1, 0.9, 0.1) + np.random.default_rng(1).uniform(-0.1, 0.1, len(events.y))


@pytest.fixture(scope="module")
def evaluation(events, scores):
    found = {EVIL: scores} | baselines(events, FIT)
    return evaluate(events, found, about={"data": "a & b"}, examples=2)


@pytest.fixture(scope="module")
def report(evaluation, tmp_path_factory):
    return write_report(evaluation, tmp_path_factory.mktemp("report"), HISTORY)


def test_page_stands_alone(report):
    page = report[0].read_text()
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page)
    assert "@import" not in page
    assert "url(http" not in page


def test_names_and_data_are_escaped(report):
    page = report[0].read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "a &amp; b" in page


def test_page_has_numbers_with_intervals_figures_with_units_and_sections(report):
    page = report[0].read_text()
    for text in (
        "300 (300 electrons)",
        "68.3 %",
        "±",
        "Fake rate",
        "closed form",
        "True energy (GeV)",
        "Training",
    ):
        assert text in page
    assert page.count("<svg") == page.count("</svg>") > 40


def test_figures_follow_the_theme(report):
    page = report[0].read_text()
    for colour in set(LIGHT.values()) | set(DARK.values()):
        # then each colour is said once, where the theme is declared (the dark one twice), and nowhere in a figure
        assert page.count(colour) <= 2
    assert page.count("var(--first)") > 20


def test_pdf_is_written(report):
    content = report[1].read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 8


def test_place_that_cannot_be_written_is_said(events, scores, tmp_path):
    (tmp_path / "file").write_text("")
    evaluation = evaluate(events.take(0, 50), {"one": scores[: events.node_ptr[50]]})
    with pytest.raises(TrackingError, match="file"):
        write_report(evaluation, tmp_path / "file" / "report")


def test_history_without_epochs_shows_nothing():
    assert epochs([{"step": 1, "loss": 0.3}]) == []
    assert [panel.title for panel in history_panels(HISTORY)] == ["Loss", "Area under the ROC curve"]


def test_methods_are_told_apart_without_colour():
    baselines = ["truth hits", "CALO road + Hough", "line search alone", "no rejection"]
    looks = list(styles(["slides", "deep", *baselines]).values())
    assert len({look.mark for look in looks}) == len(looks)
    assert len({look.colour for look in looks}) == len(looks)


@pytest.mark.parametrize(
    ("value", "label"), [(100, "100"), (0.01, "0.01"), (1e-4, "10⁻⁴"), (0, "0"), (2e-5, "2·10⁻⁵")]
)
def test_ticks_are_plain_numbers(value, label):
    assert plain(value) == label


def test_display_has_both_views_and_all_three_dimensions(events, scores):
    figure = event_display(events, 3, scores)
    kinds = [trace.type for trace in figure.data]
    assert {"scatter", "scatter3d", "mesh3d"} == set(kinds)
    names = {trace.name for trace in figure.data}
    assert {"fitted line", "true line", "calorimeter", "primary"} <= names
    titles = [
        figure.layout.xaxis.title.text,
        figure.layout.yaxis.title.text,
        figure.layout.scene.xaxis.title.text,
    ]
    assert all(title.endswith("(cm)") for title in titles)
    # then each hit is drawn once in three dimensions
    marks = sum(
        len(trace.x) for trace in figure.data if trace.type == "scatter3d" and trace.mode == "markers"
    )
    assert marks == events.node_ptr[4] - events.node_ptr[3]


def test_every_mark_stands_out_from_the_ground_whatever_its_score(events, scores):
    for theme, colours in (("light", LIGHT), ("dark", DARK)):
        figure = event_display(events, 3, scores, theme=theme)
        marks = [one for one in figure.data if one.type != "mesh3d" and one.hoverinfo == "text"]
        assert not any("open" in one.marker.symbol for one in marks)
        edges = {colour for one in marks for colour in np.atleast_1d(one.marker.line.color)}
        assert edges == {colours["ink"], colours["muted"]}


def test_an_evaluation_is_shown_as_a_table(evaluation):
    shown = evaluation._repr_html_()
    assert all(f"<th>{escape(name)}</th>" in shown for name in evaluation.methods)
    assert "<td>Hit efficiency (%)</td>" in shown
    assert repr(evaluation).startswith("Evaluation(") and len(repr(evaluation)) < 200


def test_display_without_truth_tells_nothing_of_it(events, scores):
    text = event_display(events, 3, scores, truth=False).to_json()
    for word in ("true line", "primary", "backsplash", "GeV"):
        assert word not in text


def test_display_is_saved_as_a_page_that_stands_alone(events, tmp_path):
    page = save_display(event_display(events, 0, theme="dark"), tmp_path / "new" / "event.html").read_text()
    assert "cdn.plot.ly" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert f"background:{DARK['paper']}" in page


def test_picture_shows_both_views(events, scores):
    figure = event_picture(events, -1, scores)
    assert [axes.get_xlabel()[-4:] for axes in figure.axes] == ["(cm)", "(cm)"]


@pytest.mark.parametrize("index", [300, -301])
def test_event_that_is_not_there_is_named(events, index):
    with pytest.raises(TrackingError, match=rf"{index}.*0 to 299"):
        event_display(events, index)


def test_unknown_theme_is_refused(events):
    with pytest.raises(TrackingError, match=r"'pink'.*'light' and 'dark'"):
        event_display(events, 0, theme="pink")


def test_marks_stand_on_the_true_line(events):
    # given an event's scene without a fit
    seen = scene(events.take(7, 8), None, FIT, truth=True)
    primary = seen.events.y == 1
    away = seen.point_cm[primary] - seen.truth.ends[0]
    off = away - np.outer(away @ seen.truth.direction, seen.truth.direction)
    # then the primary's hits lie on its line to within five resolutions
    assert np.linalg.norm(off, axis=1).max() < 0.025


@pytest.mark.parametrize("sector", range(5))
def test_views_show_the_sector_whole_in_the_shape_of_the_panel(straight_lines, sector):
    event = type(straight_lines)(FIT)(1, seed=sector, sectors=(sector,))
    seen = scene(event, None, FIT, truth=True)
    views = projections(FIT, sector)
    assert {view.name for view in views} == (
        {"X-Z", "Y-Z"} if sector == 0 else {"X-Y", "X-Z" if sector < 3 else "Y-Z"}
    )
    own = seen.planes[sector * 14 : sector * 14 + 14].reshape(-1, 3)
    for view in views:
        (left, right), (low, high) = limits_cm(seen, view, 1.4)
        assert (right - left) / (high - low) == pytest.approx(1.4)
        assert left < own[:, view.horizontal].min() < own[:, view.horizontal].max() < right
        assert low < own[:, view.vertical].min() < own[:, view.vertical].max() < high
