"""A few thousand events of each kind, made once."""

import pytest

from herd_tracking.simulation import simulate


@pytest.fixture(scope="session")
def electrons():
    return simulate(6000, seed=1)


@pytest.fixture(scope="session")
def protons():
    return simulate(4000, seed=1, particles="proton")
