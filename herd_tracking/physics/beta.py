"""The incomplete beta function and its inverse, of which the exact intervals of counts are made."""

import math

import numpy as np

from herd_tracking.compiled import compiled

_TINY = 1e-300
_ROUNDING = 1e-15
_MOST_TERMS = 1_000_000
_MOST_STEPS = 200


@compiled()
def incomplete_beta(x, a, b):
    """Return I_x(a, b), regularised, for x from 0 to 1 and a, b > 0.

    By the continued fraction of NIST's Handbook of Mathematical Functions, 8.17.22, evaluated as Lentz does. It needs
    about sqrt(max(a, b)) terms where x is near the mean, and few elsewhere.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    # The fraction converges fast below the mean; above it, the other tail's does.
    is_low = x < (a + 1.0) / (a + b + 2.0)
    if not is_low:
        x, a, b = 1.0 - x, b, a
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    upper, lower = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
    fraction = lower
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            lower = 1.0 + term * lower
            lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
            upper = 1.0 + term / upper
            upper = upper if abs(upper) > _TINY else _TINY
            fraction *= upper * lower
        if abs(upper * lower - 1.0) < _ROUNDING:
            break
    part = front * fraction / a
    return part if is_low else 1.0 - part


@compiled()
def inverse_beta(probability, a, b, guess):
    """Return the x at which I_x(a, b) is ``probability``, by Newton's method from ``guess``, kept between bounds."""
    low, high, x = 0.0, 1.0, guess
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(_MOST_STEPS):
        if not low < x < high:
            x = (low + high) / 2
        off = incomplete_beta(x, a, b) - probability
        if off > 0.0:
            high = x
        else:
            low = x
        density = math.exp(constant + (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x))
        step = off / density if density > _TINY else math.inf
        x -= step
        if abs(step) < 1e-14 * x or high - low < 1e-15 * high:
            break
    return min(max(x, low), high)


@compiled()
def fill_clopper_pearson(passed, of, tail, low, high):
    """Fill ``low`` and ``high`` f64[B] with the bounds outside of which is ``tail`` at either side; NaN for 0 of 0.

    The lower bound is the quantile ``tail`` of Beta(passed, failed + 1), the upper one 1 - ``tail`` of
    Beta(passed + 1, failed); 0 and 1 where there is no such.
    """
    for place in range(len(of)):
        yes, total = float(passed[place]), float(of[place])
        no = total - yes
        if total == 0.0:
            low[place] = high[place] = np.nan
            continue
        # Wilson's interval is near enough to begin with.
        centre, half = (yes + 0.5) / (total + 1.0), math.sqrt(yes * no / total + 0.25) / (total + 1.0)
        low[place] = 0.0 if yes == 0.0 else inverse_beta(tail, yes, no + 1.0, centre - half)
        high[place] = 1.0 if no == 0.0 else inverse_beta(1.0 - tail, yes + 1.0, no, centre + half)
