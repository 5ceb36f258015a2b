"""What all tests share: their order, what they leave out, and how many threads a library takes.

What takes longest begins first, so that no single file is left to run alone at the end.
"""

import os
import shutil
from pathlib import Path

import pytest

# Before torch and NumPy are there, also for what the tests start: as many threads as cores in each of some processes
# wait for each other with all their might.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long files first. Leave browser tests out, visibly, on a machine without Chromium; never in CI."""
    rank = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    browser = [item for item in items if item.get_closest_marker("browser")]
    if browser:
        config.hook.pytest_deselected(items=browser)
        items[:] = [item for item in items if item not in browser]
