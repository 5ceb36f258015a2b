"""The places on a cluster that a training has asked for: given back when its controller is gone.

Ray gives them back by itself when the notebook's process ends. Until then those of a controller that was ended stay,
also one that still waits for room, and the next training of the same notebook would get none. Ray's own remedy, an
actor beside each controller, knows only groups that have got their places, and costs 1 % of a core.
"""

from contextlib import suppress
from typing import Any

import ray
from ray._private.state import state as ray_state
from ray.core.generated import gcs_pb2
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup

# Made when it is imported, so type checkers know nothing of it.
_Table: Any = gcs_pb2.PlacementGroupTableData  # type: ignore[attr-defined]
_DEAD_SECONDS = 10.0


def give_back(controller: Any) -> None:
    """Remove all placement groups of an actor that has ended or is ending; wait for its end, but not for ever."""
    with suppress(ray.exceptions.RayError):
        # It answers by an error once it is dead, and creates nothing any more.
        ray.get(controller.__ray_terminate__.remote(), timeout=_DEAD_SECONDS)
    for group in _groups_of(controller._actor_id.binary()):
        remove_placement_group(group)


def _groups_of(actor_id: bytes) -> list[PlacementGroup]:
    """Return those that the actor has created and nobody has removed."""
    rows = ray_state._connect_and_get_accessor().get_placement_group_table()
    tables = [_Table.FromString(row) for row in rows]
    return [
        PlacementGroup(ray.PlacementGroupID(table.placement_group_id))
        for table in tables
        if table.creator_actor_id == actor_id and table.state != _Table.REMOVED
    ]
