"""Gives each client of the testbed's API server a name, a token and a kubeconfig file of its own."""

from __future__ import annotations

import base64
import csv
import secrets
from dataclasses import dataclass
from pathlib import Path

import yaml

NAMESPACE = "rayster"
_ALL_RIGHTS = ("system:masters",)


@dataclass(frozen=True)
class Identity:
    """A user of the API server: `name` is the kubeconfig file's, `user` what the server calls it."""

    name: str
    user: str
    groups: tuple[str, ...] = ()


_SERVICE_ACCOUNT_GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
# Hub and service are those whose rights are under test: they have those of their Roles and no others.
HUB = Identity("hub", f"system:serviceaccount:{NAMESPACE}:hub", _SERVICE_ACCOUNT_GROUPS)
SERVICE = Identity("service", f"system:serviceaccount:{NAMESPACE}:rayster", _SERVICE_ACCOUNT_GROUPS)
ADMIN = Identity("admin", "admin", _ALL_RIGHTS)


def part_identity(part: str) -> Identity:
    """Return the identity of a part that stands for a piece of Kubernetes; it may do everything."""
    return Identity(part, f"testbed:{part}", _ALL_RIGHTS)


def write_tokens(file: Path, identities: list[Identity]) -> dict[str, str]:
    """Write Kubernetes' static token file (`token,user,uid,"group1,group2"`); return the token of each name.

    A token that the file has already stays, so that a kubeconfig someone holds goes on working.
    """
    old: dict[str, str] = {}
    if file.exists():
        with file.open(newline="") as lines:
            old = {row[2]: row[0] for row in csv.reader(lines)}
    tokens = {identity.name: old.get(identity.name) or secrets.token_hex(24) for identity in identities}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        for identity in identities:
            writer.writerow([tokens[identity.name], identity.user, identity.name, ",".join(identity.groups)])
    return tokens


def write_kubeconfig(file: Path, server: str, authority: Path, name: str, token: str) -> None:
    """Write a kubeconfig for one identity at ``server`` (a URL), trusting the certificate in ``authority``."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": "testbed",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": "testbed", "user": name, "namespace": NAMESPACE}}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document, sort_keys=False))
