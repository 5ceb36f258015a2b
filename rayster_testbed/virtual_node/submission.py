"""One submission: environment, volumes, the call of the plugin, with the waits and failures of the real code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from rayster_testbed.kube import TROUBLE, KubeClient, Obj
from rayster_testbed.kube_objects import fetch_objects, request_token, token_requests
from rayster_testbed.pod_env import EnvError, Objects, env_references
from rayster_testbed.virtual_node.payload import (
    MissingObject,
    all_containers,
    check_volumes,
    create_request,
    volume_references,
    with_literal_env,
)
from rayster_testbed.virtual_node.plugin import Plugin, PluginError, creation_error

log = structlog.get_logger()

_TOKEN_SECONDS = 100 * 365 * 24 * 3600
_VOLUME_RETRY_SECONDS = 2.0
_VOLUME_PATIENCE_SECONDS = 300.0
_ENV_FIRST_RETRY_SECONDS = 1.0
_ENV_LAST_RETRY_SECONDS = 30.0

# Sets the phase of the pod on its way.
SetPhase = Callable[[str], Awaitable[None]]


class CreationFailed(Exception):
    """The plugin refused, or a volume's object never came; the text is the pod's `status.message`."""


async def resolve_env(client: KubeClient, pod: Obj) -> Obj:
    """A copy of *pod* with literal environment.

    A reference that cannot be resolved is tried again for ever: the pod stays Pending without any status, as found.
    """
    delay = _ENV_FIRST_RETRY_SECONDS
    while True:
        try:
            references = env_references(all_containers(pod))
            objects = await fetch_objects(client, pod["metadata"]["namespace"], references)
            return with_literal_env(pod, objects)
        except (EnvError, *TROUBLE) as error:
            log.error("failed to populate environment", pod=pod["metadata"]["name"], error=str(error))
        await asyncio.sleep(delay)
        delay = min(delay * 2, _ENV_LAST_RETRY_SECONDS)


async def submit(client: KubeClient, plugin: Plugin, pod: Obj, set_phase: SetPhase) -> str:
    """Hand *pod* (with literal environment) to the plugin.

    Returns: the job id.
    Raises: CreationFailed.
    """
    objects = await _volume_objects(client, pod, set_phase)
    tokens = {}
    for request in token_requests(pod["spec"]):
        try:
            tokens[request["path"]] = await request_token(client, pod, request, _TOKEN_SECONDS)
        except TROUBLE as error:
            raise CreationFailed(f"could not create service account token: {error}") from error
    try:
        answer = await plugin.create(create_request(pod, objects, tokens))
    except PluginError as failure:
        raise CreationFailed(creation_error(failure)) from failure
    # As found, the job id is taken only from an answer for this very pod.
    return str(answer.get("PodJID", "")) if answer.get("PodUID") == pod["metadata"]["uid"] else ""


async def _volume_objects(client: KubeClient, pod: Obj, set_phase: SetPhase) -> Objects:
    """The objects of the pod's volumes; waits for missing ones in the phase `Initializing`."""
    deadline = time.monotonic() + _VOLUME_PATIENCE_SECONDS
    initializing = False
    while time.monotonic() < deadline:
        try:
            references = volume_references(pod["spec"])
            objects = await fetch_objects(client, pod["metadata"]["namespace"], references)
            check_volumes(pod["spec"], objects)
        except (MissingObject, *TROUBLE) as error:
            log.warning("volume not ready", pod=pod["metadata"]["name"], error=str(error))
            await set_phase("Initializing")
            initializing = True
            await asyncio.sleep(_VOLUME_RETRY_SECONDS)
            continue
        if initializing:
            await set_phase("Pending")
        return objects
    raise CreationFailed("unable to retrieve ConfigMaps or Secrets after 5m. Check logs")
