"""Where the time of a training goes: data, compute, exchange."""

import time
from collections import defaultdict

import torch


class Clock:
    """Each `lap` gives the time since the last one a name. On a GPU, its own time counts, not that of the launches."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._is_cuda = torch.device(device).type == "cuda"
        self._seconds: dict[str, float] = defaultdict(float)
        self._marks: list[tuple[str, torch.cuda.Event]] = []
        self._last = time.perf_counter()
        self.start()

    def start(self) -> None:
        """Begin the next lap now: what was since the last one has no name."""
        self._last = time.perf_counter()
        if self._is_cuda:
            self._mark("")

    def lap(self, name: str) -> None:
        """End a lap, and begin the next."""
        if self._is_cuda:
            self._mark(name)
            return
        now = time.perf_counter()
        self._seconds[name] += now - self._last
        self._last = now

    def read(self) -> dict[str, float]:
        """Return the seconds by name since the last `read`; waits for the GPU."""
        if self._is_cuda and self._marks:
            torch.cuda.synchronize()
            for (_, before), (name, after) in zip(self._marks, self._marks[1:], strict=False):
                if name:
                    self._seconds[name] += before.elapsed_time(after) / 1000
            self._marks = self._marks[-1:]
        seconds, self._seconds = dict(self._seconds), defaultdict(float)
        return seconds

    def _mark(self, name: str) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append((name, event))
