"""The OpenAPI document, made of the same models as the answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from rayster_site.answers import Jobs, OneJob, Orphans, Site
from rayster_site.version import agent_version

_REF = "#/components/schemas/{model}"


class Health(BaseModel):
    """What ``GET /healthz`` answers."""

    status: str = "ok"
    version: str


class ErrorText(BaseModel):
    """What went wrong."""

    code: str = Field(description="a word for programs")
    message: str = Field(description="a sentence for people")


class Error(BaseModel):
    """Every answer with a status of 400 or more."""

    error: ErrorText


_MODELS: tuple[type[BaseModel], ...] = (Health, Site, Jobs, OneJob, Orphans, Error)


def openapi_document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    _, schemas = models_json_schema([(model, "serialization") for model in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RaySTER site agent",
            "version": agent_version(),
            "description": "What a site's batch system is doing. Times are seconds since the epoch by the site's clock;"
            " numbers in `…_seconds` count from the answer's `now`. A client that got an ETag may send it as"
            " If-None-Match: 304 means that nothing new was collected.",
        },
        "paths": {
            "/healthz": _path("Whether the agent lives", "Health", needs_token=False),
            "/openapi.json": _path("This document", None, needs_token=False),
            "/v1/site": _path("Partitions: nodes, cores, GPUs, limits, jobs, waits", "Site"),
            "/v1/jobs": _path("Jobs of pods, ended ones for some hours", "Jobs"),
            "/v1/jobs/{key}": _path(
                "One job", "OneJob", parameter="key", about="a job id or a pod's UID", statuses=(404, 503)
            ),
            "/v1/orphans": _path("Jobs without a pod, and second jobs of one pod", "Orphans"),
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(
    summary: str,
    model: str | None,
    *,
    needs_token: bool = True,
    parameter: str = "",
    about: str = "",
    statuses: tuple[int, ...] = (),
) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model)} if model else {"type": "object"}
    error = {
        "description": "an error",
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
    }
    responses: dict[str, Any] = {
        "200": {"description": "the answer", "content": {"application/json": {"schema": schema}}}
    }
    responses |= {str(status): error for status in (*((401,) if needs_token else ()), *statuses)}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if needs_token:
        operation["security"] = [{"token": []}]
    if parameter:
        operation["parameters"] = [
            {
                "name": parameter,
                "in": "path",
                "required": True,
                "description": about,
                "schema": {"type": "string"},
            }
        ]
    return {"get": operation}
