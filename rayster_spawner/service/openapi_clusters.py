"""The part of the OpenAPI document that is about Ray clusters."""

from typing import Any

from pydantic import TypeAdapter

from ..ray import names
from ..ray.request import MAX_SERVER_CHARACTERS, MAX_TITLE_CHARACTERS
from ..ray.view import ClusterView, Idle, Problem, Resources, Row, Wanted
from ..site_facts import SiteState

_TEXT: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}
_REF = "#/components/schemas/"
# What `ClusterView.as_json` leaves out.
_NOT_TOLD = ("extra", "workers_min", "workers_max")

_ID = {
    "name": "cluster_id",
    "in": "path",
    "required": True,
    "description": "One's own cluster; any other one is as unknown as one that is not there.",
    "schema": {**_TEXT, "pattern": names.ID_PATTERN},
}
_USER = {
    "name": "user",
    "in": "query",
    "description": "For administrators: whose.",
    "schema": {**_TEXT, "minLength": 1, "maxLength": 255},
}
_WALLTIME = {"type": ["string", "number", "null"], "description": "`2h`, `90m`, `02:00:00`, or minutes."}
_MEMORY = {"type": ["string", "number", "null"], "description": "With a unit, such as `4Gi`; or GiB."}
_AMOUNT = {"type": ["number", "string", "null"]}
_TITLE = {"type": ["string", "null"], "maxLength": MAX_TITLE_CHARACTERS, "description": "What one calls it."}


def cluster_paths() -> dict[str, Any]:
    """Return the paths."""
    one, stream = "/api/clusters/{cluster_id}", {"text/event-stream": {"schema": _TEXT}}
    gone = (404, 503)
    return {
        "/api/profiles": {
            "get": _answer("What one may use for workers", _json("Profiles"), 503),
        },
        "/api/clusters": {
            "get": _answer(
                "One's own clusters; for administrators everybody's", _json("Clusters"), 503, query=[_USER]
            ),
            "post": _answer(
                "Make a cluster for a running server, with which it ends",
                _json("Cluster"),
                *(400, 404, 409, 413, 503),
                body="NewCluster",
                status=201,
            ),
        },
        "/api/clusters/events": {
            "get": _answer("The same as events `clusters`", stream, 429, 503, query=[_USER]),
        },
        one: {
            "parameters": [_ID],
            "get": _answer("A cluster", _json("Cluster"), *gone),
            "patch": _answer(
                "Scale it (idle workers go first), or call it something else",
                _json("Cluster"),
                *(400, 404, 409, 413, 503),
                body="Change",
            ),
            "delete": _answer("Stop it for good", _json("Stopping"), 409, *gone, status=202),
        },
        f"{one}/restart": {
            "parameters": [_ID],
            "post": _answer("Begin anew, with a new head", _json("Cluster"), 409, *gone),
        },
        f"{one}/events": {
            "parameters": [_ID],
            "get": _answer("It as events `cluster`, at its end an event `gone`", stream, 429, *gone),
        },
        f"{one}/attach": {
            "parameters": [_ID],
            "get": _answer("What a notebook needs to become the driver", _json("Attach"), 409, *gone),
        },
        f"{one}/logs": {
            "parameters": [_ID],
            "get": _answer(
                "What the head, or another pod of it, prints",
                {"text/plain": {"schema": _TEXT}},
                *(400, 409, 429),
                *gone,
                query=[
                    {"name": "pod", "in": "query", "schema": _TEXT},
                    {"name": "follow", "in": "query", "schema": {"type": "boolean"}},
                    {
                        "name": "tail",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 10000},
                    },
                ],
            ),
        },
        f"{one}/dashboard/{{path}}": {
            "parameters": [
                _ID,
                {"name": "path", "in": "path", "required": True, "schema": _TEXT},
            ],
            "description": "Ray's dashboard and Jobs API. With a token all methods; a browser logs in and reads.",
            "get": _answer("What Ray answers", {"*/*": {"schema": {}}}, 302, 409, 502, *gone),
        },
    }


