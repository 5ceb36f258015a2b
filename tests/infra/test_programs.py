"""The programs that tests leave something out without: so that nothing is left out unseen."""

import pytest

from rayster_testbed.slurm import programs


@pytest.mark.parametrize(
    ("program", "package"),
    [
        *((program, "slurm-wlm") for program in (*programs.DAEMONS[1:], *programs.COMMANDS)),
        ("munged", "munge"),
        ("chromium", "chromium"),
        ("kubectl", "kubernetes-client"),
    ],
)
def test_nothing_is_left_out_for_want_of_a_program(program: str, package: str) -> None:
    assert programs.find(program), (
        f"{program} is not installed, so tests are left out: apt-get install {package}"
    )
