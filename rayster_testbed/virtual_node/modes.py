"""The two ways in which the virtual node can behave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """What differs between the modes.

    Args:
        status_interval_seconds: time between two looks at the statuses.
        refresh_seconds: at least this long between two true refreshes, each of one random pod (the plugin's reply is
            cached globally and belongs to whichever pod asked first); 0 refreshes every pod at each look.
        ping_seconds: time between two pings of the plugin.
        first_ping_at_once: ping at start; otherwise the node stays NotReady for the first *ping_seconds*.
        failed_pings_until_not_ready: how many pings in a row must fail.
        careful: repeat deletes until they work, and ask the plugin before a pod is submitted again.
        plugin_reasons: show the reason that the plugin gives for an end instead of `Completed` / `Error: <code>`.
    """

    status_interval_seconds: float
    refresh_seconds: float
    ping_seconds: float
    first_ping_at_once: bool
    failed_pings_until_not_ready: int
    careful: bool
    plugin_reasons: bool


def behaviour(
    mode: str,
    status_interval_seconds: float | None = None,
    refresh_seconds: float | None = None,
    ping_seconds: float | None = None,
) -> Behaviour:
    """The behaviour of *mode* (`as-found` or `ideal`), with its own times unless others are given.

    Raises: ValueError for another mode.
    """

    def given(value: float | None, default: float) -> float:
        return default if value is None else value

    if mode == "as-found":
        return Behaviour(
            status_interval_seconds=given(status_interval_seconds, 5.0),
            refresh_seconds=given(refresh_seconds, 10.0),
            ping_seconds=given(ping_seconds, 30.0),
            first_ping_at_once=False,
            failed_pings_until_not_ready=1,
            careful=False,
            plugin_reasons=False,
        )
    if mode == "ideal":
        return Behaviour(
            status_interval_seconds=given(status_interval_seconds, 1.0),
            refresh_seconds=0.0,
            ping_seconds=given(ping_seconds, 5.0),
            first_ping_at_once=True,
            failed_pings_until_not_ready=3,
            careful=True,
            plugin_reasons=True,
        )
    raise ValueError(f"mode {mode!r} is not one of as-found, ideal")
