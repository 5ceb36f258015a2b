"""Amounts with units."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayster_spawner.quantities import (
    format_memory,
    format_number,
    format_walltime,
    parse_memory_mib,
    parse_walltime_minutes,
    slurm_time,
)


@pytest.mark.parametrize(
    "text,mib",
    [
        ("512Mi", 512),
        ("4Gi", 4096),
        ("4GiB", 4096),
        ("4 GiB", 4096),
        ("1.5Gi", 1536),
        ("1GB", 954),
        ("1M", 1),
        ("1Ti", 2**20),
        ("1b", 1),
    ],
)
def test_memory_is_read_with_its_unit(text, mib):
    assert parse_memory_mib(text) == mib


@pytest.mark.parametrize(
    "text", ["", "4", "Gi", "4 apples", "4Gi\n#", "-1Gi", "1e9Gi", "９Gi", "9999999Ti", "4Gib;"]
)
def test_memory_without_sense_is_refused(text):
    with pytest.raises(ValueError):
        parse_memory_mib(text)


@pytest.mark.parametrize(
    "text,minutes",
    [
        ("30m", 30),
        ("90min", 90),
        ("8h", 480),
        ("1d", 1440),
        ("1h30m", 90),
        ("1d2h3m", 1563),
        ("04:00:00", 240),
        ("24:00", 1440),
        ("1-12:00:00", 2160),
        ("00:00:01", 1),
    ],
)
def test_walltime_is_read_as_people_write_it(text, minutes):
    assert parse_walltime_minutes(text) == minutes


@pytest.mark.parametrize(
    "text", ["", "4", "h", "1h\n#SBATCH", "1h x", "-1h", "99999999h", "400d", "00:99", "１h"]
)
def test_walltime_without_sense_is_refused(text):
    with pytest.raises(ValueError):
        parse_walltime_minutes(text)


@settings(deadline=None)
@given(st.integers(1, 366 * 24 * 60))
def test_slurm_reads_back_the_walltime(minutes):
    assert parse_walltime_minutes(slurm_time(minutes)) == minutes


@settings(deadline=None)
@given(st.integers(1, 2**30))
def test_memory_survives_being_shown(mib):
    assert parse_memory_mib(format_memory(mib)) == mib


def test_walltime_is_shown_in_words():
    assert format_walltime(3003) == "2 d 2 h 3 min"


@pytest.mark.parametrize("number,text", [(4.0, "4"), (0.5, "0.5"), (1234.567, "1234.567"), (100.0, "100")])
def test_numbers_are_shown_without_loss(number, text):
    assert format_number(number) == text
