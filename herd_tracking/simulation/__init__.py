"""The toy simulation of electrons and protons in the Fiber Tracker: not HERD's own, which is not public."""

from herd_tracking.simulation.generator import CHUNK, features, simulate
from herd_tracking.simulation.knobs import Knobs

__all__ = ["CHUNK", "Knobs", "features", "simulate"]
