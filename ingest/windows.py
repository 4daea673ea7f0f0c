"""Which duties record a source's booked windows. Pure: windows and duties in, changes out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from archiver.ids import NewId
from archiver.timeline import Interval, subtract, union
from archiver.times import MICROSECOND
from archiver.values import Duty, Source
from archiver.vocabulary import DutyState


@dataclass(frozen=True, slots=True)
class Changes:
    """What turns the existing duties into the wanted ones: `put` adds or resizes, `remove` drops ids that nobody
    claimed.
    """

    put: tuple[Duty, ...] = ()
    remove: tuple[str, ...] = ()


def plan(
    source: Source, windows: Iterable[Interval], existing: Sequence[Duty], now: datetime, new_id: NewId
) -> Changes:
    """The changes after which the duties of `source` cover, from `now` on, exactly the union of `windows` (rolls
    included), with one recorder at a time. The past stays as it is: a duty that is over is never moved, so a window
    booked after it gets a new duty, from `now` at the earliest. A duty that began or is held keeps its id.
    """
    wanted = _from(now, union(windows))
    over = [duty for duty in existing if duty.state is DutyState.ENDED or duty.span.end <= now]
    open_ = [duty for duty in existing if duty not in over]
    bound = sorted((duty for duty in open_ if _is_bound(duty, now)), key=_by_start)
    free = sorted((duty for duty in open_ if not _is_bound(duty, now)), key=_by_start)

    taken = [duty.span for duty in over]
    resized = []
    for place, duty in enumerate(bound):
        available = _without(wanted, [*taken, *(later.span for later in bound[place + 1 :])])
        resized.append(replace(duty, span=_resized(duty.span, available, now)))
        taken.append(resized[-1].span)
    placed, spare = _place(source, _without(wanted, taken), free, new_id)
    before = {duty.id: duty for duty in existing}
    put = tuple(duty for duty in [*resized, *placed] if before.get(duty.id) != duty)
    return Changes(put, tuple(duty.id for duty in spare))


def _is_bound(duty: Duty, now: datetime) -> bool:
    return duty.state is DutyState.HELD or duty.span.start <= now


def _by_start(duty: Duty) -> tuple[Interval, str]:
    return duty.span, duty.id


def _resized(span: Interval, available: Sequence[Interval], now: datetime) -> Interval:
    """`span` grown or cut to what is wanted of it; to (almost) nothing when that is nothing."""
    began = span.start <= now
    at = max(span.start, now)
    for stretch in available:
        if at in stretch:
            return Interval(span.start if began else stretch.start, stretch.end)
        if not began and stretch.start < span.end and span.start < stretch.end:
            return stretch
    return Interval(span.start, max(now, span.start + MICROSECOND))


def _place(
    source: Source, stretches: Sequence[Interval], free: Sequence[Duty], new_id: NewId
) -> tuple[list[Duty], list[Duty]]:
    """A duty for each stretch, taken from `free` where one lies there already; and those left over."""
    spare = list(free)
    placed = []
    for stretch in stretches:
        there = next((duty for duty in spare if duty.span.overlaps(stretch)), None)
        if there is None:
            placed.append(_planned(source, new_id(), stretch))
        else:
            spare.remove(there)
            placed.append(replace(there, span=stretch))
    return placed, spare


def _planned(source: Source, id: str, span: Interval) -> Duty:
    return Duty(id, source.organisation, source.site, source.location, source.id, span, DutyState.PLANNED)


def _from(now: datetime, stretches: Iterable[Interval]) -> list[Interval]:
    return [Interval(max(stretch.start, now), stretch.end) for stretch in stretches if stretch.end > now]


def _without(stretches: Iterable[Interval], taken: Sequence[Interval]) -> list[Interval]:
    return [rest for stretch in stretches for rest in subtract(stretch, taken)]
