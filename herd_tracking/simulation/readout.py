"""What the readout makes of hits, compiled: clusters in the order of the planes, and the network's features."""

import math

import numpy as np

from herd_tracking.compiled import compiled
from herd_tracking.simulation.kernel import NORMAL_AXIS, U_AXIS, U_SIGN

_PLANES, _PER_SECTOR, _VIEWS = 70, 14, 2
_COORDINATE_SCALE_CM, _DEPTH_SCALE_CM, _ADC_SCALE, _RESIDUAL_SCALE_CM = 50.0, 15.0, 100.0, 10.0
_RESIDUAL_BOUND = 3.0


@compiled(nogil=True, error_model="numpy")
def merge_hits(raw, ptr, merge_cm, clusters, cluster_ptr):
    """Fill ``clusters`` f32[>=N, 5] and ``cluster_ptr`` i64[E+1] from the hits ``raw`` f32[N, 5] of events at ``ptr``.

    Columns are plane, coordinate in cm, ADC counts, channels, class. Within an event clusters stand by plane and
    coordinate, so that their order tells nothing; hits of one plane nearer than ``merge_cm`` are one, of the class that
    gave the largest signal. Returns the number of clusters.
    """
    used = 0
    order = np.empty(np.diff(ptr).max(), dtype=np.int64)
    begin = np.empty(_PLANES + 1, dtype=np.int64)
    for event in range(len(ptr) - 1):
        hits = raw[ptr[event] : ptr[event + 1]]
        begin[:] = 0
        for i in range(len(hits)):
            begin[int(hits[i, 0]) + 1] += 1
        for plane in range(_PLANES):
            begin[plane + 1] += begin[plane]
        place = begin.copy()
        for i in range(len(hits)):
            plane = int(hits[i, 0])
            j = place[plane]
            while j > begin[plane] and hits[order[j - 1], 1] > hits[i, 1]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            place[plane] += 1
        start = used
        strongest = np.float32(0)
        for number in range(len(hits)):
            hit = hits[order[number]]
            last = used - 1
            if used > start and clusters[last, 0] == hit[0] and hit[1] - clusters[last, 1] < merge_cm:
                total = clusters[last, 2] + hit[2]
                clusters[last, 1] = (clusters[last, 1] * clusters[last, 2] + hit[1] * hit[2]) / total
                clusters[last, 2] = total
                clusters[last, 3] = max(clusters[last, 3], hit[3]) + 1
                if hit[2] > strongest:
                    clusters[last, 4], strongest = hit[4], hit[2]
                continue
            clusters[used] = hit
            strongest = hit[2]
            used += 1
        cluster_ptr[event + 1] = used
    return used


@compiled(nogil=True, error_model="numpy")
def fill_features(fit, raw, ptr, table, depth, x):
    """Fill ``x`` f32[N, 7] (`FEATURES`) for hits ``raw`` f32[N, >=4]; events begin at ``ptr``; ``depth`` by plane."""
    for event in range(len(ptr) - 1):
        point = (float(table[event, 12]), float(table[event, 13]), float(table[event, 14]))
        axis = (float(table[event, 9]), float(table[event, 10]), float(table[event, 11]))
        for hit in range(ptr[event], ptr[event + 1]):
            plane = int(raw[hit, 0])
            coordinate, signal, size = raw[hit, 1], raw[hit, 2], raw[hit, 3]
            normal, first = int(fit.table[plane, NORMAL_AXIS]), int(fit.table[plane, U_AXIS])
            # An axis along a plane says nothing about it.
            residual = _RESIDUAL_BOUND
            if abs(axis[normal]) > 1e-6:
                path = (fit.table[plane, normal] - point[normal]) / axis[normal]
                u = (point[first] + path * axis[first] - fit.table[plane, first]) * fit.table[plane, U_SIGN]
                residual = min(max((coordinate - u) / _RESIDUAL_SCALE_CM, -_RESIDUAL_BOUND), _RESIDUAL_BOUND)
            x[hit, 0] = coordinate / _COORDINATE_SCALE_CM
            x[hit, 1] = depth[plane] / _DEPTH_SCALE_CM
            x[hit, 2] = plane % _VIEWS
            x[hit, 3] = plane < _PER_SECTOR
            x[hit, 4] = math.log1p(signal / _ADC_SCALE)
            x[hit, 5] = math.log(size)
            x[hit, 6] = residual
