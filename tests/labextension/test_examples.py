"""The example notebooks: told and copied by the server, offered in the launcher."""

import json

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from .conftest import TOKEN

PATH = "rayster/examples"
LOADING_MS, SOON_MS = 60_000, 20_000


@pytest.fixture(scope="module")
def server(start_server):
    return start_server()


def copy(server, body, token=TOKEN) -> requests.Response:
    """Ask for a copy."""
    headers = {"Authorization": f"token {token}"}
    return requests.post(server.url + PATH, data=body, headers=headers, timeout=30)


def test_examples_are_told_to_their_user_only(server):
    told = server.get(PATH).json()["examples"]
    assert [one["name"] for one in told][:2] == ["1-first-look", "2-train-here"]
    assert all(set(one) == {"name", "title", "description"} for one in told)
    assert server.get(PATH, headers={}, allow_redirects=False).status_code == 403


def test_copy_that_is_there_is_left_as_its_user_has_it(server):
    path = server.directory / "home" / copy(server, '{"name": "1-first-look"}').json()["path"]
    notebook = json.loads(path.read_text())
    assert "".join(notebook["cells"][0]["source"]).startswith("# First look")
    notebook["cells"][0]["source"] = "mine"
    path.write_text(mine := json.dumps(notebook))
    assert copy(server, '{"name": "1-first-look"}').ok
    assert path.read_text() == mine


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"name": "../../../etc/passwd"}', 404),
        ('{"name": "nothing"}', 404),
        ('{"name": 1}', 400),
        ("{}", 400),
        ("[]", 400),
        ("{", 400),
    ],
)
def test_other_names_are_refused(server, body, status):
    # Notebooks only: Jupyter itself makes directories such as .npm in the home when it pleases.
    before = sorted(server.directory.rglob("*.ipynb"))
    assert copy(server, body).status_code == status
    assert sorted(server.directory.rglob("*.ipynb")) == before


def test_copying_takes_a_token(server):
    assert copy(server, '{"name": "1-first-look"}', token="wrong").status_code == 403


@pytest.mark.browser
def test_card_in_the_launcher_opens_the_notebook(server, browser: Browser, tmp_path):
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page: Page = context.new_page()
    page.goto(server.page)
    card = page.locator(".jp-LauncherCard", has_text="HERD: train here")
    expect(card).to_be_visible(timeout=LOADING_MS)
    page.screenshot(path=tmp_path / "launcher.png")
    card.click()
    expect(page.get_by_role("heading", name="Train in this notebook")).to_be_visible(timeout=SOON_MS)
    page.screenshot(path=tmp_path / "opened.png")
    context.close()
