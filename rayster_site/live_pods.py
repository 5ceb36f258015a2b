"""Asks the hub's service which pods of this site live."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from rayster_site.orphans import LivePods

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 10
_MAX_BYTES = 16 << 20
_Uid = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
_JobId = Annotated[str, StringConstraints(max_length=64)]


class LivePodsError(Exception):
    """The service did not answer, or not as it should; the message says how."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    site: str
    age_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    uids: Annotated[list[_Uid], Field(max_length=200_000)]
    job_ids: dict[_Uid, _JobId] = {}


class LivePodsClient:
    """The service, as the agent of one site asks it.

    Args:
        service_url: its address, without `/api/…`.
        site: this site's name; an answer for another one is refused.
        token: the site's token.
        ca_file: CA of the service's certificate, PEM; None: those of this machine.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        service_url: str,
        site: str,
        token: str,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._url = service_url.rstrip("/") + "/api/live-pods"
        self._site = site
        self.token = token
        self._ca_file = ca_file
        self._clock = clock
        self._client = AsyncHTTPClient(force_instance=True, max_body_size=_MAX_BYTES)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    async def ask(self) -> LivePods:
        """Return the pods that live.

        Raises:
            LivePodsError: there is no answer that can be used.
        """
        asked_at = self._clock()
        try:
            response = await self._client.fetch(
                self._url,
                headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
                connect_timeout=_TIMEOUT_SECONDS / 2,
                request_timeout=_TIMEOUT_SECONDS,
                # The token is for the service alone, not for where somebody sends us.
                follow_redirects=False,
                ca_certs=str(self._ca_file) if self._ca_file else None,
            )
        except HTTPClientError as error:
            raise LivePodsError(f"the service answered {error.code} {error.message or ''}".strip()) from None
        except (OSError, ValueError) as error:
            raise LivePodsError(f"the service did not answer: {error}") from None
        try:
            answer = _Answer.model_validate_json(response.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise LivePodsError(
                f"the service's answer is not understood at {where}: {first['msg']}"
            ) from None
        if answer.site != self._site:
            raise LivePodsError("the service answered for another site: do two sites share a token?")
        age_seconds = answer.age_seconds + self._clock() - asked_at
        return LivePods(frozenset(answer.uids), age_seconds, answer.job_ids)
