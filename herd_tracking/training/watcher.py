"""Tells the driver how the controller of a training does: which state it is in, and why workers were lost.

The hooks are Ray Train's own; its public callbacks know nothing of states. They run in the controller's process.
"""

from typing import Any

import ray
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback

_STATES = {
    "RESCHEDULING": "Waiting for workers …",
    "RESTARTING": "Starting again from the last checkpoint …",
    "RESIZING": "The number of workers has changed: starting again from the last checkpoint …",
}


class Watcher(ControllerCallback, WorkerGroupCallback):
    """Puts into the mailbox what happens."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._last = ""

    def after_controller_state_update(self, previous_state: Any, current_state: Any) -> None:
        """Tell the state, and at the beginning who the controller is."""
        if not self._last:
            self._mailbox.put.remote({"controller": ray.get_runtime_context().current_actor})
        name = current_state._state_type.name
        if name != self._last:
            self._last = name
            self._mailbox.put.remote({"is_running": name == "RUNNING"})
            if name == "SCHEDULING" and previous_state._state_type.name == "INITIALIZING":
                # Later ones follow a message that says why, and would push it out of view.
                self._mailbox.put.remote({"message": "Starting the processes of the workers …"})
            if name in _STATES:
                self._mailbox.put.remote({"message": _STATES[name]})

    def after_worker_group_poll_status(self, worker_group_status: Any) -> None:
        """Tell why workers were lost."""
        if worker_group_status.errors:
            self._mailbox.lost.remote(_reason(worker_group_status.errors))


def _reason(errors: dict[int, BaseException]) -> str:
    """Return a sentence: of a worker that has ended rather than of those that have noticed it by their own errors."""
    for rank, error in errors.items():
        if isinstance(
            error, (ray.exceptions.RayError, WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError)
        ):
            return f"The process or the node of worker {rank} has ended."
    rank, error = next(iter(errors.items()))
    # A user's exception comes with its traceback as text.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Worker {rank} failed: {lines[-1][:300] if lines else type(error).__name__}"
