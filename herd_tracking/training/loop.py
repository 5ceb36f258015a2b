"""The loop over epochs and steps: the same in one process and on many workers."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from herd_tracking.dataset import Dataset, Loader
from herd_tracking.events import TrackingError
from herd_tracking.model.objective import loss
from herd_tracking.training.auc import add_scores, area, new_histogram
from herd_tracking.training.batches import Batches
from herd_tracking.training.checkpoint import LAST
from herd_tracking.training.clock import Clock
from herd_tracking.training.divergence import Share, advice, events_told, first_bad
from herd_tracking.training.peers import Peers
from herd_tracking.training.run import Run
from herd_tracking.training.scoring import logits_of
from herd_tracking.training.step import Step

Report = dict[str, Any]
FINISHED, SETTLED, STOPPED = "finished", "settled", "stopped"
"""How a training ends: all epochs are done; no better for ``patience`` epochs; it was asked to stop."""
_GUESSING = 0.98


class Loop:
    """Trains ``run`` on the events that this worker has. Only the first worker says and writes anything."""

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        directory: Path,
        *,
        peers: Peers,
        device: torch.device,
        say: Callable[[Report], None],
        wants_stop: Callable[[], bool],
    ) -> None:
        self.run, self.peers, self.device = run, peers, device
        self._directory, self._wants_stop = directory, wants_stop
        self._say = say if peers.is_first else _nothing
        self._clock = Clock(device)
        self._step = Step(run.model, run.optimizer, peers, self._clock)
        self._dataset = dataset
        self._batches = Batches(dataset, run.settings, peers, device)
        self._validation = Loader(
            dataset,
            "validation",
            run.settings.batch_events,
            shuffle=False,
            rank=peers.rank,
            world=peers.world,
            limit=run.settings.limit_validation,
            device=device,
        )
        self._saved_at = time.monotonic()

    def __call__(self) -> str:
        """Train until the end; return how it ended. Raises TrackingError."""
        settings, progress = self.run.settings, self.run.progress
        while not progress.is_over(settings.epochs, settings.patience):
            if self._epoch():
                self._save()
                return STOPPED
            self._end_epoch()
        return SETTLED if progress.epoch < settings.epochs else FINISHED

    def _epoch(self) -> bool:
        """Do the steps that are left of an epoch; return whether somebody wants to stop."""
        settings, progress = self.run.settings, self.run.progress
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        since, begun = progress.batch, time.perf_counter()
        shares: list[Share] = []
        self._clock.start()
        for batch in self._batches.of_epoch(progress.epoch, progress.batch):
            self._clock.lap("data")
            here = self._step(batch, settings.learning_rate_at(progress.step), self._wants_stop())
            sums += here
            shares.append(Share(progress.batch + 1, batch, self._step.share_loss))
            # To look at a sum is to wait for a GPU, and costs nothing elsewhere.
            if not here.is_cuda and not torch.isfinite(here[0]):
                raise self._diverged(float(here[0]), shares)
            progress.batch += 1
            progress.step += 1
            is_last = progress.batch == len(self._batches)
            if is_last or progress.step % settings.report_steps == 0 or (not here.is_cuda and here[2] > 0):
                if not torch.isfinite(sums[0]):
                    raise self._diverged(float(sums[0]), shares)
                wants_stop = self._report(sums, since, time.perf_counter() - begun)
                if wants_stop and not is_last:
                    return True
                self._save_in_time()
                sums.zero_()
                shares.clear()
                since, begun = progress.batch, time.perf_counter()
                self._clock.start()
        return False

    def _report(self, sums: torch.Tensor, since: int, seconds: float) -> bool:
        """Say how the steps from ``since`` on were; return whether somebody wants to stop."""
        settings, progress = self.run.settings, self.run.progress
        loss_sum, hits, wanting = sums.tolist()
        parts = self._clock.read()
        progress.loss_sum += loss_sum
        progress.hits += hits
        progress.seconds += seconds
        events = self._events_until(progress.batch) - self._events_until(since)
        self._say(
            {
                "epoch": progress.epoch + 1,
                "epochs": settings.epochs,
                "step": progress.step,
                "steps_per_epoch": len(self._batches),
                "loss": loss_sum / max(hits, 1),
                "learning_rate": settings.learning_rate_at(progress.step - 1),
                "events_per_s": events / max(seconds, 1e-9),
                "workers": self.peers.world,
                "seconds": seconds,
                **{f"{name}_s": parts.get(name, 0.0) for name in ("data", "compute", "exchange")},
            }
        )
        return wanting > 0

    def _end_epoch(self) -> None:
        """Validate, note, write, say."""
        progress = self.run.progress
        train = {
            "train_loss": progress.loss_sum / max(progress.hits, 1),
            "events_per_s": self._batches.events / max(progress.seconds, 1e-9),
            "train_seconds": progress.seconds,
        }
        found = self._validate()
        progress.begin_epoch()
        is_best = progress.take(found["val_auc"])
        report = {
            "epoch": progress.epoch,
            "epochs": self.run.settings.epochs,
            "step": progress.step,
            **train,
            **found,
            "is_best": is_best,
            "workers": self.peers.world,
        }
        progress.history.append(report)
        self._save(is_best)
        self._say(report)
        if train["train_loss"] > _GUESSING * found["prior_entropy"]:
            self._say({"message": _still_guessing(train["train_loss"], found["prior_entropy"])})

    def _validate(self) -> Report:
        """Return loss and AUC of the validation split, and what the loss would be by the ratio of the classes alone."""
        begun = time.perf_counter()
        model = self.run.model
        histogram = new_histogram(self.device)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for batch in self._validation:
            logits = logits_of(model, batch)
            add_scores(histogram, logits, batch.y, batch.mask)
            sums += torch.stack(loss(logits, batch))
        self.peers.add_up(histogram, sums)
        loss_sum, hits = sums.tolist()
        if not math.isfinite(loss_sum):
            raise TrackingError(
                f"epoch {self.run.progress.epoch + 1}: the validation loss is {loss_sum}. {self._advice()}"
            )
        return {
            "val_loss": loss_sum / max(hits, 1),
            "val_auc": area(histogram),
            "prior_entropy": _entropy(int(histogram[1].sum()) / max(hits, 1)),
            "val_seconds": time.perf_counter() - begun,
        }

    def _diverged(self, loss_sum: float, shares: list[Share]) -> TrackingError:
        """Return what all workers raise alike, as all of them see the same sums."""
        found = first_bad(shares)
        told = f"batch {found.number}, in {events_told(self.run.model, found.batch)}" if found else None
        told = next((one for one in self.peers.from_all(told) if one), f"batch {shares[-1].number}")
        return TrackingError(
            f"epoch {self.run.progress.epoch + 1}, {told} of {self._dataset.directory}: the loss is {loss_sum}, "
            f"which is not finite. {self._advice()}"
        )

    def _advice(self) -> str:
        last = self._directory / LAST
        return advice(
            str(self._dataset.directory),
            self.run.settings.learning_rate,
            self.run.model.precision,
            str(last) if last.exists() else None,
        )

    def _save_in_time(self) -> None:
        if time.monotonic() - self._saved_at >= self.run.settings.checkpoint_seconds:
            self._save()

    def _save(self, is_best: bool = False) -> None:
        if self.peers.is_first:
            self.run.save(self._directory, is_best)
        self._saved_at = time.monotonic()

    def _events_until(self, batch: int) -> int:
        return min(batch * self.run.settings.batch_events, self._batches.events)


def _nothing(report: Report) -> None:
    """What a worker says that is not the first."""


def _entropy(fraction: float) -> float:
    """Return the cross-entropy per hit of always saying ``fraction``, the true fraction of signal, in nats."""
    if not 0 < fraction < 1:
        return 0.0
    return -fraction * math.log(fraction) - (1 - fraction) * math.log(1 - fraction)


def _still_guessing(train_loss: float, entropy: float) -> str:
    return (
        f"The loss, {train_loss:.3f}, is still that of guessing by the ratio of the classes ({entropy:.3f}). Deep "
        "stacks without residuals stay there for some hundred steps; if this goes on, try preset deep or a lower "
        "learning rate."
    )
