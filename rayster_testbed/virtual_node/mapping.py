"""From what the plugin says of containers to a pod's status, as interLink's virtual kubelet does it: pure functions."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from rayster_testbed.kube import Obj

SUBMITTED = "Remote pod submitted"
_SUBMITTED_MESSAGE = "The pod has been submitted to the remote plugin for creation"


def initial_status(pod: Mapping, pod_ip: str, now: str) -> Obj:
    """The status of a pod that is about to be submitted (`PodPhase` "Pending"): no container statuses yet."""
    initialized = "False" if pod["spec"].get("initContainers") else "True"
    return {
        "phase": "Pending",
        **_addresses(pod_ip),
        "startTime": now,
        "conditions": [
            {"type": "Initialized", "status": initialized},
            {"type": "Ready", "status": "False"},
            {"type": "PodScheduled", "status": "True"},
        ],
    }


def submitted_containers(pod: Mapping) -> list[Obj]:
    """The container statuses of a submitted pod, until its first refresh."""
    waiting = {"reason": SUBMITTED, "message": _SUBMITTED_MESSAGE}
    return [
        _container(container, {"waiting": dict(waiting)}, ready=False)
        for container in pod["spec"]["containers"]
    ]


def failed_status(pod: Mapping, pod_ip: str, now: str, message: str) -> Obj:
    """The status of a pod that the plugin refused (`handleRemoteExecutionFailure`)."""

    def ended(container: Mapping) -> Obj:
        state = {"terminated": {"exitCode": 1, "reason": "ProviderFailed", "message": message}}
        return _container(container, state, ready=False)

    return {
        "phase": "Failed",
        "reason": "ProviderFailed",
        "message": message,
        **_addresses(pod_ip),
        "startTime": now,
        "conditions": [
            {"type": kind, "status": "False"} for kind in ("Initialized", "Ready", "PodScheduled")
        ],
        "initContainerStatuses": [ended(c) for c in pod["spec"].get("initContainers") or []],
        "containerStatuses": [ended(c) for c in pod["spec"]["containers"]],
    }


def deleted_status(status: Mapping, now: str) -> Obj:
    """What a pod's status becomes just before it vanishes (`DeletePod`)."""
    new = copy.deepcopy(dict(status))
    new["reason"] = "VKProviderPodDeleted"
    for entry in [*(new.get("containerStatuses") or []), *(new.get("initContainerStatuses") or [])]:
        entry["ready"] = False
        entry["state"] = {
            "terminated": {
                "exitCode": 0,
                "message": "VK provider terminated container upon deletion",
                "finishedAt": now,
                "reason": "VKProviderPodContainerDeleted",
            }
        }
    return new


def refreshed_status(status: Mapping, remote: Mapping, *, plugin_reasons: bool = False) -> Obj:
    """The pod's status after one refresh (`checkPodsStatus`).

    Args:
        status: the status so far.
        remote: the plugin's answer for this pod, with `containers` and, from some plugins, `initContainers`.
        plugin_reasons: keep the plugin's reasons, and do not take an answer without containers for success.
    """
    new = copy.deepcopy(dict(status))
    containers = [copy.deepcopy(c) for c in remote.get("containers") or []]
    inits = [copy.deepcopy(c) for c in remote.get("initContainers") or []]
    if plugin_reasons and not containers:
        return new
    init_error, inits_done, init_running = _merge_inits(new, inits, plugin_reasons)
    held = init_running or any(c["state"].get("waiting") is not None for c in inits)
    error, ended, running = _merge_containers(new, containers, held, inits_done, len(inits), plugin_reasons)
    if ended == len(containers):
        _finish(new, error or init_error, plugin_reasons)
    elif held:
        new |= {"phase": "Pending", "reason": "Init" if init_running else "Waiting for init containers"}
    elif running:
        new |= {"phase": "Running", "reason": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return new


def _merge_inits(status: Obj, inits: list[Obj], plugin_reasons: bool) -> tuple[str, int, bool]:
    """Put the init containers in; the error, how many have ended, whether one runs."""
    error, done, running = "", 0, False
    for entry in inits:
        if (terminated := entry["state"].get("terminated")) is not None:
            done += 1
            error = _name_end(terminated, plugin_reasons) or error
        elif entry["state"].get("running") is not None:
            running = True
        _put(status, "initContainerStatuses", entry)
    return error, done, running


def _merge_containers(
    status: Obj, containers: list[Obj], held: bool, inits_done: int, inits: int, plugin_reasons: bool
) -> tuple[str, int, bool]:
    """Put the containers in; the error, how many have ended, whether one runs."""
    error, ended, running = "", 0, False
    for entry in containers:
        state = entry["state"]
        if held:
            entry["state"] = {"waiting": {"reason": f"Init:{inits_done}/{inits}"}}
        elif (terminated := state.get("terminated")) is not None:
            ended += 1
            error = _name_end(terminated, plugin_reasons) or error
        elif state.get("waiting") is None and state.get("running") is not None:
            running = True
            entry["ready"] = True
        _put(status, "containerStatuses", entry)
    return error, ended, running


def _name_end(terminated: Obj, plugin_reasons: bool) -> str:
    """Set the reason of a `terminated` state; the reason of the pod when it is an error."""
    code = terminated.get("exitCode", 0)
    own = terminated.get("reason") if plugin_reasons else ""
    terminated["reason"] = own or (f"Error: {code}" if code else "Completed")
    return terminated["reason"] if code else ""


def _finish(status: Obj, error: str, plugin_reasons: bool) -> None:
    if error:
        status |= {"phase": "Failed", "reason": error}
        for entry in status.get("containerStatuses") or []:
            if not plugin_reasons and "terminated" in entry["state"]:
                entry["state"]["terminated"]["reason"] = error
    else:
        status |= {"phase": "Succeeded", "reason": "Completed"}
    conditions = list(status.get("conditions") or [])
    if plugin_reasons:
        conditions = [c for c in conditions if c["type"] != "Ready"]
    if plugin_reasons or not error:
        # Appended, not replaced: as found, a pod that succeeded has the condition Ready twice.
        conditions.append({"type": "Ready", "status": "False"})
    status["conditions"] = conditions


def _put(status: Obj, kind: str, entry: Obj) -> None:
    entries = status.setdefault(kind, [])
    for index, present in enumerate(entries):
        if present["name"] == entry["name"]:
            entries[index] = entry
            return
    entries.append(entry)


def _container(container: Mapping, state: Obj, *, ready: bool) -> Obj:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _addresses(pod_ip: str) -> Obj:
    return {"hostIP": pod_ip, "podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
