"""The loops of the line fit, one view of one sector at a time; compiled, since each view has another number of hits."""

import math

import numpy as np

from herd_tracking.compiled import compiled

SUPERLAYERS = 16  # more than any geometry has; the size of the scratch array

INTERCEPT, SLOPE, SLOPE_ERROR, CHI_SQUARE, HITS = range(5)


@compiled(nogil=True)
def best_pair(depth, coordinate, superlayer, weight, window):
    """Return intercept (cm), slope and vote of the line through two hits that has the most weight near it.

    All f64[n]; a superlayer counts once, by the hit that is nearest and heaviest, tapered to 0 at ``window`` cm.
    Pairs of adjacent superlayers point badly, so they are tried only where there is nothing else.
    """
    best_intercept, best_slope, best_vote = 0.0, 0.0, -1.0
    share = np.empty(SUPERLAYERS)
    for apart in (2, 1):
        for i in range(len(depth)):
            for j in range(i + 1, len(depth)):
                if abs(superlayer[i] - superlayer[j]) < apart:
                    continue
                slope = (coordinate[j] - coordinate[i]) / (depth[j] - depth[i])
                intercept = coordinate[i] - slope * depth[i]
                share[:] = 0.0
                for k in range(len(depth)):
                    pull = abs(coordinate[k] - intercept - slope * depth[k]) / window
                    if pull < 1.0:
                        share[superlayer[k]] = max(share[superlayer[k]], weight[k] * (1.0 - pull * pull))
                vote = share.sum()
                if vote > best_vote:
                    best_intercept, best_slope, best_vote = intercept, slope, vote
        if best_vote > 0.0:
            break
    return best_intercept, best_slope, best_vote


@compiled(nogil=True)
def keep_nearest(depth, coordinate, superlayer, weight, intercept, slope, window, keep):
    """Set ``keep`` bool[n]: in each superlayer the hit within ``window`` cm with the largest tapered weight."""
    best = np.full(SUPERLAYERS, -1)
    share = np.zeros(SUPERLAYERS)
    keep[:] = False
    for k in range(len(depth)):
        pull = abs(coordinate[k] - intercept - slope * depth[k]) / window
        if pull < 1.0 and weight[k] * (1.0 - pull * pull) > share[superlayer[k]]:
            share[superlayer[k]] = weight[k] * (1.0 - pull * pull)
            best[superlayer[k]] = k
    for k in best:
        if k >= 0:
            keep[k] = True


@compiled(nogil=True)
def least_squares(depth, coordinate, weight, keep):
    """Return intercept, slope, the variance factor of the slope, mean depth, hits; slope NaN: no line in them.

    The line minimises the sum of weight x residual^2; times the squared resolution of a hit, the factor is the
    variance of the slope (error propagation through the weighted mean; equal resolutions whatever the weights).
    """
    total, mean_depth, mean_coordinate, hits = 0.0, 0.0, 0.0, 0
    for k in range(len(depth)):
        if keep[k]:
            total += weight[k]
            mean_depth += weight[k] * depth[k]
            mean_coordinate += weight[k] * coordinate[k]
            hits += 1
    if hits < 2 or total <= 0.0:
        return 0.0, math.nan, math.nan, 0.0, hits
    mean_depth /= total
    mean_coordinate /= total
    spread, product, factor = 0.0, 0.0, 0.0
    for k in range(len(depth)):
        if keep[k]:
            arm = depth[k] - mean_depth
            spread += weight[k] * arm * arm
            product += weight[k] * arm * (coordinate[k] - mean_coordinate)
            factor += (weight[k] * arm) ** 2
    if spread <= 1e-9 * total:
        return 0.0, math.nan, math.nan, mean_depth, hits
    slope = product / spread
    return mean_coordinate - slope * mean_depth, slope, factor / spread**2, mean_depth, hits


@compiled(nogil=True)
def keep_near(depth, coordinate, intercept, slope, cut, among, keep):
    """Set ``keep`` bool[n] to the hits ``among`` bool[n] within ``cut`` cm of the line; return how many are not."""
    dropped = 0
    for k in range(len(depth)):
        keep[k] = among[k] and abs(coordinate[k] - intercept - slope * depth[k]) <= cut
        dropped += among[k] and not keep[k]
    return dropped


@compiled(nogil=True)
def without_worst(depth, coordinate, weight, keep):
    """Return intercept and slope of the line through the hits ``keep`` bool[n] but the one that is furthest off it."""
    intercept, slope, _, _, _ = least_squares(depth, coordinate, weight, keep)
    worst, furthest = -1, -1.0
    for k in range(len(depth)):
        off = abs(coordinate[k] - intercept - slope * depth[k])
        if keep[k] and off > furthest:
            worst, furthest = k, off
    rest = keep.copy()
    rest[worst] = False
    intercept, slope, _, _, _ = least_squares(depth, coordinate, weight, rest)
    return intercept, slope


@compiled(nogil=True)
def fit_views(
    pointer, depth, coordinate, superlayer, weight, window, outlier_cm, seeded, resolution, lines, used
):
    """Fit V views, whose hits stand between ``pointer`` i64[V+1]; fills ``lines`` f64[V, 5] and ``used`` bool[n].

    A row of ``lines`` has the columns `INTERCEPT` (cm), `SLOPE`, `SLOPE_ERROR`, `CHI_SQUARE`, `HITS` (on the line).
    """
    for view in range(len(pointer) - 1):
        first, last = pointer[view], pointer[view + 1]
        d, c, s, w = depth[first:last], coordinate[first:last], superlayer[first:last], weight[first:last]
        keep = used[first:last]
        lines[view, :] = math.nan
        lines[view, HITS] = 0.0
        if seeded:
            intercept, slope, vote = best_pair(d, c, s, w, window)
            if vote <= 0.0:
                continue
            keep_nearest(d, c, s, w, intercept, slope, window, keep)
        else:
            keep[:] = True
        intercept, slope, factor, _, hits = least_squares(d, c, w, keep)
        if math.isnan(slope):
            keep[:] = False
            continue
        cut = outlier_cm
        if not seeded:  # nothing told the track's hits from the others, so their own spread must
            square, total = 0.0, 0.0
            for k in range(last - first):
                square += w[k] * (c[k] - intercept - slope * d[k]) ** 2
                total += w[k]
            cut = max(outlier_cm, 1.5 * math.sqrt(square / total))
        trial = keep.copy()
        if keep_near(d, c, intercept, slope, cut, keep, trial) > 0:
            if seeded:
                # The worst hit has pulled the line toward itself, and so away from good ones: judge those without it.
                intercept, slope = without_worst(d, c, w, keep)
                keep_near(d, c, intercept, slope, cut, keep, trial)
            again = least_squares(d, c, w, trial)
            if not math.isnan(again[1]):
                keep[:] = trial
        intercept, slope, factor, _, hits = least_squares(d, c, w, keep)
        chi_square = 0.0
        for k in range(last - first):
            if keep[k]:
                chi_square += ((c[k] - intercept - slope * d[k]) / resolution) ** 2
        lines[view, INTERCEPT] = intercept
        lines[view, SLOPE] = slope
        lines[view, SLOPE_ERROR] = resolution * math.sqrt(factor)
        lines[view, CHI_SQUARE] = chi_square
        lines[view, HITS] = hits
