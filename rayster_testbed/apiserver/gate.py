"""The door: who sends a request, on whose behalf, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from .identity import ACCOUNT_PREFIX, AUTHENTICATED, Authenticator, User, account_user
from .paths import ResourcePath
from .rbac import Attributes, Authorizer
from .selectors import split_fields


class Gate:
    """Authentication, impersonation and authorization of requests."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def user_of(self, request: web.BaseRequest) -> User:
        """Who asks, or on whose behalf. Raises: ApiError 401, or 403 for who may not impersonate."""
        headers = request.headers
        user = self._authenticator.user_of(headers.get("Authorization", ""))
        name = headers.get("Impersonate-User")
        if not name:
            return user
        groups = headers.getall("Impersonate-Group", [])
        for resource, values in (("users", [name]), ("groups", groups)):
            for value in values:
                self._authorizer.require(user, Attributes("impersonate", resource=resource, name=value))
        if name.startswith(ACCOUNT_PREFIX) and not groups:
            namespace, _, account = name.removeprefix(ACCOUNT_PREFIX).partition(":")
            return account_user(namespace, account)
        return User(name, (*groups, AUTHENTICATED))

    def require_path(self, user: User, request: web.BaseRequest) -> None:
        """Raises: ApiError 403 when the user may not see a path that is no resource."""
        self._authorizer.require(user, Attributes(request.method.lower(), path=request.path))

    def require(self, user: User, verb: str, path: ResourcePath, query: Mapping[str, str]) -> None:
        """Raises: ApiError 403 when the user may not do this to the resource."""
        name = path.name
        if not name and verb in ("list", "watch", "deletecollection") and "fieldSelector" in query:
            for field, operator, value in split_fields(query["fieldSelector"]):
                if field == "metadata.name" and operator != "!=":
                    name = value
        asked = Attributes(verb, path.group, path.plural, path.subresource, path.namespace, name)
        self._authorizer.require(user, asked)
