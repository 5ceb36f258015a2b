"""The bench of the API server says its figures, and they are good enough."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "apiserver.py"


def test_bench_prints_one_json_object_with_the_promised_figures():
    done = subprocess.run(
        [sys.executable, str(BENCH), "--quick", "--json"], capture_output=True, text=True, timeout=100
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["get_per_s"] >= 500
    assert figures["create_per_s"] >= 300
    assert figures["watchers"] == 100
    assert figures["watch_fanout_ms"] <= 100
