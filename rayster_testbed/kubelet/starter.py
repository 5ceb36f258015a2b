"""Starts one container of a pod, or says (as a kubelet does) why it cannot: image, configuration, command."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rayster_testbed.cluster_names.follow import with_names
from rayster_testbed.kube import KubeClient, Obj
from rayster_testbed.kube_events import EventRecorder, reference
from rayster_testbed.kube_objects import fetch_objects
from rayster_testbed.kubelet.command import CommandError, Process, build_process
from rayster_testbed.kubelet.memory import PodMemory, Retry
from rayster_testbed.kubelet.plan import Waiting
from rayster_testbed.kubelet.runtime import Runtime
from rayster_testbed.kubelet.status import start_error_message
from rayster_testbed.kubelet.volumes import MountError, container_mounts
from rayster_testbed.pod_env import (
    EnvError,
    container_env,
    env_references,
    field_value,
    resource_value,
)

_MISSING_IMAGE = "does-not-exist"
_CONFIG_RETRY_SECONDS = 2.0
_PULL_RETRY_SECONDS = 10.0
_LONGEST_PULL_RETRY_SECONDS = 300.0
# How long ErrImagePull is shown before it turns into ImagePullBackOff.
_PULL_ERROR_SHOWN_SECONDS = 1.0


def default_search_path() -> str:
    """PATH of a container: the programs of the environment that the kubelet runs in, then the system's."""
    return os.pathsep.join(
        [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
    )


class Starter:
    """Starts containers on one node."""

    def __init__(
        self,
        client: KubeClient,
        runtime: Runtime,
        events: EventRecorder,
        node_allocatable: Mapping[str, str],
        names_dir: Path | None = None,
    ) -> None:
        self._client = client
        self._runtime = runtime
        self._events = events
        self._allocatable = node_allocatable
        self._names_dir = names_dir
        self._search_path = default_search_path()

    async def start(
        self, pod: Obj, container: Mapping, memory: PodMemory, agent_fields: Mapping[str, str]
    ) -> float | None:
        """Try to start *container*.

        Args:
            pod: the pod.
            container: the container of its spec.
            memory: what is known of the pod; `waiting`, `retries` and `processes` are updated.
            agent_fields: downward API paths that only the kubelet knows, see `pod_env.field_value`.
        Returns: in how many seconds to try again, or None when it was started (or has ended at once).
        """
        name, uid = container["name"], pod["metadata"]["uid"]
        retry = memory.retries.setdefault(name, Retry())
        if (wait_seconds := retry.at - time.monotonic()) > 0:
            return wait_seconds
        if _MISSING_IMAGE in container.get("image", ""):
            return self._pull_fails(pod, container, memory, retry)
        image = container.get("image", "")
        try:
            process = await self.prepare(pod, container, memory, agent_fields)
        except EnvError as error:
            return self._refuse(pod, container, memory, retry, "CreateContainerConfigError", str(error))
        except (CommandError, MountError) as error:
            return self._refuse(pod, container, memory, retry, "CreateContainerError", str(error))
        self._tell(
            pod, container, "Normal", "Pulled", f'Container image "{image}" already present on machine'
        )
        for directory in process.scratch:
            directory.mkdir(parents=True, exist_ok=True)
        attempt = await self._runtime.start(uid, name, process.argv, process.env, process.cwd)
        self._tell(pod, container, "Normal", "Created", f"Created container: {name}")
        memory.waiting.pop(name, None)
        memory.retries.pop(name, None)
        if attempt.start_error:
            message = f"Error: {start_error_message(attempt.start_error)}"
            self._tell(pod, container, "Warning", "Failed", message)
        else:
            self._tell(pod, container, "Normal", "Started", f"Started container {name}")
        return None

    async def prepare(
        self, pod: Obj, container: Mapping, memory: PodMemory, agent_fields: Mapping[str, str]
    ) -> Process:
        """What to run for *container*.

        Raises: EnvError, CommandError or MountError.
        """
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        objects = await fetch_objects(self._client, namespace, env_references([container]))
        spec = pod["spec"]
        by_name = {c["name"]: c for c in [*spec["containers"], *(spec.get("initContainers") or [])]}
        env = container_env(
            container,
            objects,
            namespace=namespace,
            field=lambda ref: field_value(pod, ref["fieldPath"], agent_fields),
            resource=lambda ref: resource_value(
                by_name.get(ref.get("containerName") or container["name"], container), ref, self._allocatable
            ),
        )
        process = build_process(
            pod,
            container,
            env,
            container_mounts(container, memory.volumes or {}),
            self._runtime.pod_dir(uid) / "scratch" / container["name"],
            self._search_path,
        )
        process = replace(process, env=with_names(process.env, self._names_dir))
        memory.processes[container["name"]] = process
        return process

    def _pull_fails(self, pod: Obj, container: Mapping, memory: PodMemory, retry: Retry) -> float:
        """Images that are said not to exist go through the states of a failing pull."""
        name, image = container["name"], container["image"]
        current = memory.waiting.get(name)
        if current is not None and current.reason == "ErrImagePull":
            memory.waiting[name] = Waiting(
                "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {current.message}'
            )
            self._tell(pod, container, "Normal", "BackOff", f'Back-off pulling image "{image}"')
            self._tell(pod, container, "Warning", "Failed", "Error: ImagePullBackOff")
            delay = min(_LONGEST_PULL_RETRY_SECONDS, _PULL_RETRY_SECONDS * 2 ** (retry.failures - 1))
        else:
            why = f'failed to resolve reference "{image}": {image}: not found'
            message = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": {why}'
            self._tell(pod, container, "Normal", "Pulling", f'Pulling image "{image}"')
            self._tell(pod, container, "Warning", "Failed", f'Failed to pull image "{image}": {message}')
            self._tell(pod, container, "Warning", "Failed", "Error: ErrImagePull")
            memory.waiting[name] = Waiting("ErrImagePull", message)
            retry.failures += 1
            delay = _PULL_ERROR_SHOWN_SECONDS
        retry.at = time.monotonic() + delay
        return delay

    def _refuse(
        self, pod: Obj, container: Mapping, memory: PodMemory, retry: Retry, reason: str, message: str
    ) -> float:
        self._tell(pod, container, "Warning", "Failed", f"Error: {message}")
        memory.waiting[container["name"]] = Waiting(reason, message)
        retry.failures += 1
        retry.at = time.monotonic() + _CONFIG_RETRY_SECONDS
        return _CONFIG_RETRY_SECONDS

    def _tell(self, pod: Obj, container: Mapping, kind: str, reason: str, message: str) -> None:
        init = any(c["name"] == container["name"] for c in pod["spec"].get("initContainers") or [])
        field_path = f"spec.{'initContainers' if init else 'containers'}{{{container['name']}}}"
        self._events.record(reference(pod, "Pod", field_path), kind, reason, message)
