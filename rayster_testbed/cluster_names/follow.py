"""Keeps the hosts file of a cluster current, and says how a container comes to use it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog

from rayster_testbed.cluster_names import resolver
from rayster_testbed.cluster_names.hosts import hosts
from rayster_testbed.kube import KubeClient, Obj, path
from rayster_testbed.kube_informer import Informer

log = structlog.get_logger()


class NameKeeper:
    """Writes `hosts` and `sitecustomize.py` into *directory*."""

    def __init__(self, client: KubeClient, directory: Path) -> None:
        self._directory = directory
        self._changed = asyncio.Event()
        self._informers = [
            Informer(client, path(plural), on_change=self._something_changed)
            for plural in ("services", "pods")
        ]

    async def run(self) -> None:
        """Follow the cluster for ever."""
        self._directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(resolver.__file__, self._directory / "sitecustomize.py")
        await asyncio.gather(self._write_loop(), *(informer.run() for informer in self._informers))

    def _something_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._changed.set()

    async def _write_loop(self) -> None:
        for informer in self._informers:
            await informer.synced.wait()
        written = None
        while True:
            self._changed.clear()
            text = hosts(*(informer.items.values() for informer in self._informers))
            if text != written:
                self._write(text)
                written = text
            await self._changed.wait()

    def _write(self, text: str) -> None:
        # Whole or not at all: it is read at any moment.
        draft = self._directory / ".hosts"
        draft.write_text(text)
        draft.replace(self._directory / "hosts")
        log.info("names", count=len(text.splitlines()))


def with_names(env: Mapping[str, str], directory: Path | None) -> dict[str, str]:
    """The environment of a container whose Python looks up names in *directory*, after its own PYTHONPATH."""
    if directory is None:
        return dict(env)
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(directory)]))}
