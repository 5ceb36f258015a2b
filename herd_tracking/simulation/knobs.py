"""Every rate of the toy simulation, with its unit; none of them is a published number of HERD unless it says so."""

import ast
import inspect
from dataclasses import dataclass, fields
from itertools import pairwise
from textwrap import dedent
from typing import NamedTuple

from herd_tracking.events import TrackingError


@dataclass(frozen=True)
class Knobs:
    """The toy's rates. Change one with ``dataclasses.replace``, or ``Knobs(noise_per_1000_channels=0.1)``."""

    energy_min_gev: float = 100.0
    energy_max_gev: float = 1000.0
    """Log-uniform between the two, which is a spectrum of E⁻¹."""
    sphere_radius_cm: float = 300.0
    """Primaries come from its upper half; its centre is the calorimeter's, as in HERD's generator card."""
    min_superlayers: int = 5
    """Accepted are lines that enter the calorimeter and cross so many superlayers of one sector before."""
    efficiency: float = 0.98
    """Of a fibre mat; measured for mats of the same fibres and SiPMs (LHCb SciFi telescope: 97.8 to 98.3 %)."""
    resolution_cm: float = 0.005
    """Of a cluster's coordinate; the same measurement has 38 and 43 µm, the digital limit of 250 µm is 72 µm."""
    mip_adc: float = 100.0
    """Most probable signal of a minimum-ionising particle at normal incidence, in ADC counts."""
    landau_width: float = 0.15
    """Width of the signal's distribution, as a part of its most probable value."""
    crosstalk: float = 0.15
    """Probability that a cluster lights a further channel."""
    radiation_lengths_per_superlayer: float = 0.02
    """What a soft particle scatters in; the primary, of 100 GeV or more, goes straight."""
    delta_per_plane: float = 0.03
    """Probability of a knock-on electron at each plane that the primary crosses."""
    delta_angle_rad: float = 0.5
    """Mean of its (exponential) angle to the primary. It has 5 MeV, and the backsplash's range."""
    backsplash_at_100_gev: float = 8.0
    """Secondaries that leave the calorimeter backward, in the mean, for an electron of 100 GeV."""
    backsplash_exponent: float = 0.5
    """They grow with energy to this power."""
    backsplash_cosine_power: float = 1.0
    """Their angle to the reversed shower axis follows the cosine to this power."""
    backsplash_photons: float = 0.6
    """Fraction that is photons, seen only where they convert; the others are seen from the first plane on."""
    backsplash_momentum_mev: float = 15.0
    """Mean of their (exponential) momentum, which says how much they scatter."""
    backsplash_range_superlayers: float = 2.2
    """Mean number of superlayers until they stop."""
    proton_backsplash: float = 0.6
    """Backsplash of a proton, compared with an electron's."""
    noise_per_1000_channels: float = 0.04
    """Clusters of SiPM noise, in one event."""
    noise_adc: float = 45.0
    """Scale of a noise cluster's signal: it is this, times 0.7 and an exponential of mean 0.5."""
    merge_cm: float = 0.05
    """Hits of one plane that are nearer than this are one cluster; what gave more of its signal, gives its name."""
    shower_depth_cm: float = 4.5
    """Mean depth in the calorimeter from which backsplash comes."""
    axis_angle_deg: float = 0.8
    """Error of the calorimeter's axis for electrons, per projection; protons have twice as much."""
    axis_point_cm: float = 0.3
    """Error of the point that it goes through, along each axis."""
    axis_tail: float = 0.05
    """Fraction of events whose axis is five times worse."""

    def checked(self) -> "Knobs":
        """Return these; TrackingError names a knob that no simulation can have."""
        fractions = {"efficiency", "crosstalk", "delta_per_plane", "backsplash_photons", "axis_tail"}
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, (int, float)) and 0 <= value < float("inf")):
                raise TrackingError(f"knob {field.name}: {value!r}; allowed are finite numbers from 0.")
            if field.name in fractions and value > 1:
                raise TrackingError(f"knob {field.name}: {value!r}; allowed are 0 to 1.")
        if not 0 < self.energy_min_gev <= self.energy_max_gev:
            raise TrackingError(
                f"knobs energy_min_gev, energy_max_gev: {self.energy_min_gev}, {self.energy_max_gev}; "
                "allowed is 0 < minimum <= maximum."
            )
        if not 1 <= self.min_superlayers <= 7:
            raise TrackingError(f"knob min_superlayers: {self.min_superlayers}; allowed are 1 to 7.")
        for name in (
            "sphere_radius_cm",
            "mip_adc",
            "backsplash_momentum_mev",
            "backsplash_range_superlayers",
        ):
            if getattr(self, name) <= 0:
                raise TrackingError(f"knob {name}: {getattr(self, name)}; allowed are numbers above 0.")
        if self.sphere_radius_cm < 150:
            raise TrackingError(
                f"knob sphere_radius_cm: {self.sphere_radius_cm}; the detector needs 150 or more."
            )
        return self


def meanings() -> dict[str, str]:
    """Return what each knob that has a sentence below it in `Knobs` means."""
    body = ast.parse(dedent(inspect.getsource(Knobs))).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: str(below.value.value)
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


# What compiled code reads: the same fields, as a type that it knows.
Rates = NamedTuple("Rates", [(field.name, float) for field in fields(Knobs)])  # type: ignore[misc]


def rates(knobs: Knobs) -> "Rates":
    """Return ``knobs`` for compiled code."""
    return Rates(**{field.name: float(getattr(knobs, field.name)) for field in fields(Knobs)})
