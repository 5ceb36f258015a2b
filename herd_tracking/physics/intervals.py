"""Numbers with their intervals: fractions, containments, and sums over groups of events."""

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.6827
"""The probability content of each interval: that of one standard deviation of a normal distribution."""

Z = 1.0
"""The half width, in standard deviations of a normal distribution, that holds `CONFIDENCE`."""


@dataclass(frozen=True)
class Estimate:
    """A number, its interval at `CONFIDENCE`, and how many things (hits, events, tracks) it was taken from.

    ``value``, ``low`` and ``high`` are NaN where there was nothing to take it from.
    """

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True)
class Estimates:
    """The same for each of B bins: f64[B] each, ``of`` i64[B]."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    of: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: int) -> Estimate:
        return Estimate(
            float(self.value[index]), float(self.low[index]), float(self.high[index]), int(self.of[index])
        )


def clopper_pearson(passed: np.ndarray, of: np.ndarray) -> Estimates:
    """Return ``passed / of`` with the exact interval (C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404).

    Both are counts of any shape [B]; a bin of nothing gives NaN. It holds the truth at least as often as `CONFIDENCE`
    says, whatever the truth and the counts; where none or all passed, it is still a limit on one side.
    """
    from scipy.special import betaincinv

    of = np.atleast_1d(np.asarray(of, dtype=np.int64))
    passed = np.atleast_1d(np.asarray(passed, dtype=np.int64))
    tail, failed, no_value = (1 - CONFIDENCE) / 2, of - passed, np.where(of == 0, np.nan, 0.0)
    # Quantiles of beta distributions; where the first parameter would be 0, the bound is 0 or 1.
    low = np.where(passed == 0, no_value, betaincinv(np.maximum(passed, 1), failed + 1, tail))
    high = np.where(failed == 0, no_value + 1, betaincinv(passed + 1, np.maximum(failed, 1), 1 - tail))
    with np.errstate(invalid="ignore"):
        return Estimates(passed / of, low, high, of)


def containment(values: np.ndarray, fraction: float) -> Estimate:
    """Return what holds ``fraction`` of ``values`` f[n], with the interval of its rank.

    The number of values below the true quantile is binomial, so its interval, read off the sorted values, is one of
    the quantile whatever their distribution (H. A. David, Order Statistics, section 7.1).
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return _contained(ordered, fraction)


def contained_by_bin(values: np.ndarray, bins: np.ndarray, count: int, fraction: float) -> Estimates:
    """Return `containment` of ``values`` f[n] in each of ``count`` bins; ``bins`` i[n] outside of them are left out."""
    inside = (bins >= 0) & (bins < count)
    values, bins = np.asarray(values, dtype=np.float64)[inside], bins[inside]
    ordered = values[np.lexsort((values, bins))]
    ends = np.cumsum(np.bincount(bins, minlength=count))
    starts = np.concatenate(([0], ends[:-1]))
    found = [_contained(ordered[a:b], fraction) for a, b in zip(starts, ends, strict=True)]
    return Estimates(
        np.array([one.value for one in found]),
        np.array([one.low for one in found]),
        np.array([one.high for one in found]),
        np.array([one.of for one in found], dtype=np.int64),
    )


def _contained(ordered: np.ndarray, fraction: float) -> Estimate:
    count = len(ordered)
    if count == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    spread = Z * np.sqrt(count * fraction * (1 - fraction))
    ranks = np.array(
        [np.ceil(count * fraction), np.floor(count * fraction - spread), count * fraction + spread + 1]
    )
    index = np.clip(np.ceil(ranks).astype(int) - 1, 0, count - 1)
    value, low, high = ordered[index]
    return Estimate(float(value), float(low), float(high), count)


def over_groups(values: np.ndarray, whole: float, of: int) -> Estimate:
    """Return ``whole`` with the standard error that the same quantity shows over G equal groups of events, f[G].

    It keeps the correlation of hits within an event, which an interval that counts hits would not.
    """
    finite = values[np.isfinite(values)]
    error = float(np.std(finite, ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else float("nan")
    return Estimate(whole, whole - Z * error, whole + Z * error, of)
