"""Asks a head's GCS, before Ray is imported, whether the token is right and which versions it has."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

# ray.rpc in Ray's gcs_service.proto; read by hand, because Ray's own modules take seconds to import.
_CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_KV_GET = "/ray.rpc.InternalKVGcsService/InternalKVGet"
_RAY_VERSION_FIELD = 2
_KV_VALUE_FIELD = 2
_METADATA_KEY, _METADATA_NAMESPACE = b"CLUSTER_METADATA", b"cluster"


class TokenRefused(Exception):
    """The GCS does not take this token."""


class NoAnswer(Exception):
    """Nobody speaks Ray's protocol at that address (yet)."""


@dataclass(frozen=True)
class HeadVersions:
    """What a head runs; None where it did not say."""

    ray: str | None
    python: str | None


def is_open(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    """Tell whether somebody listens at ``host``:``port``."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def ask(address: str, token: str | None, timeout_seconds: float = 2.0) -> HeadVersions:
    """Return what the head whose GCS is at ``address`` (``ip:port``) runs.

    Raises TokenRefused when it does not know ``token``, NoAnswer when it does not answer in time.
    """
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    # A proxy for the internet must not be asked for a node of the cluster.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:

        def call(method: str, request: bytes) -> bytes:
            answer: bytes = channel.unary_unary(method)(request, timeout=timeout_seconds, metadata=metadata)
            return answer

        try:
            alive = call(_CHECK_ALIVE, b"")
            stored = call(_KV_GET, _field(1, _METADATA_KEY) + _field(2, _METADATA_NAMESPACE))
        except grpc.RpcError as error:
            code = error.code()
            if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise TokenRefused(str(error.details())) from None
            raise NoAnswer(f"{code.name}: {error.details()}") from None
    return versions_in(alive, stored)


def versions_in(alive: bytes, stored: bytes) -> HeadVersions:
    """Return the versions that a GCS' answers (CheckAliveReply, InternalKVGetReply) tell."""
    ray = _fields(alive).get(_RAY_VERSION_FIELD)
    try:
        metadata = json.loads(_fields(stored).get(_KV_VALUE_FIELD, b"{}"))
    except ValueError:
        metadata = {}
    python = metadata.get("python_version") if isinstance(metadata, dict) else None
    return HeadVersions(
        ray=ray.decode(errors="replace") if ray else None, python=python if isinstance(python, str) else None
    )


def _field(number: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes((number << 3 | 2, len(value))) + value


def _fields(message: bytes) -> dict[int, bytes]:
    """Return the fields of a protobuf ``message`` that have bytes; what is not one ends the list."""
    found: dict[int, bytes] = {}
    rest = iter(message)
    try:
        for first in rest:
            key = _varint(first, rest)
            if key & 7 == 0:
                _varint(next(rest), rest)
            elif key & 7 == 2:
                length = _varint(next(rest), rest)
                found[key >> 3] = bytes(next(rest) for _ in range(min(length, len(message))))
            else:
                break
    except (StopIteration, RuntimeError):
        pass
    return found


def _varint(byte: int, rest: Iterator[int]) -> int:
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = next(rest)
        value |= (byte & 0x7F) << shift
        shift += 7
    return value
