"""Evidence rule 3: due = end + the years in the archive's time zone, eligible from the next day."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given

from retention.policy import after_day, day_before, decide, last_day
from tests.retention_records import SHANGHAI, days, end, record, year_counts, zones

SECOND = timedelta(seconds=1)


def test_due_is_fifteen_calendar_years_after_the_end_and_eligible_the_next_day():
    """In Shanghai the next day begins at 16:00 UTC."""
    ended = record(end=end(date(2027, 3, 1)))
    opens = datetime(2042, 3, 1, 16, 0, tzinfo=UTC)
    assert decide(ended, opens - SECOND, SHANGHAI).due == date(2042, 3, 1)
    assert not decide(ended, opens - SECOND, SHANGHAI).eligible
    assert decide(ended, opens, SHANGHAI).eligible


def test_a_leap_day_rolls_to_the_first_of_march():
    """2028-02-29 + 15 years has no such day."""
    assert last_day(date(2028, 2, 29), 15) == date(2043, 3, 1)
    assert last_day(date(2028, 2, 29), 16) == date(2044, 2, 29)


@given(days, year_counts)
def test_the_last_day_is_never_earlier_than_the_calendar_says(day, years):
    """The year is right, and the day is the same or, once in four years, the next."""
    due = last_day(day, years)
    assert due.year == day.year + years
    assert (due.month, due.day) == (day.month, day.day) or ((day.month, day.day), (due.month, due.day)) == (
        (2, 29),
        (3, 1),
    )


@given(days, zones)
def test_a_day_is_over_when_the_next_one_begins_in_the_archives_time_zone(day, zone):
    """Also where summer time begins at midnight, or a day was skipped altogether."""
    over = after_day(day, zone)
    assert over.astimezone(zone).date() > day
    assert (over - SECOND).astimezone(zone).date() <= day
    assert day_before(over, zone) <= day
