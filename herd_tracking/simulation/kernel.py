"""One event after the other, compiled: the primary, its knock-on electrons, the backsplash, the noise.

Positions in cm, energies in GeV. ``draw`` is a numpy Generator; compiled code and numpy take the same numbers from it.
"""

import math

import numpy as np

from herd_tracking.compiled import compiled

PRIMARY, DELTA, BACKSPLASH, NOISE = 0, 1, 2, 3
_PER_SECTOR, _SUPERLAYERS, _VIEWS, _SECTORS = 14, 7, 2, 5
_PROTON = 2212.0
# Columns of the planes' table; 0 to 2 are the middle of the plane in cm.
NORMAL_AXIS, NORMAL_SIGN, U_AXIS, U_SIGN, V_AXIS, HALF_U, HALF_V = 3, 4, 5, 6, 7, 8, 9
_MAT_CM = 0.135  # six layers of 250 µm fibres, close-packed: what a slanted track crosses sideways
TOO_MANY = -1
NEVER_ACCEPTED = -2
_MAX_TRIES = 1_000_000


@compiled(nogil=True, error_model="numpy")
def make_events(draw, rates, fit, most, pdgs, table, raw, ptr):
    """Fill ``table`` f32[E, 15], ``ptr`` i64[E+1] and ``raw`` f32[room, 5]: plane, coordinate, ADC, channels, class.

    ``pdgs`` f64[E] says which particles. Returns the number of hits; `TOO_MANY` when there is no room or an event has
    more than ``most``, `NEVER_ACCEPTED` when no line is accepted.
    """
    used = 0
    for event in range(len(pdgs)):
        scratch = raw[used : used + most]
        pdg = pdgs[event]
        energy = math.exp(
            math.log(rates.energy_min_gev)
            + draw.random() * (math.log(rates.energy_max_gev) - math.log(rates.energy_min_gev))
        )
        entry, sector, point, direction = _primary(draw, rates, fit)
        if sector < 0:
            return NEVER_ACCEPTED
        made = _primary_hits(draw, rates, fit, point, direction, entry, scratch)
        depth = draw.gamma(3.0, rates.shower_depth_cm / 3.0)
        source = _at(point, direction, entry + depth)
        made = _backsplash(draw, rates, fit, energy, pdg, source, direction, scratch, made)
        made = _noise(draw, rates, fit, scratch, made)
        if made < 0:
            return TOO_MANY
        axis_point, axis_direction = _axis(draw, rates, pdg, source, direction)
        before = _at(point, direction, entry - 60.0)
        table[event, 0], table[event, 7], table[event, 8] = energy, sector, pdg
        for axis in range(3):
            table[event, 1 + axis] = direction[axis]
            table[event, 4 + axis] = before[axis]
            table[event, 9 + axis] = axis_direction[axis]
            table[event, 12 + axis] = axis_point[axis]
        used += made
        ptr[event + 1] = used
    return used


@compiled(nogil=True, error_model="numpy", forceinline=True)
def _at(point, direction, path):
    """Return the point of a line after ``path``."""
    return (point[0] + path * direction[0], point[1] + path * direction[1], point[2] + path * direction[2])


@compiled(nogil=True, error_model="numpy")
def _primary(draw, rates, fit):
    """Draw an accepted line; return the path to the calorimeter, the sector crossed most (or -1), point, direction."""
    low, high = fit.low, fit.high
    for _ in range(_MAX_TRIES):
        # Uniform on the upper hemisphere, then inward by the cosine law: an isotropic flux.
        cosine = draw.random()
        along, across = _azimuth(draw)
        sine = math.sqrt(1 - cosine * cosine)
        out = (sine * along, sine * across, cosine)
        centre_z = (low[2] + high[2]) / 2
        point = _at((0.0, 0.0, centre_z), out, rates.sphere_radius_cm)
        direction = _around(draw, (-out[0], -out[1], -out[2]), math.sqrt(draw.random()))
        near, far = 0.0, 1e9
        for axis in range(3):
            if direction[axis] == 0.0:
                continue
            a, b = (low[axis] - point[axis]) / direction[axis], (high[axis] - point[axis]) / direction[axis]
            near, far = max(near, min(a, b)), min(far, max(a, b))
        if near >= far:
            continue
        best, most = -1, 0
        for sector in range(_SECTORS):
            count = 0
            for superlayer in range(_SUPERLAYERS):
                inside = True
                for view in range(_VIEWS):
                    plane = sector * _PER_SECTOR + superlayer * _VIEWS + view
                    path, _u, is_inside = _cross(fit, plane, point, direction)
                    inside = inside and is_inside and path < near
                count += inside
            if count > most:
                best, most = sector, count
        if most >= rates.min_superlayers:
            return near, best, point, direction
    return -1.0, -1, (0.0, 0.0, 0.0), (0.0, 0.0, -1.0)


