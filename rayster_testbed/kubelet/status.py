"""The status of a pod as a kubelet writes it: pure functions from what is known of its containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rayster_testbed.kube import Obj
from rayster_testbed.kubelet.plan import View, Views, initialized, phase
from rayster_testbed.kubelet.runtime import Attempt

_EPOCH = "1970-01-01T00:00:00Z"


def second(time: str | None) -> str:
    """A time of the runtime (nanoseconds) as `metav1.Time` (seconds)."""
    return f"{time[:19]}Z" if time else _EPOCH


def container_status(container: Mapping, view: View, *, fallback: Obj) -> Obj:
    """One entry of `containerStatuses`.

    Args:
        container: the container of the spec.
        view: what is known of it.
        fallback: `waiting` of a container for which nothing was tried yet.
    """
    name, image = container["name"], container.get("image", "")
    status: Obj = {
        "name": name,
        "image": image,
        "imageID": f"testbed://{image}" if view.attempts else "",
        "restartCount": max(len(view.attempts) - 1, 0),
        "ready": view.running and view.ready,
        "started": view.running and view.started,
        "state": {},
        "lastState": {},
    }
    last = view.last
    if last is not None and last.running:
        status["state"] = {"running": {"startedAt": second(last.started_at)}}
        if len(view.attempts) > 1:
            status["lastState"] = {"terminated": terminated(view.attempts[-2])}
    elif view.waiting is not None:
        status["state"] = {"waiting": _waiting(view.waiting.reason, view.waiting.message)}
        if last is not None:
            status["lastState"] = {"terminated": terminated(last)}
    elif last is not None:
        status["state"] = {"terminated": terminated(last)}
        if len(view.attempts) > 1:
            status["lastState"] = {"terminated": terminated(view.attempts[-2])}
    else:
        status["state"] = {"waiting": fallback}
    if last is not None:
        status["containerID"] = container_id(last)
    return status


def terminated(attempt: Attempt) -> Obj:
    """A `terminated` state."""
    state: Obj = {
        "exitCode": attempt.exit_code if attempt.exit_code is not None else 0,
        "reason": "Completed" if attempt.exit_code == 0 else "Error",
        "startedAt": second(attempt.started_at),
        "finishedAt": second(attempt.finished_at),
        "containerID": container_id(attempt),
    }
    if attempt.start_error:
        state |= {"reason": "StartError", "message": start_error_message(attempt.start_error)}
    return state


def start_error_message(error: str) -> str:
    """The wrapping that containerd puts around the reason why a command could not be executed."""
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        f"unable to start container process: error during container init: {error}"
    )


def container_id(attempt: Attempt) -> str:
    uid = attempt.directory.parents[2].name
    return f"testbed://{uid}/{attempt.directory.parent.name}/{attempt.number}"


def pod_status(
    pod: Mapping,
    views: Views,
    *,
    pod_ip: str,
    host_ip: str,
    start_time: str,
    now: str,
    terminating: bool = False,
) -> Obj:
    """The whole status that the kubelet is responsible for.

    Args:
        pod: the pod; conditions of its present status that are not the kubelet's stay, transition times are kept.
        views: a view for every container and init container, by name.
        pod_ip: the pod's address, empty before it has one.
        host_ip: the node's address.
        start_time: when the kubelet first saw the pod.
        now: the time for conditions that change.
        terminating: the pod is deleted and all its containers have ended.
    """
    spec = pod["spec"]
    pod_phase = phase(spec, views)
    if terminating and pod_phase not in ("Succeeded", "Failed"):
        # As the real kubelet: a deleted pod whose containers have ended is final, whatever its restart policy.
        clean = all(views[c["name"]].exit_code == 0 for c in spec["containers"])
        pod_phase = "Succeeded" if clean and initialized(spec, views) else "Failed"
    waiting_for = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    fallback = {"reason": waiting_for}
    statuses = [container_status(c, views[c["name"]], fallback=fallback) for c in spec["containers"]]
    status: Obj = {
        "phase": pod_phase,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": start_time,
        "containerStatuses": statuses,
        "conditions": _conditions(pod, views, pod_phase, bool(pod_ip), now),
    }
    if pod_ip:
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    if inits := spec.get("initContainers"):
        fallback = {"reason": "PodInitializing"}
        entries = [container_status(c, views[c["name"]], fallback=fallback) for c in inits]
        for entry in entries:
            # A finished init container counts as ready.
            entry["ready"] = entry["state"].get("terminated", {}).get("exitCode") == 0
        status["initContainerStatuses"] = entries
    return status


def _waiting(reason: str, message: str) -> Obj:
    return {"reason": reason, **({"message": message} if message else {})}


def _conditions(pod: Mapping, views: Views, pod_phase: str, has_sandbox: bool, now: str) -> list[Obj]:
    spec = pod["spec"]
    done = pod_phase in ("Succeeded", "Failed")
    init_pending = [c["name"] for c in spec.get("initContainers") or [] if views[c["name"]].exit_code != 0]
    unready = [
        c["name"] for c in spec["containers"] if not (views[c["name"]].running and views[c["name"]].ready)
    ]
    why: Obj = {}
    if pod_phase == "Succeeded":
        why = {"reason": "PodCompleted"}
    elif pod_phase == "Failed":
        why = {"reason": "PodFailed"}
    elif unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        why = {"reason": "ContainersNotReady", "message": message}
    init_why: Obj = {}
    ready_for_main = initialized(spec, views)
    if not ready_for_main:
        message = f"containers with incomplete status: [{' '.join(init_pending)}]"
        init_why = {"reason": "ContainersNotInitialized", "message": message}
    elif pod_phase == "Succeeded" and spec.get("initContainers"):
        init_why = {"reason": "PodCompleted"}
    wanted: list[tuple[str, bool, Obj]] = [
        ("PodReadyToStartContainers", has_sandbox and not done, {}),
        ("Initialized", ready_for_main, init_why),
        ("Ready", not why, why),
        ("ContainersReady", not why, why),
        ("PodScheduled", True, {}),
    ]
    present: Sequence[Obj] = (pod.get("status") or {}).get("conditions") or []
    own = {kind for kind, _, _ in wanted}
    return [
        *(_condition(kind, value, extra, present, now) for kind, value, extra in wanted),
        *(condition for condition in present if condition["type"] not in own),
    ]


def _condition(kind: str, value: bool, extra: Obj, present: Sequence[Obj], now: str) -> Obj:
    status = "True" if value else "False"
    old = next((c for c in present if c["type"] == kind and c["status"] == status), None)
    since = (old or {}).get("lastTransitionTime") or now
    return {"type": kind, "status": status, "lastTransitionTime": since, **extra}
