"""The questions a client may ask about identity and rights, and tokens for service accounts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from .decoding import conform, parse_body
from .deletion import now_text
from .errors import bad_request, invalid, invalid_value, not_found
from .identity import AccountTokens, Authenticator, User
from .kinds import Kind
from .objects import Objects
from .rbac import Attributes, Authorizer

Json = dict[str, Any]
TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "TokenRequest", "", model="AuthenticationV1TokenRequest")
DEFAULT_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 600, 1 << 32


def _attributes(spec: Json) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise bad_request(
            "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    if path is not None:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    resource = resource or {}
    return Attributes(
        verb=resource.get("verb", ""),
        group=resource.get("group", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )


class Reviews:
    """Answers to the review kinds."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def answer(self, kind: Kind, user: User, body: Json, namespace: str) -> Json:
        """The review with its status filled in. Raises: ApiError 400."""
        review = conform(body, kind)
        spec = review.get("spec") or {}
        status: Json
        if kind.kind == "TokenReview":
            status = self._token(spec.get("token", ""))
        elif kind.kind == "SelfSubjectReview":
            status = {"userInfo": user.as_json()}
        elif kind.kind == "SelfSubjectRulesReview":
            status = self._rules(user, spec.get("namespace", ""))
        elif kind.kind == "SelfSubjectAccessReview":
            status = self._access(user, _attributes(spec))
        else:
            asked = _attributes(spec)
            if kind.namespaced and asked.namespace != namespace:
                raise bad_request(
                    f"spec.resourceAttributes.namespace: must match metadata.namespace: {namespace}"
                )
            other = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
            status = self._access(other, asked)
        return {**review, "metadata": {**review["metadata"], "creationTimestamp": None}, "status": status}

    def _token(self, token: str) -> Json:
        user = self._authenticator.find(token)
        if user is None:
            return {"user": {}, "error": "[invalid bearer token]"}
        return {"authenticated": True, "user": user.as_json()}

    def _access(self, user: User, asked: Attributes) -> Json:
        allowed, reason = self._authorizer.allows(user, asked)
        return {"allowed": allowed, "reason": reason} if reason else {"allowed": allowed}

    def _rules(self, user: User, namespace: str) -> Json:
        rules, _ = self._authorizer.rules(user, namespace)
        return {
            "incomplete": False,
            "resourceRules": [item for item in rules if item.get("resources")],
            "nonResourceRules": [item for item in rules if item.get("nonResourceURLs")],
        }


def request_token(
    objects: Objects,
    tokens: AccountTokens,
    kind: Kind,
    namespace: str,
    name: str,
    body: bytes,
    content_type: str,
) -> Json:
    """POST serviceaccounts/NAME/token: a token that then authenticates. Raises: ApiError."""
    account = objects.read(kind, namespace, name).obj
    request = conform(parse_body(body, content_type, "TokenRequest"), TOKEN_REQUEST)
    spec = request.setdefault("spec", {})
    seconds = spec.setdefault("expirationSeconds", DEFAULT_SECONDS)
    why = None
    if seconds < SHORTEST_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        causes = [invalid_value("spec.expirationSeconds", seconds, why)]
        raise invalid("TokenRequest", "authentication.k8s.io", "", causes)
    pod = None
    reference = spec.get("boundObjectRef") or {}
    if reference.get("kind") == "Pod":
        pod = objects.lookup("pods", namespace, reference.get("name", ""))
        if pod is None or reference.get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
            raise not_found("pods", "", reference.get("name", ""))
    token = tokens.issue(account, spec.get("audiences") or [], seconds, pod)
    try:
        expires = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        expires = datetime.max.replace(tzinfo=timezone.utc)
    return {
        **request,
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": now_text()},
        "status": {"token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }
