"""The Node object of interLink's virtual kubelet: labels, taint, conditions and capacity, as that code writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayster_testbed.kube import Obj
from rayster_testbed.quantity import format_quantity, parse_quantity

TAINT = {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}
PING_ANNOTATION = "interlink.virtual-kubelet.io/ping-response"
_TYPE_LABELS = {
    "nvidia.com/gpu": "nvidia-gpu-type",
    "xilinx.com/fpga": "xilinx-fpga-type",
    "intel.com/fpga": "intel-fpga-type",
}
_ACCELERATORS = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "xilinx.com/fpga", "intel.com/fpga")
_VERSION = "0.6.2"


@dataclass(frozen=True)
class Accelerator:
    """`resource=count[:model]`, such as `nvidia.com/gpu=8:a100`."""

    resource: str
    count: str
    model: str = ""

    @classmethod
    def parse(cls, text: str) -> Accelerator:
        """Raises: ValueError for another form or a resource that interLink does not know."""
        resource, equals, rest = text.partition("=")
        count, _, model = rest.partition(":")
        if not equals or not count.isdigit() or resource not in _ACCELERATORS:
            known = ", ".join(_ACCELERATORS)
            raise ValueError(f"{text!r} is not resource=count[:model] with one of {known}")
        return cls(resource, count, model)


@dataclass(frozen=True)
class VirtualNodeSettings:
    """How the node presents itself. Sizes are Kubernetes quantities; address and port are those of the log server."""

    name: str
    address: str = "127.0.0.1"
    port: int = 10250
    cpu: str = "1000"
    memory: str = "1000Gi"
    pods: str = "1000"
    accelerators: Sequence[Accelerator] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def node_object(settings: VirtualNodeSettings) -> Obj:
    """The Node as it is created; on an existing node only labels, annotations and status are written."""
    models = {
        _TYPE_LABELS[a.resource]: a.model
        for a in settings.accelerators
        if a.resource in _TYPE_LABELS and a.model
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": settings.name,
            "labels": {
                "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
                "kubernetes.io/os": "virtual-kubelet",
                "kubernetes.io/hostname": settings.name,
                "kubernetes.io/role": "agent",
                "node.kubernetes.io/exclude-from-external-load-balancers": "true",
                "virtual-node.interlink/type": "virtual-kubelet",
                **models,
                **settings.labels,
            },
        },
        "spec": {"providerID": f"external:///{settings.name}", "taints": [dict(TAINT)]},
    }


def node_capacity(settings: VirtualNodeSettings) -> dict[str, str]:
    """Capacity from the configuration; accelerators of one type are summed."""
    capacity = {"cpu": settings.cpu, "memory": settings.memory, "pods": settings.pods}
    totals = {a.resource: parse_quantity("0") for a in settings.accelerators}
    for accelerator in settings.accelerators:
        totals[accelerator.resource] += parse_quantity(accelerator.count)
    return capacity | {resource: format_quantity(total) for resource, total in totals.items() if total}


def node_status(settings: VirtualNodeSettings, capacity: Mapping[str, str], conditions: Sequence[Obj]) -> Obj:
    """The whole node status."""
    return {
        "capacity": dict(capacity),
        "allocatable": dict(capacity),
        "conditions": list(conditions),
        "addresses": [{"type": "InternalIP", "address": settings.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "nodeInfo": {
            "architecture": "virtual-kubelet",
            "operatingSystem": "linux",
            "kubeletVersion": _VERSION,
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": "",
            "osImage": "",
            "containerRuntimeVersion": "",
            "kubeProxyVersion": "",
        },
    }


def conditions(now: str, *, ready: bool, ping: tuple[bool, str] | None = None) -> list[Obj]:
    """The node's conditions (`NodeConditionWithInterlink`); every time is *now*, at every report.

    Args:
        now: the time.
        ready: whether the last ping succeeded; False before the first one.
        ping: success and message of the last ping, None before it.
    """
    rows = [
        ("Ready", ready, "KubeletPending", "kubelet is pending."),
        ("OutOfDisk", False, "KubeletHasSufficientDisk", "kubelet has sufficient disk space available"),
        ("MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("NetworkUnavailable", not ready, "RouteCreated", "RouteController created a route"),
    ]
    if ping is not None:
        succeeded, message = ping
        reason = "InterlinkPingSuccessful" if succeeded else "InterlinkPingFailed"
        rows.append(("InterlinkConnectivity", succeeded, reason, message))
    return [
        {
            "type": kind,
            "status": "True" if value else "False",
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        for kind, value, reason, message in rows
    ]


def ping_message(succeeded: bool, code: int, body: str) -> str:
    """The message of `InterlinkConnectivity`."""
    message = f"Ping successful with code {code}" if succeeded else f"Ping failed with code {code}"
    return f"{message}. Response: {body}" if body else message


def overridden_capacity(capacity: Mapping[str, str], answer: object) -> dict[str, str]:
    """The capacity after a ping whose answer names resources: valid ones replace the configured ones."""
    resources = answer.get("resources") if isinstance(answer, dict) else None
    if not isinstance(resources, dict):
        return dict(capacity)
    found = {name: resources.get(name) for name in ("cpu", "memory", "pods")}
    for accelerator in resources.get("accelerators") or []:
        found[accelerator.get("resourceType") or ""] = accelerator.get("available")
    new = dict(capacity)
    for name, value in found.items():
        if name and value and _valid(name, str(value)):
            new[name] = str(value)
    return new


def _valid(name: str, text: str) -> bool:
    try:
        number = parse_quantity(text)
    except ValueError:
        return False
    return name in ("cpu", "memory") or (number >= 0 and number == number.to_integral_value())
