"""Evidence rule 10: first lock = capture end + minimum period, renewed yearly until the end is known."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retention.policy import decide, last_day, local_day, years_later
from tests.retention_records import CAPTURE_END, SHANGHAI, end, moments, policy, record, year_counts, zones


def test_the_first_lock_is_the_captures_end_and_fifteen_years():
    """Not a day further, whenever the footage arrives: a lock can't be taken back."""
    for now in (CAPTURE_END, CAPTURE_END + timedelta(days=900)):
        until = decide(record(), now, SHANGHAI).until
        assert until == datetime(2041, 11, 23, 16, 0, tzinfo=UTC)


@given(moments, year_counts, zones)
def test_the_first_lock_is_never_later_than_a_later_end_asks_for(capture_end, years, zone):
    """A procurement can't end before its bid opening, so the first lock is never a guess."""
    facts = record(capture_end=capture_end, policies=(policy(years),))
    first = decide(facts, capture_end, zone).until
    ended = record(capture_end=capture_end, policies=(policy(years),), end=end(local_day(capture_end, zone)))
    assert first == decide(ended, capture_end, zone).until


@given(st.integers(0, 40 * 365), zones)
def test_yearly_renewal_keeps_the_lock_years_ahead(days, zone):
    """A job that runs every day renews once a year, and leaves at least the minimum less that year."""
    first = decide(record(), CAPTURE_END, zone).until
    now = CAPTURE_END + timedelta(days=days)
    until = decide(record(bound=first), now, zone).until
    assert until > years_later(now, 14, zone)
    again = decide(record(bound=until), now, zone).until
    assert again == until


def test_a_renewal_reaches_the_minimum_from_now():
    """On the anniversary of the last lock."""
    first = decide(record(), CAPTURE_END, SHANGHAI).until
    early = decide(record(bound=first), CAPTURE_END + timedelta(days=364), SHANGHAI)
    assert early.until == first
    anniversary = CAPTURE_END + timedelta(days=365)
    renewed = decide(record(bound=first), anniversary, SHANGHAI)
    assert renewed.until == years_later(anniversary, 15, SHANGHAI)


def test_the_end_event_extends_the_lock_to_the_due_date():
    """At least to due, and through that whole day."""
    first = decide(record(), CAPTURE_END, SHANGHAI).until
    keeping = decide(record(bound=first, end=end(date(2027, 9, 30))), datetime(2027, 10, 1, tzinfo=UTC), SHANGHAI)
    assert keeping.due == last_day(date(2027, 9, 30), 15)
    assert keeping.until == datetime(2042, 9, 30, 16, 0, tzinfo=UTC)