@compiled(nogil=True, error_model="numpy", forceinline=True)
def _azimuth(draw):
    """Return cosine and sine of an angle, uniform on the circle: a point in the disk costs less than both functions."""
    while True:
        x, y = 2 * draw.random() - 1, 2 * draw.random() - 1
        square = x * x + y * y
        if 1e-12 < square <= 1:
            length = math.sqrt(square)
            return x / length, y / length


@compiled(nogil=True, error_model="numpy", forceinline=True)
def _around(draw, axis, cosine):
    """Return a unit vector at this cosine to ``axis``, at any azimuth."""
    x, y, z = axis
    along, across = _azimuth(draw)
    if abs(z) < 0.9:
        ax, ay, az = -y, x, 0.0
    else:
        ax, ay, az = 0.0, -z, y
    length = math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / length, ay / length, az / length
    bx, by, bz = y * az - z * ay, z * ax - x * az, x * ay - y * ax
    sine = math.sqrt(max(0.0, 1 - cosine * cosine))
    c, s = sine * along, sine * across
    return (cosine * x + c * ax + s * bx, cosine * y + c * ay + s * by, cosine * z + c * az + s * bz)


@compiled(nogil=True, error_model="numpy", forceinline=True)
def _cross(fit, plane, point, direction):
    """Return path, coordinate and whether it is within the plane, where a line crosses it."""
    normal = int(fit.table[plane, NORMAL_AXIS])
    along = direction[normal]
    if abs(along) < 1e-6:
        return -1.0, 0.0, False
    path = (fit.table[plane, normal] - point[normal]) / along
    if path <= 0:
        return path, 0.0, False
    first, second = int(fit.table[plane, U_AXIS]), int(fit.table[plane, V_AXIS])
    u = (point[first] + path * direction[first] - fit.table[plane, first]) * fit.table[plane, U_SIGN]
    v = point[second] + path * direction[second] - fit.table[plane, second]
    return path, u, abs(u) <= fit.table[plane, HALF_U] and abs(v) <= fit.table[plane, HALF_V]


@compiled(nogil=True, error_model="numpy", forceinline=True)
def _hit(draw, rates, fit, plane, u, direction, heavy, kind, scratch, made):
    """Add the hit of a particle unless it falls into a gap or is not seen; return how many hits there are."""
    if made < 0 or made >= len(scratch):
        return TOO_MANY
    place = (u + fit.table[plane, HALF_U]) % fit.slot
    if abs(place - fit.slot / 2) > fit.active / 2 or draw.random() > rates.efficiency:
        return made
    across = max(abs(direction[int(fit.table[plane, NORMAL_AXIS])]), 0.05)
    along = direction[int(fit.table[plane, U_AXIS])]
    gauss = draw.standard_normal()
    # Moyal's approximation of Landau's distribution.
    signal = 1 + rates.landau_width * (-math.log(max(gauss * gauss, 1e-12)) - 1.27)
    channels = 1 + abs(along) / across * _MAT_CM / fit.channel
    size = math.floor(channels + draw.random()) + (draw.random() < rates.crosstalk)
    measured = u + rates.resolution_cm * draw.standard_normal()
    if abs(measured) > fit.table[plane, HALF_U]:
        measured = u
    scratch[made, 0] = plane
    scratch[made, 1] = measured
    scratch[made, 2] = rates.mip_adc * max(signal, 0.2) * heavy / across
    scratch[made, 3] = size
    scratch[made, 4] = kind
    return made + 1


@compiled(nogil=True, error_model="numpy")
def _primary_hits(draw, rates, fit, point, direction, entry, scratch):
    """Add the hits of the primary until it enters the calorimeter, and of the electrons that it knocks on."""
    made = 0
    for plane in range(_SECTORS * _PER_SECTOR):
        path, u, inside = _cross(fit, plane, point, direction)
        if not inside or path >= entry:
            continue
        made = _hit(draw, rates, fit, plane, u, direction, 1.0, PRIMARY, scratch, made)
        if draw.random() < rates.delta_per_plane:
            cosine = math.cos(min(1.5, draw.exponential(rates.delta_angle_rad)))
            knocked = _around(draw, direction, cosine)
            start = _at(_at(point, direction, path), knocked, -0.01)
            made = _through(
                draw, rates, fit, plane // _PER_SECTOR, start, knocked, 5.0, False, DELTA, scratch, made
            )
    return made


