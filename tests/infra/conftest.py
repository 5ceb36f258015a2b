"""Small stand-ins for the testbed's parts, and the repository as git has it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rayster_testbed.leftovers import end_processes
from rayster_testbed.parts import PartPlan

REPOSITORY = Path(__file__).parents[2]

# Says that it runs; ends on SIGTERM.
SERVE = "import time; print('running', flush=True); time.sleep(600)"


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory; whatever a failed test left running of it is ended."""
    yield tmp_path / "state"
    end_processes(tmp_path / "state", 0.5)


@pytest.fixture
def plan() -> Callable[..., PartPlan]:
    """Make the plan of a stand-in: a name, Python code, and more fields of `PartPlan`."""

    def make(name: str, code: str = SERVE, **fields) -> PartPlan:
        fields.setdefault("is_ready", None)
        fields.setdefault("ready_timeout_seconds", 10)
        return PartPlan(name=name, command=(sys.executable, "-c", code), **fields)

    return make


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen]:
    """A process that has nothing to do with any testbed."""
    process = subprocess.Popen([sys.executable, "-c", SERVE], start_new_session=True, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="session")
def tracked_files() -> list[Path]:
    """The repository's files, as git knows them or would take them."""
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    names = [name for name in answer.stdout.split("\0") if name]
    return [path for name in names if (path := REPOSITORY / name).is_file()]
