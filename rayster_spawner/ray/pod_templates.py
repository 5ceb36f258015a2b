"""The pods of one cluster: its head and its workers, as the profile's site or the cloud can run them. Pure."""

import copy
import math
from dataclasses import dataclass
from typing import Any

from .. import interlink
from ..offload import OffloadError, offload
from ..options import ServerOptions
from ..profile_checks import CLOUD_SITE
from ..profiles import Profile
from ..quantities import format_number
from . import names
from .network import network_of
from .owner import Owner
from .ports import HeadPorts
from .request import ClusterRequest

Object = dict[str, Any]

# KubeRay does not touch a group while one of its pods ends, and a deleted pod stays for all of its grace.
GRACE_SECONDS = 3
# Of which Ray may use none to drain: `ray start` would take 30 s for it and be killed.
_DRAIN_SECONDS = 0
# Ray's own is 60 s: so much walltime would be lost by every worker whose head is gone.
_WORKER_GIVES_UP_SECONDS = 10
# KubeRay declares 8080 on every container that declares no `metrics`, which interLink's tunnel has for itself; the
# launcher lets Ray export metrics at a port that is free.
_METRICS_PORT = 18080
# Notebooks on other nodes ask it, too; whoever has no token is told nothing.
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104


@dataclass(frozen=True)
class PodTemplates:
    """Makes the templates of both kinds of pods."""

    cluster_id: str
    request: ClusterRequest
    profile: Profile
    owner: Owner
    ports: HeadPorts

    def labels(self, site: str) -> dict[str, str]:
        """Return the labels of an object at ``site``."""
        labels = {
            names.CLUSTER_LABEL: self.cluster_id,
            names.PROFILE_LABEL: self.profile.name,
            names.SITE_LABEL: site,
            names.MANAGED_BY_LABEL: names.MANAGED_BY,
        }
        if self.owner.user_label:
            labels[names.USERNAME_LABEL] = self.owner.user_label
        return labels

    def worker(self) -> Object:
        """Return the template of a worker. Raises OffloadError."""
        options = self.request.worker_options()
        pod = offload(
            self._pod(names.WORKER_CONTAINER, ["ray", "start"], self.profile.site_name),
            self.profile,
            options,
            names.WORKER_CONTAINER,
        )
        environment = {
            **self._environment(options),
            "RAYSTER_RAY_CPUS": str(math.ceil(options.cpu)),
            "RAYSTER_RAY_GPUS": str(options.gpu),
            "RAY_gcs_rpc_server_reconnect_timeout_s": str(_WORKER_GIVES_UP_SECONDS),
            "BASH_ENV": self._ray.bash_env,
        }
        return self._finished(pod, environment, [], at_site=self.profile.is_offloaded)

    def head(self) -> Object:
        """Return the template of the head. Raises OffloadError."""
        options = ServerOptions(
            profile=self.profile.name,
            image=self.request.image,
            cpu=self._ray.head.cpu,
            memory_mib=self._ray.head.memory,
            gpu=0,
            walltime_minutes=self.request.walltime_minutes,
        )
        at_site = self.profile.is_offloaded and self.profile.ray_head_place == "site"
        site = self.profile.site_name if at_site else CLOUD_SITE
        pod = self._pod(names.HEAD_CONTAINER, ["ray", "start", "--head"], site)
        if self._ray.head.image is not None:
            pod["spec"]["containers"][0]["image"] = self._ray.head.image
        if at_site or not self.profile.is_offloaded:
            pod = offload(pod, self._with_image(self._ray.head.image), options, names.HEAD_CONTAINER)
            # The end of a cluster's time is the service's business; KubeRay would only make another head.
            if not at_site:
                pod["spec"].pop("activeDeadlineSeconds", None)
        else:
            self._make_cloud_pod(pod, options)
        environment = {
            **self._environment(options),
            "RAYSTER_RAY_CPUS": "0",
            "RAYSTER_RAY_GPUS": "0",
        }
        declared = [
            {"name": "gcs-server", "containerPort": self.ports.gcs},
            {"name": "dashboard", "containerPort": self.ports.dashboard},
        ]
        return self._finished(pod, environment, declared, at_site=at_site)

    @property
    def _ray(self) -> Any:
        return self.profile.ray

    def _with_image(self, image: str | None) -> Profile:
        """Return the profile, all of whose images are ``image`` when there is one."""
        if image is None:
            return self.profile
        images = [each.model_copy(update={"image": image}) for each in self.profile.images]
        return self.profile.model_copy(update={"images": images})

    def _pod(self, container: str, args: list[str], site: str) -> Object:
        return {
            "metadata": {"labels": self.labels(site), "annotations": {}},
            "spec": {"containers": [{"name": container, "command": ["rayster"], "args": args}]},
        }

    def _make_cloud_pod(self, pod: Object, options: ServerOptions) -> None:
        """Fill in what `offload` does where the profile's own site runs the pod."""
        container = pod["spec"]["containers"][0]
        if "image" not in container:
            chosen = [each.image for each in self.profile.images if each.name == options.image]
            if not chosen:
                raise OffloadError([f"profile {self.profile.name} has no such image any more"])
            container["image"] = chosen[0]
        amounts = {"cpu": format_number(options.cpu), "memory": f"{options.memory_mib}Mi"}
        container["resources"] = {"limits": dict(amounts), "requests": dict(amounts)}

    def _environment(self, options: ServerOptions) -> dict[str, str]:
        ray, network = self._ray, self.profile.network
        environment = {
            "RAYSTER_RAY_CLUSTER": self.cluster_id,
            "RAYSTER_RAY_NETWORK": network.mode,
            "RAYSTER_RAY_GCS_PORT": str(self.ports.gcs),
            "RAYSTER_RAY_DASHBOARD_PORT": str(self.ports.dashboard),
            "RAYSTER_RAY_DASHBOARD_HOST": network.bind_address or _EVERY_ADDRESS,
            "RAYSTER_RAY_HEAD_WAIT_SECONDS": str(60 * ray.head_wait),
            "RAYSTER_RAY_MEMORY_BYTES": str(options.memory_mib * 2**20),
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(_DRAIN_SECONDS),
            # Whoever runs on a site's nodes tells nobody outside of it.
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        rendezvous = network_of(self.cluster_id, self.profile, self.owner).rendezvous
        if rendezvous is not None:
            environment["RAYSTER_RAY_RENDEZVOUS"] = rendezvous
        if ray.object_store is not None:
            environment["RAYSTER_RAY_OBJECT_STORE_BYTES"] = str(ray.object_store * 2**20)
        return environment

    def _finished(
        self, pod: Object, environment: dict[str, str], declared: list[Object], *, at_site: bool
    ) -> Object:
        """Return the template: what KubeRay would otherwise add or misread is said here."""
        spec = pod["spec"]
        spec["restartPolicy"] = "Never"
        spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
        spec["automountServiceAccountToken"] = False
        spec["enableServiceLinks"] = False
        container = spec["containers"][0]
        # Of a node of the site, not of the cloud's network.
        for name, value in (
            ("RAYSTER_RAY_NODE_NETWORK", self._ray.node_network),
            ("RAYSTER_RAY_PLASMA_DIRECTORY", self._ray.plasma_directory),
        ):
            if value is not None and (at_site or not self.profile.is_offloaded):
                environment[name] = value
        kept = [entry for entry in container.get("env") or [] if entry["name"] not in environment]
        container["env"] = kept + [{"name": name, "value": value} for name, value in environment.items()]
        container["ports"] = [*declared, {"name": "metrics", "containerPort": _METRICS_PORT}]
        # KubeRay's ask a port that two nodes on one host cannot both have, and interLink runs probes beside the
        # container. What a node is, Ray itself says.
        for probe in ("readinessProbe", "livenessProbe"):
            container[probe] = copy.deepcopy(_PROBE)
        if at_site:
            _tolerate_outages(spec)
            # Those are for what people run in notebooks.
            pod["metadata"]["annotations"].pop(interlink.TUNNEL_PORTS, None)
        else:
            container["env"].append(
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
            )
            container["securityContext"] = {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
        return pod


_PROBE = {
    "exec": {"command": ["true"]},
    "periodSeconds": 3600,
    "timeoutSeconds": 60,
    "failureThreshold": 1000,
}


def _tolerate_outages(spec: Object) -> None:
    """Let a pod also be placed while its virtual node looks away: one lost ping would cost 30 s."""
    keys = (interlink.NOT_READY_TAINT, interlink.UNREACHABLE_TAINT, interlink.NETWORK_UNAVAILABLE_TAINT)
    kept = [toleration for toleration in spec["tolerations"] if toleration.get("key") not in keys]
    spec["tolerations"] = kept + [{"key": key, "operator": "Exists"} for key in keys]
