"""The file of the image that ends KubeRay's wait for a head, which a site's nodes do not know by name."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "images" / "notebook" / "skip-gcs-wait.sh"
# As KubeRay 1.7 writes it (controllers/ray/common/pod.go).
KUBERAY = """
  SECONDS=0
  while true; do
    if (( SECONDS <= 120 )); then
      if ray health-check --address head.invalid:6379 > /dev/null 2>&1; then break; fi
      echo "$SECONDS seconds elapsed: Waiting for GCS to be ready."
    fi
    sleep 5
  done
"""


@pytest.mark.parametrize("options", ["-c", "-lc", "-euc"])
def test_kuberays_wait_ends_at_once(options):
    ended = subprocess.run(
        ["/bin/bash", options, KUBERAY],
        env={"BASH_ENV": str(SCRIPT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert ended.returncode == 0, ended.stderr
    assert "the launcher waits" in ended.stdout


def test_other_commands_of_bash_run_as_ever():
    ended = subprocess.run(
        ["/bin/bash", "-uc", "echo done; exit 7"],
        env={"BASH_ENV": str(SCRIPT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert (ended.returncode, ended.stdout) == (7, "done\n")
