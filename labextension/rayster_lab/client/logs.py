"""What the head or a worker prints."""

from collections.abc import Iterator

import httpx

from .errors import ServiceAway
from .service import Service

_MAX_BYTES = 16 * 2**20


def read_log(service: Service, cluster_id: str, pod: str | None, tail: int) -> str:
    """Return the last ``tail`` lines of a pod's log, None: the head's. Raises ClusterError."""
    parts, size = [], 0
    try:
        with service.open(f"clusters/{cluster_id}/logs", _query(pod, tail, follow=False)) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > _MAX_BYTES:
                    break
    except httpx.HTTPError as error:
        raise ServiceAway(f"The log broke off ({error or type(error).__name__}); ask again.") from None
    return b"".join(parts).decode(errors="replace")


def follow_log(service: Service, cluster_id: str, pod: str | None, tail: int) -> Iterator[str]:
    """Yield a log's lines as they come, until the pod ends. Raises ClusterError."""
    try:
        # A log may be silent for as long as its program is.
        with service.open(
            f"clusters/{cluster_id}/logs", _query(pod, tail, follow=True), silence_seconds=None
        ) as answer:
            yield from answer.iter_lines()
    except httpx.HTTPError as error:
        raise ServiceAway(f"The log broke off ({error or type(error).__name__}); ask again.") from None


def _query(pod: str | None, tail: int, *, follow: bool) -> dict[str, str | int | bool]:
    query: dict[str, str | int | bool] = {"tail": tail, "follow": follow}
    return query if pod is None else {**query, "pod": pod}
