"""Times are aware, whole microseconds, and written in one way."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import times

MOMENTS = st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(MOMENTS, st.integers(-23, 23))
def test_text_and_microseconds_come_back(moment, hours):
    """A time survives both of its forms, from any zone."""
    local = moment.astimezone(timezone(timedelta(hours=hours)))
    assert times.from_text(times.to_text(local)) == moment
    assert times.from_us(times.to_us(local)) == moment


def test_the_one_form():
    """UTC with six decimals, and years with four digits."""
    moment = datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=8)))
    assert times.to_text(moment) == "2026-11-23T01:00:00.000000Z"


@pytest.mark.parametrize("text", ["", "x", "2026-11-23", "2026-11-23T01:00:00", "2026-13-01T00:00:00Z"])
def test_unclear_times_are_refused(text):
    """What has no zone, or is no time, is a ValueError."""
    with pytest.raises(ValueError):
        times.from_text(text)


def test_naive_times_are_refused():
    """A naive time is a mistake of the caller, in every form."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what is tested
    for refuses in (times.utc, times.to_us, times.to_text):
        with pytest.raises(ValueError, match="no time zone"):
            refuses(naive)
