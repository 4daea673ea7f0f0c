"""How long a spool lasts."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archiver.timeline import Interval
from ingest.forecast import RESERVE_BYTES, missing_bytes, seconds_left

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@given(st.integers(0, 2**50), st.floats(1, 1e9))
def test_time_left_is_what_the_rate_uses_up(free, rate):
    """Up to the reserve, never below 0."""
    assert seconds_left(free, rate) * rate <= max(free - RESERVE_BYTES, 0) + 1


def test_nothing_to_record_lasts_forever():
    """A rate of 0."""
    assert seconds_left(0, 0) == float("inf")


@given(st.integers(-100, 100), st.integers(1, 100), st.integers(0, 10**6))
def test_only_what_is_to_come_counts(start, length, rate):
    """A span that has begun needs its rest, one that is over nothing."""
    span = Interval(NOW + timedelta(seconds=start), NOW + timedelta(seconds=start + length))
    rest = max(start + length - max(start, 0), 0)
    assert missing_bytes(RESERVE_BYTES, NOW, [(span, rate)]) == rest * rate
    assert missing_bytes(RESERVE_BYTES + rest * rate, NOW, [(span, rate)]) == 0
