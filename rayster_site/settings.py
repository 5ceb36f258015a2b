"""The agent's settings, checked once at its start."""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_SITE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
MIN_TOKEN_CHARS = 16
MAX_TOKEN_CHARS = 4096
_TOKEN = re.compile(rf"[!-~]{{{MIN_TOKEN_CHARS},{MAX_TOKEN_CHARS}}}")


class SettingsError(Exception):
    """A setting is wrong; the message says which, what it is and what is allowed."""


@dataclass(frozen=True)
class Settings:
    """What the agent is told; see `rayster-site serve --help`."""

    site: str
    scheduler: str
    host: str
    port: int
    token_file: Path
    tls_cert: Path | None = None
    tls_key: Path | None = None
    interval_seconds: float = 15
    command_timeout_seconds: float = 20
    command_dir: Path | None = None
    state_dir: Path | None = None
    wait_hours: float = 6
    ended_hours: float = 6
    job_users: tuple[str, ...] = ()
    service_url: str | None = None
    service_ca: Path | None = None
    cancel_orphans: bool = False
    orphan_grace_seconds: float = 900

    def check(self) -> None:
        """Check what can be checked without opening anything.

        Raises:
            SettingsError: a setting is wrong.
        """
        if not _SITE.fullmatch(self.site):
            raise SettingsError(f"--site {self.site!r}: not a name of letters, digits, dots, dashes")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key: one was given without the other")
        if self.cancel_orphans and self.service_url is None:
            raise SettingsError("--cancel-orphans: needs --service-url, who knows which pods live")
        if self.service_url is not None:
            _check_url(self.service_url)
        if self.command_dir is not None and not self.command_dir.is_dir():
            raise SettingsError(f"--command-dir {self.command_dir}: no such directory")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        )
        has_password = bool(parts.username or parts.password)
    except ValueError:
        usable = has_password = False
    if not usable:
        raise SettingsError("--service-url: not an http:// or https:// address without query")
    if has_password:
        raise SettingsError("--service-url: holds a user name or password; the token goes into --token-file")


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        SettingsError: it cannot be read, or holds no token.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOKEN_CHARS + 100)
    except OSError as error:
        raise SettingsError(f"--token-file {path}: {error.strerror}") from error
    token = raw.decode("ascii", errors="replace").strip()
    if not _TOKEN.fullmatch(token):
        raise SettingsError(
            f"--token-file {path}: holds no token of {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} printable ASCII characters"
            " without blanks; `openssl rand -hex 32` makes one"
        )
    return token


def user_numbers(users: tuple[str, ...]) -> frozenset[str]:
    """Return the numbers of accounts, as squeue prints them.

    Raises:
        SettingsError: this machine does not know a name.
    """
    numbers = set()
    for user in users:
        try:
            numbers.add(user if user.isdecimal() else str(pwd.getpwnam(user).pw_uid))
        except KeyError:
            raise SettingsError(f"--job-user {user!r}: this machine knows no such account") from None
    return frozenset(numbers)
