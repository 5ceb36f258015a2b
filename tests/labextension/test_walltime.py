"""What a server can know of its own walltime."""

import pytest
from rayster_lab.walltime import Walltime, walltime

NOW = 1_800_000_000
STARTED = NOW - 600
START, END, MINUTES = "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME", "RAYSTER_WALLTIME_MINUTES"
NONE = Walltime(None, False, None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, NONE, id="no job"),
        pytest.param({END: str(NOW + 90)}, Walltime(90, True, "slurm"), id="end"),
        pytest.param({END: str(NOW)}, Walltime(0, True, "slurm"), id="end reached"),
        pytest.param({END: str(NOW - 60)}, Walltime(0, True, "slurm"), id="end passed"),
        pytest.param({END: str(NOW + 90), MINUTES: "60"}, Walltime(90, True, "slurm"), id="end before form"),
        pytest.param(
            {START: str(NOW - 660), MINUTES: "60"}, Walltime(2940, True, "slurm"), id="start and form"
        ),
        pytest.param({START: str(NOW - 660)}, NONE, id="start alone"),
        pytest.param({MINUTES: "60"}, Walltime(3000, False, "profile"), id="form alone, as with SLURM 22.05"),
        pytest.param({MINUTES: "5"}, Walltime(0, False, "profile"), id="form, passed"),
        pytest.param(
            {END: "Unknown", MINUTES: "60"}, Walltime(3000, False, "profile"), id="end that is no number"
        ),
        pytest.param({END: "", MINUTES: "60"}, Walltime(3000, False, "profile"), id="empty end"),
        pytest.param({END: "0", MINUTES: "60"}, Walltime(3000, False, "profile"), id="end 0"),
        pytest.param({END: str(2**32 - 1)}, NONE, id="end infinite"),
        pytest.param({END: str(2**32 - 2)}, NONE, id="end not set"),
        pytest.param(
            {END: str(STARTED - 1), MINUTES: "60"}, Walltime(3000, False, "profile"), id="end of another job"
        ),
        pytest.param({END: "9" * 5000}, NONE, id="endless number"),
        pytest.param({END: "１８"}, NONE, id="digits of another script"),
        pytest.param({MINUTES: "-5"}, NONE, id="negative minutes"),
        pytest.param({MINUTES: "0"}, NONE, id="no minutes"),
        pytest.param({MINUTES: "1e9"}, NONE, id="minutes that are no number"),
        pytest.param({MINUTES: "99999999"}, NONE, id="more minutes than a profile may have"),
    ],
)
def test_the_walltime_is_what_the_environment_tells(environment, expected):
    assert walltime(environment, NOW, STARTED) == expected


def test_a_broken_second_is_not_promised():
    assert walltime({END: str(NOW + 90)}, NOW + 0.5, STARTED).seconds_left == 89
