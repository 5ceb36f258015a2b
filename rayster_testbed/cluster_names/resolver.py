"""Makes Python resolve the names of cluster services, from the file `hosts` beside this one.

Standard library only: it runs as `sitecustomize` at the start of every Python of a container.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import socket
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_DOMAINS = (".svc", ".svc.cluster.local")
_IN_WORDS = re.compile(r"(?<![\w.-])[a-z0-9][a-z0-9.-]*\.svc(?:\.cluster\.local)?(?![\w-]|\.\w)")

_getaddrinfo = socket.getaddrinfo
_gethostbyname = socket.gethostbyname
_gethostbyname_ex = socket.gethostbyname_ex


def address_of(name: str) -> str | None:
    """The first address of a cluster's name; None when it has none now.

    The file is read each time: names come and go while a program waits for them.
    """
    wanted = name.lower().rstrip(".")
    try:
        lines = (_HERE / "hosts").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        address, *names = line.split()
        if wanted in names:
            return address
    return None


def _look_up(host: Any) -> Any:
    """An address for a cluster's name, anything else as it is."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not isinstance(name, str) or not name.lower().rstrip(".").endswith(_DOMAINS):
        return host
    address = address_of(name)
    if address is None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return address


def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    return _getaddrinfo(_look_up(host), *args, **kwargs)


def gethostbyname(host: Any) -> Any:
    return _gethostbyname(_look_up(host))


def gethostbyname_ex(host: Any) -> Any:
    return _gethostbyname_ex(_look_up(host))


def with_addresses(word: str) -> str:
    """A word of a command line with addresses in the place of those names that have one."""
    return _IN_WORDS.sub(lambda match: address_of(match[0]) or match[0], word)


def install() -> None:
    """From here on, names of the cluster resolve."""
    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = gethostbyname
    socket.gethostbyname_ex = gethostbyname_ex
    sys.argv[1:] = [with_addresses(word) for word in sys.argv[1:]]


def _run_the_other() -> None:
    """Run the `sitecustomize` that would have been found without this one."""
    elsewhere = [place for place in sys.path if Path(place or ".").resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if __name__ == "sitecustomize":
    install()
    _run_the_other()
