"""Intervals: unions, clips and holes account for every microsecond once."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.timeline import ZERO, Interval, clip, subtract, total, union

BASE = datetime(2026, 3, 1, tzinfo=UTC)


def at(us: int) -> datetime:
    return BASE + timedelta(microseconds=us)


def span(start: int, end: int) -> Interval:
    return Interval(at(start), at(end))


SPANS = st.builds(lambda start, length: span(start, start + length), st.integers(-60, 60), st.integers(1, 40))
MANY = st.lists(SPANS, max_size=8)


def moments(intervals) -> set[int]:
    """The microseconds that intervals hold, one by one."""
    step = timedelta(microseconds=1)
    return {us for each in intervals for us in range((each.start - BASE) // step, (each.end - BASE) // step)}


@given(MANY)
def test_union_is_the_same_time(intervals):
    """A union holds exactly the moments of its parts, in order, disjoint and not touching."""
    merged = union(intervals)
    assert moments(merged) == moments(intervals)
    assert all(before.end < after.start for before, after in pairwise(merged))
    assert total(intervals) == timedelta(microseconds=len(moments(intervals)))


@given(SPANS, MANY)
def test_clip_and_subtract_are_the_window(window, intervals):
    """What is covered and what is not are the window, and share nothing (I7)."""
    inside, holes = clip(intervals, window), subtract(window, intervals)
    assert moments(inside) | moments(holes) == moments([window])
    assert not moments(inside) & moments(holes)
    assert total(inside) + total(holes) == window.length


@given(SPANS, SPANS)
def test_common_time(one, other):
    """Overlap, common time and membership agree."""
    common = one.common(other)
    assert (common is not None) == one.overlaps(other) == bool(moments([one]) & moments([other]))
    assert moments([common] if common else []) == moments([one]) & moments([other])
    assert one.start in one and one.end not in one


def test_an_interval_is_not_empty():
    """No length, or a negative one, is a mistake of the caller."""
    for end in (0, -1):
        with pytest.raises(ValueError, match="must end after its start"):
            span(0, end)


def test_naive_times_are_refused():
    """Times without a zone never get in."""
    with pytest.raises(ValueError, match="no time zone"):
        Interval(datetime(2026, 1, 1), at(0))  # noqa: DTZ001 - the naive time is what is tested


def test_times_come_in_any_zone_and_are_utc_inside():
    """The same moment in two zones is the same interval."""
    shanghai = timezone(timedelta(hours=8))
    local = Interval(at(0).astimezone(shanghai), at(9).astimezone(shanghai))
    assert local == span(0, 9) and local.start.tzinfo is UTC


def test_widened():
    """Rolls on both sides."""
    assert span(10, 20).widened(timedelta(microseconds=3), ZERO) == span(7, 20)
