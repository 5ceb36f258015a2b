"""The curves of a training as a browser draws them."""

import pytest
from playwright.sync_api import Browser, expect

from herd_tracking.live.curves import Curves
from herd_tracking.live.story import Story

pytestmark = pytest.mark.browser

# What anywidget gives to a widget's code: a model that tells of changes, and a place.
START = """
(told) => {
  let change;
  window.model = { get: () => told, on: (_, listener) => (change = listener), off: () => {} };
  window.tell = newer => { told = newer; change(); };
  window.widget.render({ model: window.model, el: document.body });
}
"""


@pytest.fixture
def shown(browser: Browser):
    """Factory: a page of some width with the curves of a story."""
    pages = []

    def show(story: Story, width: int = 1000):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.add_style_tag(content=Curves._css)
        page.add_script_tag(content=Curves._esm.replace("export default", "window.widget ="))
        page.evaluate(START, told(story))
        return page

    yield show
    for page in pages:
        page.close()


def told(story: Story) -> dict:
    return {**story.as_dict(), "title": "Preset <deep>", "headline": story.headline()}


def test_curves_are_drawn_anew_with_each_report(shown):
    story = Story()
    page = shown(story)
    expect(page.get_by_text("Nothing yet")).to_have_count(3)
    for step in (10, 20):
        story.take({"epoch": 1, "step": step, "loss": 0.5, "events_per_s": 900.0, "workers": 2})
    story.take({"message": "A worker <b>was</b> lost."})
    page.evaluate("told => window.tell(told)", told(story))
    expect(page.get_by_text("Preset <deep>")).to_be_visible()
    expect(page.get_by_text("A worker <b>was</b> lost.")).to_be_visible()
    expect(page.get_by_role("img", name="Loss (cross-entropy per hit): training 0.5")).to_be_visible()
    expect(page.get_by_text("Nothing yet")).to_have_count(1)
    story.take({"epoch": 1, "step": 20, "val_loss": 0.25, "val_auc": 0.975})
    page.evaluate("told => window.tell(told)", told(story))
    expect(page.get_by_role("img", name="Area under the ROC curve: validation 0.975")).to_be_visible()
    expect(page.get_by_text("Nothing yet")).to_have_count(0)


def test_curves_stand_below_each_other_where_it_is_narrow(shown):
    story = Story()
    story.take({"epoch": 1, "step": 1, "loss": 0.5})
    for width, columns in ((1000, 3), (340, 1)):
        page = shown(story, width)
        lefts = {round(chart.bounding_box()["x"]) for chart in page.locator(".rt-chart").all()}
        assert len(lefts) == columns
        assert page.evaluate("document.documentElement.scrollWidth") <= width
