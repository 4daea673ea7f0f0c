"""Planning duties from windows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.timeline import Interval, clip, subtract, union
from archiver.times import MICROSECOND
from archiver.values import Duty, Source
from archiver.vocabulary import DutyState
from ingest.windows import Changes, plan

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
NOW = ZERO + timedelta(seconds=50)
SOURCE = Source("cam", "org", "site", "room", "Camera", "rtsp://host:554/…")


def span(start: float, end: float) -> Interval:
    return Interval(ZERO + timedelta(seconds=start), ZERO + timedelta(seconds=end))


def duty(id: str, start: float, end: float, state: DutyState = DutyState.PLANNED) -> Duty:
    return Duty(id, "org", "site", "room", "cam", span(start, end), state)


def ids() -> Iterator[str]:
    return (f"new{number}" for number in count())


def planned(windows: Sequence[Interval], existing: Sequence[Duty] = (), now: datetime = NOW) -> Changes:
    fresh = ids()
    return plan(SOURCE, windows, existing, now, lambda: next(fresh))


def applied(changes: Changes, existing: Sequence[Duty]) -> list[Duty]:
    rows = {each.id: each for each in existing if each.id not in changes.remove}
    rows.update({each.id: each for each in changes.put})
    return sorted(rows.values(), key=lambda each: each.span)


def intervals(least: int, most: int) -> st.SearchStrategy[Interval]:
    return st.tuples(st.integers(least, most - 1), st.integers(1, 30)).map(
        lambda pair: span(pair[0], min(pair[0] + pair[1], most))
    )


@st.composite
def duties(draw: st.DrawFn) -> list[Duty]:
    """Disjoint duties as a catalogue can hold them: over, begun, claimed shortly before their start, or planned."""
    made = []
    for number, each in enumerate(subtract(span(0, 120), draw(st.lists(intervals(0, 120), max_size=6)))):
        if each.end <= NOW:
            states = [DutyState.ENDED, DutyState.HELD, DutyState.PLANNED]
        elif each.start <= NOW + timedelta(seconds=10):
            states = [DutyState.HELD, DutyState.PLANNED]
        else:
            states = [DutyState.PLANNED]
        state = draw(st.sampled_from(states))
        made.append(Duty(f"old{number}", "org", "site", "room", "cam", each, state))
    return made


windows = st.lists(intervals(0, 120), max_size=6)
future = Interval(NOW, NOW + timedelta(days=1))


@settings(deadline=None)
@given(windows, duties())
def test_the_future_is_covered_exactly(wanted: list[Interval], existing: list[Duty]) -> None:
    """From now on the duties cover the windows and nothing else, but for the stub of a claimed duty nobody wants."""
    after = applied(planned(wanted, existing), existing)
    real = [each.span for each in after if each.span.length > MICROSECOND]
    assert clip(real, future) == clip(wanted, future)


@settings(deadline=None)
@given(windows, duties())
def test_one_recorder_at_a_time(wanted: list[Interval], existing: list[Duty]) -> None:
    """No two duties of a source overlap."""
    after = applied(planned(wanted, existing), existing)
    assert all(first.span.end <= second.span.start for first, second in pairwise(after))


@settings(deadline=None)
@given(windows, duties())
def test_planning_again_changes_nothing(wanted: list[Interval], existing: list[Duty]) -> None:
    """The plan is a fixed point."""
    after = applied(planned(wanted, existing), existing)
    assert planned(wanted, after) == Changes()


@settings(deadline=None)
@given(windows, duties(), st.randoms())
def test_order_does_not_matter(wanted: list[Interval], existing: list[Duty], random: Random) -> None:
    """Windows and duties may come in any order."""
    expected = planned(wanted, existing)
    random.shuffle(wanted)
    random.shuffle(existing)
    assert planned(wanted, existing) == expected


@settings(deadline=None)
@given(windows, duties())
def test_what_began_or_is_held_keeps_its_id(wanted: list[Interval], existing: list[Duty]) -> None:
    """A begun or held duty is resized at its end only (a claimed one before its start may move it); the past stays."""
    after = {each.id: each for each in applied(planned(wanted, existing), existing)}
    for before in existing:
        if before.span.end <= NOW:
            assert after[before.id] == before
        elif before.span.start <= NOW:
            assert after[before.id].span.start == before.span.start
            assert after[before.id].span.end >= NOW
        elif before.state is DutyState.HELD:
            assert before.id in after


def test_windows_that_overlap_or_touch_share_a_duty() -> None:
    """One camera, one recorder."""
    changes = planned([span(60, 80), span(70, 90), span(90, 100), span(110, 120)])
    assert [each.span for each in changes.put] == [span(60, 100), span(110, 120)]
    assert all(each.state is DutyState.PLANNED and each.source == "cam" for each in changes.put)


def test_a_window_that_has_begun_is_recorded_from_now() -> None:
    """Nothing is planned for the past."""
    assert [each.span for each in planned([span(40, 60)]).put] == [span(50, 60)]
    assert planned([span(10, 40)]) == Changes()


def test_a_held_duty_is_extended_and_shortened() -> None:
    """Its id and its start stay."""
    held = duty("a", 40, 60, DutyState.HELD)
    assert planned([span(40, 70)], [held]).put == (duty("a", 40, 70, DutyState.HELD),)
    assert planned([span(40, 55)], [held]).put == (duty("a", 40, 55, DutyState.HELD),)
    assert planned([], [held]).put == (duty("a", 40, 50, DutyState.HELD),)


def test_a_window_after_the_end_of_a_duty_gets_a_new_one() -> None:
    """A duty that is over is never taken up again, also while its worker is still finishing it."""
    for state in (DutyState.ENDED, DutyState.HELD):
        changes = planned([span(30, 60)], [duty("a", 30, 50, state)])
        assert changes == Changes((Duty("new0", "org", "site", "room", "cam", span(50, 60), DutyState.PLANNED),))


def test_unstarted_duties_are_resized_or_dropped() -> None:
    """Two duties that a third window joins become one; a cancelled window's goes."""
    existing = [duty("a", 60, 70), duty("b", 80, 90)]
    assert planned([span(60, 70), span(65, 85), span(80, 90)], existing) == Changes((duty("a", 60, 90),), ("b",))
    assert planned([span(80, 90)], existing) == Changes((), ("a",))


def test_two_held_duties_never_become_one() -> None:
    """A window between them is divided: neither moves to another id."""
    existing = [duty("a", 40, 52, DutyState.HELD), duty("b", 56, 60, DutyState.HELD)]
    after = applied(planned([span(40, 70)], existing), existing)
    assert [(each.id, each.span) for each in after] == [("a", span(40, 56)), ("b", span(56, 70))]
    assert union(each.span for each in after) == [span(40, 70)]
