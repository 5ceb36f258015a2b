"""Passes reports on to all who want them: the live view, a function of the user, MLflow."""

import math
import traceback
import warnings
from collections.abc import Callable
from typing import Any

Report = dict[str, Any]
Listener = Callable[[Report], None]


class Telling:
    """Calls each of ``listeners`` with each report. One that fails is named in a warning, and not called again."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def __call__(self, report: Report) -> None:
        """Pass a report on."""
        for listener in list(self._listeners):
            try:
                listener(report)
            except Exception:
                self._listeners.remove(listener)
                warnings.warn(
                    f"A listener to the training failed and gets no more reports: {traceback.format_exc(limit=-3)}",
                    stacklevel=2,
                )


class MlflowLog:
    """Writes a training to MLflow: settings as parameters, numbers as metrics over steps.

    ``where``: True for the tracking server of the environment (`MLFLOW_TRACKING_URI`), or the name of an experiment.
    """

    def __init__(self, where: bool | str, name: str, settings: Report) -> None:
        import mlflow

        self._mlflow = mlflow
        if isinstance(where, str):
            mlflow.set_experiment(where)
        self._run = mlflow.start_run(run_name=name, nested=mlflow.active_run() is not None)
        mlflow.log_params(settings)

    def __call__(self, report: Report) -> None:
        """Write the numbers of a report."""
        if "step" not in report:
            return
        # The run is named: reports may come from another thread than that which began it.
        metrics = {
            key: float(value)
            for key, value in report.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        }
        del metrics["step"]
        self._mlflow.log_metrics(metrics, step=report["step"], run_id=self._run.info.run_id)

    def finish(self, is_good: bool) -> None:
        """End the run."""
        status = "FINISHED" if is_good else "FAILED"
        self._mlflow.tracking.MlflowClient().set_terminated(self._run.info.run_id, status)
        self._mlflow.end_run(status)
