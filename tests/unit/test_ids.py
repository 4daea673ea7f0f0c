"""Identifiers sort by time and are safe in paths."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.ids import is_id, make_id

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2400, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
RANDOM = st.binary(min_size=10, max_size=10)


@given(MOMENTS, RANDOM, RANDOM)
def test_later_ones_sort_later(moment, one, other):
    """A millisecond later sorts later, whatever the random part."""
    first, second = make_id(moment, one), make_id(moment + timedelta(milliseconds=2), other)
    assert first < second and is_id(first) and is_id(second)


@given(MOMENTS, RANDOM, RANDOM)
def test_random_part_tells_them_apart(moment, one, other):
    """In the same moment only the random part differs, and none of its bits is lost."""
    assert (make_id(moment, one) == make_id(moment, other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["", "0" * 25, "0" * 27, "0" * 25 + "i", "0" * 25 + "A", "0" * 25 + "/", "0" * 25 + "\n"]
)
def test_other_texts_are_no_ids(text):
    """Only 26 characters of the alphabet: nothing that a path or key could be broken with."""
    assert not is_id(text)


def test_a_naive_time_or_too_few_bytes_are_refused():
    """Both are mistakes of the caller."""
    with pytest.raises(ValueError, match="aware time"):
        make_id(datetime(2026, 1, 1), bytes(10))  # noqa: DTZ001 - what is tested
    with pytest.raises(ValueError, match="10 random bytes"):
        make_id(datetime(2026, 1, 1, tzinfo=UTC), bytes(9))
