"""Seconds in documents add up exactly as printed, and a statement that can't be true is told."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import canonical, completeness
from archiver.completeness import Completeness
from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.values import Gap, SourceCoverage
from archiver.vocabulary import GapCause

BASE = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
YEARS_US = 100 * 366 * 86_400 * 1_000_000
LENGTHS = st.integers(0, YEARS_US)


def span(start: int, end: int) -> Interval:
    return Interval(BASE + timedelta(seconds=start), BASE + timedelta(seconds=end))


@given(LENGTHS, LENGTHS)
def test_seconds_add_up_as_printed(recorded, missing):
    """The printed decimals are exact: recorded + missing = expected, in JSON of both kinds."""
    stated = Completeness(recorded + missing, recorded, missing).to_document()
    for text in (json.dumps(stated), canonical.encode(stated).decode()):
        printed = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        assert printed["expected_s"] == printed["recorded_s"] + printed["missing_s"]
        assert printed["recorded_s"] * 1_000_000 == recorded


@given(LENGTHS)
def test_microseconds_come_back(us):
    """What is written is read as the same whole microseconds."""
    assert completeness.microseconds(json.loads(json.dumps(completeness.seconds(us)))) == us


@pytest.mark.parametrize("value", [None, True, "1", float("nan"), float("inf"), 1e300, 0.0000001, 10**400])
def test_other_values_are_no_seconds(value):
    """Not a number, or finer than microseconds: FormatError."""
    with pytest.raises(FormatError):
        completeness.microseconds(value)


def test_sum_over_sources():
    """A capture's totals are the sums of its sources'."""
    lost = Gap(span(4, 10), GapCause.LOST)
    one = SourceCoverage("a", span(0, 10), (span(0, 4),), (lost,))
    two = SourceCoverage("b", span(0, 10), (span(0, 10),), ())
    assert completeness.together([one, two]) == Completeness(20_000_000, 14_000_000, 6_000_000)


@pytest.mark.parametrize(
    ("stated", "gaps", "words"),
    [
        ((9, 6, 3), [(2, 5)], "expected of a window"),
        ((10, 6, 3), [(2, 5)], "are not"),
        ((10, 11, -1), [], "negative"),
        ((10, 6, 4), [(7, 11)], "out of the window"),
        ((10, 4, 6), [(2, 5), (4, 7)], "overlap"),
        ((10, 7, 3), [], "gaps of 0 us"),
        ((10, 10, 0), [(2, 5)], "gaps of 3"),
    ],
)
def test_a_statement_that_can_not_be_true(stated, gaps, words):
    """Each way in which the sums of a statement can fail is told in words."""
    lengths = Completeness(*(value * 1_000_000 for value in stated))
    found = completeness.problem(span(0, 10), lengths, [Gap(span(*ends), GapCause.LOST) for ends in gaps])
    assert found is not None and words in found


def test_an_unstated_hole():
    """A hole that the media shows and the statement leaves out is found, to the part that is left out."""
    shown = SourceCoverage("a", span(0, 10), (span(0, 4),), (Gap(span(4, 10), GapCause.LOST),))
    assert completeness.unstated(shown, [Gap(span(4, 8), GapCause.LOST)]) == [span(8, 10)]
