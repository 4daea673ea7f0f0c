"""Which duties a worker starts, follows and gives up. Pure: what it holds and what the catalogue (or, while that is
away, the plan on disk) says in; decisions out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archiver.values import Assignment, Duty
from archiver.vocabulary import DutyState


@dataclass(frozen=True, slots=True)
class Held:
    """A duty that this worker records, or recorded up to its end (`ended`) without knowing yet that the catalogue
    agrees. `claimed` is false when it was started from the plan on disk, while the catalogue was away (I5).
    """

    duty: Duty
    claimed: bool
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: begin, follow a new span or epoch, stop recording (another has it, or it is gone), and drop what
    is ended for good. `start` tells which are claimed.
    """

    start: tuple[tuple[Assignment, bool], ...] = ()
    follow: tuple[Duty, ...] = ()
    lose: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def follow_catalogue(held: Mapping[str, Held], plan: Sequence[Assignment], worker: str) -> Decision:
    """After the catalogue answered: it alone says whose a duty is (I6)."""
    rows = {each.duty.id: each for each in plan}
    mine = {id: each for id, each in rows.items() if _is_mine(each.duty, worker)}
    gone = [id for id in held if id not in mine and not _may_still_be_claimed(held[id], rows.get(id))]
    return Decision(
        start=tuple((each, True) for id, each in mine.items() if id not in held),
        follow=tuple(each.duty for id, each in mine.items() if id in held and _differs(held[id], each.duty)),
        lose=tuple(id for id in gone if not held[id].ended),
        drop=tuple(id for id in gone if held[id].ended),
    )


def follow_plan(
    held: Mapping[str, Held], plan: Sequence[Assignment], worker: str, now: datetime, capacity: int
) -> Decision:
    """While the catalogue is away: go on, resume what was this worker's, and start what is planned for now, as if
    it had been claimed (I5).
    """
    start = list(_without_catalogue(held, plan, worker, now))
    return Decision(start=tuple(start[: max(0, capacity - active(held))]))


def active(held: Mapping[str, Held]) -> int:
    """How many recorders run or wait for their start."""
    return sum(not each.ended for each in held.values())


def must_claim(plan: Sequence[Assignment], now: datetime, lead: timedelta) -> bool:
    """Whether a planned duty begins soon enough to be claimed."""
    return any(each.duty.state is DutyState.PLANNED and each.duty.span.start <= now + lead for each in plan)


def _without_catalogue(
    held: Mapping[str, Held], plan: Sequence[Assignment], worker: str, now: datetime
) -> Iterator[tuple[Assignment, bool]]:
    for each in plan:
        if each.duty.id in held or each.duty.span.end <= now:
            continue
        if _is_mine(each.duty, worker):
            yield each, True
        elif each.duty.state is DutyState.PLANNED and each.duty.span.start <= now:
            duty = replace(each.duty, worker=worker, epoch=each.duty.epoch + 1)
            yield replace(each, duty=duty), False


def _is_mine(duty: Duty, worker: str) -> bool:
    return duty.state is DutyState.HELD and duty.worker == worker


def _may_still_be_claimed(held: Held, row: Assignment | None) -> bool:
    return not held.claimed and row is not None and row.duty.state is DutyState.PLANNED


def _differs(held: Held, row: Duty) -> bool:
    return not held.claimed or (held.duty.span, held.duty.epoch) != (row.span, row.epoch)
