"""The OpenAPI document of the service."""

from typing import Any

from pydantic import TypeAdapter

from ..life.pod_status import State
from ..site_facts import SiteState
from .openapi_clusters import cluster_paths, cluster_schemas
from .server_state import GONE

_NUMBER_OR_NULL = {"type": ["number", "null"]}
_INTEGER_OR_NULL = {"type": ["integer", "null"]}
_TEXT = {"type": "string"}


def openapi(base_url: str, version: str) -> dict[str, Any]:
    """Return the document of a service at ``base_url``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RaySTER service",
            "version": version,
            "description": "Ray clusters for users, live states for the hub's pages, live pods for the sites' agents.",
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "paths": {
            "/api/sites": _get("The states of sites", "Sites", ["ticket", "hub"], 401, 403, 503),
            "/api/sites/events": _get(
                "The same as events `sites`", None, ["ticket", "hub"], 401, 403, 429, 503
            ),
            "/api/server": _get("The state of the ticket's server", "Server", ["ticket"], 401, 403, 503),
            "/api/server/events": _get("The same as events `server`", None, ["ticket"], 401, 403, 429, 503),
            **cluster_paths(),
            "/api/live-pods": _get("The pods of a site that exist", "LivePods", ["site"], 401, 503),
            "/healthz": _get("Whether the process lives", "Health", []),
            "/readyz": _get("Whether the cluster is known", "Readiness", [], 503),
        },
        "components": {
            "securitySchemes": {
                "ticket": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Ticket …`, as it stands in a page of the hub; good for a day.",
                },
                "hub": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JupyterHub token with access:services.",
                },
                "site": {"type": "http", "scheme": "bearer", "description": "The token of a site."},
            },
            "schemas": _schemas(),
        },
    }


def _get(summary: str, schema: str | None, who: list[str], *errors: int) -> dict[str, Any]:
    content = (
        {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        if schema
        else {"text/event-stream": {"schema": _TEXT}}
    )
    refused = {
        str(code): {
            "description": "An error",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for code in errors
    }
    answers = {"200": {"description": summary, "content": content}, **refused}
    return {"get": {"summary": summary, "security": [{name: []} for name in who], "responses": answers}}


def _schemas() -> dict[str, Any]:
    status = {
        "state": TypeAdapter(SiteState).json_schema(),
        "text": _TEXT,
        "detail": _TEXT,
        "age_seconds": _INTEGER_OR_NULL,
        "since": {**_NUMBER_OR_NULL, "description": "Unreachable since, in seconds since the epoch."},
        "wait_seconds": {**_INTEGER_OR_NULL, "description": "The typical wait."},
    }
    server = {
        "state": {"enum": [*(state.value for state in State), GONE]},
        "message": _TEXT,
        "reason": _TEXT,
        "raw_reason": {**_TEXT, "description": "The batch system's own word."},
        "job_id": {"type": ["string", "null"]},
        "position": _INTEGER_OR_NULL,
        "expected_start_in_seconds": _INTEGER_OR_NULL,
        "elapsed_seconds": _INTEGER_OR_NULL,
        "site": _TEXT,
        "partition": _TEXT,
        "heard_seconds_ago": _INTEGER_OR_NULL,
        "note": {**_TEXT, "description": "Where the cluster and the site differ."},
        "progress": {"type": "integer"},
    }
    field = _object({"field": _TEXT, "value": _TEXT, "reason": _TEXT})
    error = _object({"code": _TEXT, "message": _TEXT})
    error["properties"]["fields"] = {"type": "array", "items": field}
    return {
        **cluster_schemas(),
        "Sites": _object({"profiles": {"type": "object", "additionalProperties": _object(status)}}),
        "Server": _object(server),
        "LivePods": _object(
            {
                "version": {"const": 1},
                "site": _TEXT,
                "age_seconds": {"type": "number", "description": "How long ago the cluster was heard."},
                "uids": {"type": "array", "items": _TEXT},
                "job_ids": {
                    "type": "object",
                    "additionalProperties": _TEXT,
                    "description": "By UID, the job that the pod follows, where interLink has said so.",
                },
            }
        ),
        "Health": _object({"status": _TEXT, "version": _TEXT}),
        "Readiness": _object(
            {
                "status": _TEXT,
                "pods": {"type": "integer"},
                "cluster_age_seconds": {"type": "number"},
                "streams": {"type": "integer"},
            }
        ),
        "Error": _object({"error": error}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
