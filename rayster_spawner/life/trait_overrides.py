"""Sets traits for one spawn and puts the configured values back before the next."""

from typing import Any


class TraitOverrides:
    """The traits of ``owner`` that a spawn has changed, with their values from before. They are set, never mutated."""

    def __init__(self, owner: Any):
        self._owner = owner
        self._before: dict[str, Any] = {}

    def set(self, **values: Any) -> None:
        """Set traits until `undo`."""
        for name, value in values.items():
            self._before.setdefault(name, getattr(self._owner, name))
            setattr(self._owner, name, value)

    def undo(self) -> None:
        """Put back what was there before the first `set`."""
        before, self._before = self._before, {}
        for name, value in before.items():
            setattr(self._owner, name, value)
