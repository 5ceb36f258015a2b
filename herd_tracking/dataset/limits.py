"""What the truth of an event may be, in a file that is imported and in a dataset that is there."""

from herd_tracking.events import EVENT_COLUMNS

UNIT_TOLERANCE = 1e-3
"""How far the length of a direction may be from 1."""

FARTHEST_POINT_CM = 1e4
"""Points of lines are kept in single precision: farther away, that is worse than a hit's resolution."""

POINTS = tuple(name for name in EVENT_COLUMNS if name.endswith("_cm"))
