"""When a capture can be sealed: nothing that its claim may still receive is on its way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archiver.claims import Rolls
from archiver.readiness import SourceProgress, is_ready, outstanding
from archiver.timeline import Interval
from archiver.values import Duty, RecordingRow
from archiver.vocabulary import DutyState

START = datetime(2026, 11, 23, 1, tzinfo=UTC)
CLAIM = Interval(START, START + timedelta(minutes=10))
DAY = timedelta(hours=24)

DUTY = Duty("duty", "centre", "main", "room", "camera", CLAIM, DutyState.ENDED)
ROW = RecordingRow("recording", "centre", "main", "camera", "duty", "worker", 1, START, segments=10, deposited=10)


def waiting(duty=DUTY, row=ROW, reached_s=None):
    reached = {} if reached_s is None else {row.id: START + timedelta(seconds=reached_s)}
    return outstanding(CLAIM, [SourceProgress("camera", [duty], [row], reached)])


def test_ended_duties_and_deposited_recordings_are_waited_for_no_longer():
    """Nor a source that nobody was ever asked to record."""
    assert waiting() == []
    assert outstanding(CLAIM, [SourceProgress("camera")]) == []


def test_a_duty_that_has_not_ended_is_waited_for():
    """Planned or held: a worker that is away may be recording all the same."""
    for state in (DutyState.PLANNED, DutyState.HELD):
        (words,) = waiting(duty=replace(DUTY, state=state))
        assert "duty duty has not ended" in words


def test_a_recording_with_segments_on_their_way_is_waited_for():
    """Closed, and not all of it is here; or still open."""
    assert "9 of 10 segments" in waiting(row=replace(ROW, deposited=9))[0]
    assert "9 of an open number of segments" in waiting(row=replace(ROW, segments=None, deposited=9))[0]


@given(st.integers(0, 3600))
def test_a_shared_recording_is_enough_once_it_is_deposited_beyond_the_claim(reached_s):
    """Another capture needs the duty for hours to come; its segments come in order."""
    open_duty, open_row = replace(DUTY, state=DutyState.HELD), replace(ROW, segments=None, deposited=3)
    assert (waiting(open_duty, open_row, reached_s) == []) is (reached_s >= 600)


@given(st.timedeltas(timedelta(0), timedelta(days=3)))
def test_after_a_day_it_waits_no_longer(since):
    """What is missing is named in the seal instead."""
    assert is_ready(CLAIM.end, ["a spool"], CLAIM.end + since, DAY) is (since >= DAY)
    assert is_ready(CLAIM.end, [], CLAIM.end + since, DAY)


@given(st.integers(-100, 1000))
def test_a_claim_ends_where_a_person_stopped_it(stopped_s):
    """With its rolls; there is none before the window began."""
    rolls = Rolls(timedelta(seconds=5), timedelta(seconds=7))
    claim = rolls.claim(CLAIM, START + timedelta(seconds=stopped_s))
    if stopped_s <= 0:
        assert claim is None
    else:
        assert claim == Interval(START - timedelta(seconds=5), START + timedelta(seconds=min(stopped_s, 600) + 7))
