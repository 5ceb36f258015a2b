"""Who is asking: static tokens, service-account tokens, impersonation."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .errors import unauthorized

Json = dict[str, Any]
Lookup = Callable[[str, str, str], Json | None]

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
MASTERS = "system:masters"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    """An identity as RBAC sees it."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def as_json(self) -> Json:
        """The `UserInfo` of reviews."""
        info: Json = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
ADMIN = User("system:admin", (MASTERS, AUTHENTICATED))


class TokenFile:
    """Kubernetes' static token file (`token,user,uid,"group1,group2"`), read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, User] = {}

    def find(self, token: str) -> User | None:
        """The user of a token, or None."""
        state = self._path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        if stamp != self._stamp:
            self._users = self._read()
            self._stamp = stamp
        return self._users.get(token)

    def _read(self) -> dict[str, User]:
        users = {}
        with self._path.open(newline="") as lines:
            for row in csv.reader(lines, skipinitialspace=True):
                if len(row) < 3 or row[0].startswith("#"):
                    continue
                groups = [item.strip() for item in row[3].split(",") if item.strip()] if len(row) > 3 else []
                users[row[0]] = User(row[1], (*groups, AUTHENTICATED), row[2])
        return users


def account_user(namespace: str, name: str, uid: str = "") -> User:
    """The identity of a service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"{ACCOUNT_PREFIX}{namespace}:{name}", groups, uid)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class AccountTokens:
    """Makes and checks the tokens of service accounts (JWT, HS256 with a key of this server)."""

    def __init__(self, key: bytes, lookup: Lookup) -> None:
        self._key = key
        self._lookup = lookup

    def issue(
        self, account: Json, audiences: list[str], expiration_seconds: int | None, pod: Json | None = None
    ) -> str:
        """A token for a service account, bound to a pod if one is given; without an expiration it lasts."""
        now, meta = int(time.time()), account["metadata"]
        bound: Json = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if pod is not None:
            bound["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        claims: Json = {
            "aud": audiences or [ISSUER],
            "iat": now,
            "nbf": now,
            "iss": ISSUER,
            "jti": secrets.token_hex(16),
            "kubernetes.io": bound,
            "sub": f"{ACCOUNT_PREFIX}{meta['namespace']}:{meta['name']}",
        }
        if expiration_seconds is not None:
            claims["exp"] = now + expiration_seconds
        head = _encode(orjson.dumps({"alg": "HS256", "typ": "JWT"}))
        text = f"{head}.{_encode(orjson.dumps(claims))}"
        return f"{text}.{self._sign(text)}"

    def _sign(self, text: str) -> str:
        return _encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest())

    def find(self, token: str) -> User | None:
        """The service account of a valid token, while account and bound pod exist; otherwise None."""
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        try:
            claims = orjson.loads(_decode(text.partition(".")[2]))
            bound = claims["kubernetes.io"]
            namespace, account = bound["namespace"], bound["serviceaccount"]
        except (ValueError, KeyError, binascii.Error):
            return None
        if claims.get("exp", time.time() + 1) <= time.time():
            return None
        if not self._exists("serviceaccounts", namespace, account):
            return None
        if "pod" in bound and not self._exists("pods", namespace, bound["pod"]):
            return None
        return account_user(namespace, account["name"], account["uid"])

    def _exists(self, storage: str, namespace: str, reference: Json) -> bool:
        found = self._lookup(storage, namespace, reference["name"])
        return found is not None and found["metadata"]["uid"] == reference["uid"]


class Authenticator:
    """Finds out who sends a request. Without a token file everybody is the administrator."""

    def __init__(self, token_file: TokenFile | None, accounts: AccountTokens) -> None:
        self._token_file = token_file
        self._accounts = accounts

    @property
    def open(self) -> bool:
        """Whether nobody is asked for a token."""
        return self._token_file is None

    def user_of(self, authorization: str) -> User:
        """The user of an `Authorization` header. Raises: ApiError 401 for a token nobody has."""
        if self._token_file is None:
            return ADMIN
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        user = self.find(token.strip())
        if user is None:
            raise unauthorized()
        return user

    def find(self, token: str) -> User | None:
        """The user of a token, or None."""
        found = self._token_file.find(token) if self._token_file is not None else None
        return found or self._accounts.find(token)
