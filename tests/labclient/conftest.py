"""A stub of the service, and the client that talks to it."""

from collections.abc import Iterator

import pytest
from rayster_lab.client.session import session

from .stub_service import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A service without clusters."""
    service = Stub().start()
    yield service
    service.stop()


@pytest.fixture
def here(stub: Stub, monkeypatch: pytest.MonkeyPatch):
    """The session of a kernel whose server the hub has told of the stub."""
    for name, value in stub.environment.items():
        monkeypatch.setenv(name, value)
    return session()