def cluster_schemas() -> dict[str, Any]:
    """Return the schemas that the paths refer to."""
    view = TypeAdapter(ClusterView).json_schema(ref_template=_REF + "{model}", mode="serialization")
    schemas = view.pop("$defs")
    properties = {name: schema for name, schema in view["properties"].items() if name not in _NOT_TOLD}
    bounds = _object({"min": _COUNT, "max": _COUNT})
    properties["bounds"] = _object({"workers": bounds})
    for part in (Row, Wanted, Resources, Idle, Problem):
        schemas[part.__name__]["required"] = list(schemas[part.__name__]["properties"])
    limit = {"type": ["integer", "null"], "description": "null: no limit."}
    amounts = _object({"min": {"type": "number"}, "max": {"type": "number"}, "default": {"type": "number"}})
    schemas.update(
        {
            "Cluster": {**_object(properties), "description": ClusterView.__doc__},
            "Clusters": _object({"clusters": {"type": "array", "items": {"$ref": f"{_REF}Cluster"}}}),
            "Stopping": _object({"id": _TEXT, "state": {"const": "stopping"}}),
            "NewCluster": {
                "type": "object",
                "additionalProperties": False,
                "required": ["profile"],
                "properties": {
                    "profile": {**_TEXT, "description": "One of `/api/profiles`."},
                    "workers": {"type": ["integer", "null"], "minimum": 0},
                    "cpus": {**_AMOUNT, "description": "Cores of each worker."},
                    "memory": _MEMORY,
                    "gpus": {**_AMOUNT, "description": "GPUs of each worker."},
                    "walltime": _WALLTIME,
                    "image": {**_TEXT_OR_NULL, "description": "The name of one of the profile's images."},
                    "name": _TITLE,
                    "server": {
                        "type": ["string", "null"],
                        "maxLength": MAX_SERVER_CHARACTERS,
                        "description": "The server that it belongs to; empty: the default one.",
                    },
                },
            },
            "Change": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {"workers": _COUNT, "name": _TITLE},
            },
            "Attach": _object(
                {
                    "cluster": _TEXT,
                    "network": {"enum": ["direct", "site"]},
                    "address": {**_TEXT_OR_NULL, "description": "Of the head; null in network site."},
                    "rendezvous": {**_TEXT_OR_NULL, "description": "The file with it; null in direct."},
                    "dashboard_url": _TEXT,
                    "token": {**_TEXT, "description": "Who has it may run code in the cluster."},
                    "ray_version": _TEXT,
                    "python_version": _TEXT_OR_NULL,
                    "session": _TEXT_OR_NULL,
                    "node_network": _TEXT_OR_NULL,
                    "plasma_directory": _TEXT_OR_NULL,
                }
            ),
            "Profiles": _object({"profiles": {"type": "array", "items": {"$ref": f"{_REF}Profile"}}}),
            "Profile": _object(
                {
                    "name": _TEXT,
                    "title": _TEXT,
                    "description": _TEXT,
                    "site": _TEXT,
                    "network": {"enum": ["direct", "site"]},
                    "status": {
                        "type": "object",
                        "required": ["state", "text"],
                        "properties": {"state": TypeAdapter(SiteState).json_schema(), "text": _TEXT},
                    },
                    "bounds": _object(
                        {
                            "workers": amounts,
                            "cpus": amounts,
                            "memory_mib": amounts,
                            "gpus": {"anyOf": [amounts, {"type": "null"}]},
                            "walltime_minutes": {"anyOf": [amounts, {"type": "null"}]},
                        }
                    ),
                    "images": {
                        "type": "array",
                        "items": _object({"name": _TEXT, "title": _TEXT, "default": {"type": "boolean"}}),
                    },
                    "ray_version": _TEXT,
                    "limits": _object(
                        {
                            "clusters_per_user": limit,
                            "clusters_total": limit,
                            "workers_per_user": limit,
                            "clusters_now": _COUNT,
                        }
                    ),
                }
            ),
        }
    )
    return schemas


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"{_REF}{schema}"}}}


def _answer(
    summary: str,
    content: dict[str, Any],
    *errors: int,
    body: str | None = None,
    status: int = 200,
    query: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    responses: dict[str, Any] = {str(status): {"description": summary, "content": content}}
    for code in sorted({401, 403, *errors}):
        responses[str(code)] = (
            {"description": "To the login, or back"}
            if code < 400
            else {"description": "An error", "content": _json("Error")}
        )
    operation: dict[str, Any] = {"summary": summary, "security": [{"hub": []}], "responses": responses}
    if query:
        operation["parameters"] = query
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    return operation


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
