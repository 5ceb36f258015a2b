"""What a panel's buttons do, each in a thread of its own: the kernel is never held up."""

from collections.abc import Callable, Mapping
from typing import Any

from ..attaching import Driver
from ..client.errors import ClusterError
from ..client.service import Service

_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_FIELDS = ("profile", "workers", "cpus", "memory", "gpus", "walltime", "image", "name")


class Actions:
    """The buttons' actions; ``server`` is the name of this user's server."""

    def __init__(self, service: Service, driver: Driver, server: str) -> None:
        self._service, self._driver, self._server = service, driver, server
        self._actions: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "profiles": self._profiles,
            "start": self._start,
            "scale": self._scale,
            "attach": self._attach,
            "detach": self._detach,
            "restart": self._restart,
            "stop": self._stop,
        }

    def do(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message asks for; return what to answer. Never raises."""
        try:
            action = self._actions.get(str(content.get("do")))
            if action is None:
                raise ClusterError("This panel and its kernel are of different versions; run the cell again.")
            return {"kind": "done", **action(content)}
        except ClusterError as error:
            return {"kind": "failed", "message": str(error), "fields": list(error.fields), "code": error.code}
        except Exception as error:
            # Nobody reads a traceback of a thread; the panel says it.
            return {
                "kind": "failed",
                "message": f"That did not work: {type(error).__name__}: {error}",
                "fields": [],
            }

    def _profiles(self, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"profiles": self._service.get("profiles").get("profiles") or []}

    def _start(self, content: Mapping[str, Any]) -> dict[str, Any]:
        asked = content.get("request") or {}
        body = {name: asked[name] for name in _FIELDS if asked.get(name) not in (None, "")}
        made = self._service.post("clusters", {**body, "server": self._server})
        return {"id": made["id"], "message": f"Cluster {made['id']} is submitted."}

    def _scale(self, content: Mapping[str, Any]) -> dict[str, Any]:
        self._service.patch(_path(content), {"workers": content.get("workers")})
        return {"message": ""}

    def _attach(self, content: Mapping[str, Any]) -> dict[str, Any]:
        cluster_id = _path(content).removeprefix("clusters/")
        self._driver.attach(self._service, cluster_id)
        return {"message": "This notebook is the cluster's driver now: `ray.init()` is done."}

    def _detach(self, content: Mapping[str, Any]) -> dict[str, Any]:
        self._driver.detach(_path(content).removeprefix("clusters/"))
        return {"message": "Detached; the cluster goes on."}

    def _restart(self, content: Mapping[str, Any]) -> dict[str, Any]:
        self._service.post(f"{_path(content)}/restart")
        return {"message": ""}

    def _stop(self, content: Mapping[str, Any]) -> dict[str, Any]:
        path = _path(content)
        self._driver.detach(path.removeprefix("clusters/"))
        self._service.delete(path)
        return {"message": ""}


def _path(content: Mapping[str, Any]) -> str:
    cluster_id = content.get("cluster")
    if not isinstance(cluster_id, str) or not cluster_id or not set(cluster_id) <= _ID_CHARACTERS:
        raise ClusterError("The panel did not say which cluster; run the cell again.")
    return f"clusters/{cluster_id}"
