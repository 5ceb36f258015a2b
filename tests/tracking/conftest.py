"""Tests that train or compile share the cores with all others: they get more time than most."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests below this directory their time, unless they say one themselves."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))
