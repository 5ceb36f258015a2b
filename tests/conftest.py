"""The order of the tests: what takes longest begins first, so that no single file is left to run alone at the end."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Files that take half a minute or more, the longest first; the others follow as they are found.
LONG = (
    "spawner/test_kill_points.py",
    "launcher/test_with_ray.py",
    "labclient/test_panel_browser.py",
    "service/cluster_api/test_any_request.py",
    "spawner/test_restart.py",
    "service/cluster_api/test_ray_dashboard_page.py",
    "tracking/training/test_loop.py",
    "tracking/notebooks/test_notebooks.py",
    "e2e/test_tracking.py",
    "e2e/test_chaos.py",
    "e2e/test_cluster_panel.py",
    "e2e/test_cluster.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    rank = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