@compiled(nogil=True, error_model="numpy")
def _through(draw, rates, fit, sector, start, heading, momentum, late, kind, scratch, made):
    """Let a soft particle go through a sector: it scatters, and stops after some superlayers.

    ``late``: it is a photon, and nothing is seen before it converts, in any of the superlayers alike. Scattering is
    13.6 MeV / p * sqrt(x / X0) per projection and superlayer (Particle Data Group, without the logarithm).
    """
    at, toward = start, heading
    along = (
        toward[int(fit.table[sector * _PER_SECTOR, NORMAL_AXIS])]
        * fit.table[sector * _PER_SECTOR, NORMAL_SIGN]
    )
    left = draw.geometric(min(1.0, 1.0 / rates.backsplash_range_superlayers))
    skip = int(draw.random() * _SUPERLAYERS) if late else 0
    theta = 0.0136 / (momentum * 1e-3) * math.sqrt(rates.radiation_lengths_per_superlayer)
    for step in range(skip, _SUPERLAYERS):
        # Outward from the calorimeter, or inward with the primary.
        superlayer = _SUPERLAYERS - 1 - step if along > 0 else step
        seen = False
        for order in range(_VIEWS):
            view = 1 - order if along > 0 else order
            plane = sector * _PER_SECTOR + superlayer * _VIEWS + view
            path, u, inside = _cross(fit, plane, at, toward)
            if not inside:
                continue
            seen = True
            at = _at(at, toward, path)
            heavy = 1.0 + 0.5 * draw.exponential(1.0)
            made = _hit(draw, rates, fit, plane, u, toward, heavy, kind, scratch, made)
        if not seen:
            continue
        left -= 1
        if left <= 0:
            return made
        angle = theta * math.sqrt(2.0) * math.sqrt(-math.log(max(draw.random(), 1e-12)))
        toward = _around(draw, toward, math.cos(min(angle, 1.5)))
    return made


@compiled(nogil=True, error_model="numpy")
def _backsplash(draw, rates, fit, energy, pdg, source, direction, scratch, made):
    """Add what the shower throws back through the sectors."""
    mean = rates.backsplash_at_100_gev * (energy / 100.0) ** rates.backsplash_exponent
    if pdg == _PROTON:
        mean *= rates.proton_backsplash
    reverse = (-direction[0], -direction[1], -direction[2])
    for _ in range(draw.poisson(mean)):
        cosine = draw.random() ** (1.0 / (rates.backsplash_cosine_power + 1.0))
        back = _around(draw, reverse, cosine)
        late = draw.random() < rates.backsplash_photons
        momentum = 1.0 + draw.exponential(rates.backsplash_momentum_mev)
        for sector in range(_SECTORS):
            # A straight line that misses the innermost plane misses most of the others.
            plane = sector * _PER_SECTOR + _PER_SECTOR - 1
            if (
                back[int(fit.table[plane, NORMAL_AXIS])] * fit.table[plane, NORMAL_SIGN] > 0.05
                and _cross(fit, plane, source, back)[2]
            ):
                made = _through(
                    draw, rates, fit, sector, source, back, momentum, late, BACKSPLASH, scratch, made
                )
    return made


@compiled(nogil=True, error_model="numpy")
def _noise(draw, rates, fit, scratch, made):
    """Add clusters of SiPM noise anywhere."""
    for _ in range(draw.poisson(rates.noise_per_1000_channels * fit.channels / 1000.0)):
        if made < 0 or made >= len(scratch):
            return TOO_MANY
        plane = np.searchsorted(fit.cumulated, draw.random() * fit.channels, side="right")
        plane = min(plane, _SECTORS * _PER_SECTOR - 1)
        slots = round(2 * fit.table[plane, HALF_U] / fit.slot)
        slot = int(draw.random() * max(slots, 1))
        u = (slot + 0.5) * fit.slot - fit.table[plane, HALF_U] + (draw.random() - 0.5) * fit.active
        scratch[made, 0] = plane
        scratch[made, 1] = u
        scratch[made, 2] = rates.noise_adc * (0.7 + 0.5 * draw.exponential(1.0))
        scratch[made, 3] = 1 + (draw.random() < rates.crosstalk)
        scratch[made, 4] = NOISE
        made += 1
    return made


@compiled(nogil=True, error_model="numpy")
def _axis(draw, rates, pdg, source, direction):
    """Return what the calorimeter says of the shower: a point and a direction, smeared."""
    worse = 2.0 if pdg == _PROTON else 1.0
    if draw.random() < rates.axis_tail:
        worse *= 5.0
    sigma = math.radians(rates.axis_angle_deg) * worse
    angle = sigma * math.sqrt(-2.0 * math.log(max(draw.random(), 1e-12)))
    smeared = _around(draw, direction, math.cos(min(angle, 1.5)))
    spread = rates.axis_point_cm * worse
    point = (
        source[0] + spread * draw.standard_normal(),
        source[1] + spread * draw.standard_normal(),
        source[2] + spread * draw.standard_normal(),
    )
    return point, smeared
