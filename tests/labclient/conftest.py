"""A stub of the service, and the client that talks to it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rayster_lab.client.session import session

from .stub_service import Stub


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave browser tests out, visibly, on a machine without Chromium; never in CI."""
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    here = Path(__file__).parent
    browser = [item for item in items if item.get_closest_marker("browser") and here in item.path.parents]
    if browser:
        config.hook.pytest_deselected(items=browser)
        items[:] = [item for item in items if item not in browser]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A service without clusters."""
    service = Stub().start()
    yield service
    service.stop()


@pytest.fixture
def here(stub: Stub, monkeypatch: pytest.MonkeyPatch):
    """The session of a kernel whose server the hub has told of the stub."""
    for name, value in stub.environment.items():
        monkeypatch.setenv(name, value)
    return session()
