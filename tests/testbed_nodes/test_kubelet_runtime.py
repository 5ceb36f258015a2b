"""The kubelet's container runtime by itself: what it knows of containers when the kubelet is stopped in a start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rayster_testbed.kubelet.runtime import Runtime


async def test_container_whose_start_was_cancelled_is_known_and_can_be_ended(tmp_path: Path):
    # Given a start that is cancelled as soon as it has begun, as a kubelet that is told to end does
    ended = asyncio.Event()
    runtime = Runtime(tmp_path, lambda uid: ended.set())
    start = asyncio.ensure_future(
        runtime.start("uid", "main", ["sleep", "1000"], {"PATH": "/bin:/usr/bin"}, tmp_path)
    )
    specification = tmp_path / "pods/uid/containers/main/0/spec.json"
    while not specification.exists():
        await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    # When what had begun has settled
    await asyncio.wait_for(runtime.settle(), 60)

    # Then the container is known
    ((name, attempt),) = runtime.running("uid")
    assert (name, attempt.number) == ("main", 0)
    runtime.kill(attempt)
    await asyncio.wait_for(ended.wait(), 60)
    assert runtime.running("uid") == []
    runtime.close()
