"""Keeps the duties in step with the bookings, and says which jobs are due. Decisions only: what they rest on is read
through the ports, time is an argument.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver.claims import Rolls
from archiver.errors import ArchiverError, NotFoundError, UnavailableError
from archiver.ids import NewId
from archiver.ports import Transaction
from archiver.timeline import Interval
from archiver.times import to_us
from archiver.values import Capture, Json
from archiver.vocabulary import CaptureState, JobName, JobState
from ingest.windows import plan

log = logging.getLogger(__name__)

Ready = Callable[[Transaction, Capture, datetime], bool]
"""Whether a capture whose window is over can be sealed now."""
Due = tuple[JobName, str, Json]
"""A job to enqueue: its name, its key (the same key is the same job) and its arguments."""

AHEAD = timedelta(days=100 * 366)
URGENT_AFTER = timedelta(seconds=2)
BATCH_AFTER = timedelta(minutes=5)
RETRY_S = 300
UNSTORED_S = 60
TIDY_S = 3600

FAILED_LOOKED_AT = 1000

_OVER = frozenset({JobState.FAILED, JobState.DONE})
_OPEN = frozenset({CaptureState.BOOKED, CaptureState.RECORDING})


def last_moment(capture: Capture, post_roll: timedelta) -> datetime:
    """When nothing more is recorded for a capture: its end or its stop, post-roll included."""
    return min(capture.window.end, capture.stopped_at or capture.window.end) + post_roll


@dataclass(frozen=True, slots=True)
class Replanner:
    """Brings a source's duties in step with its captures: the `Replan` that wiring hands to booking."""

    pre_roll: timedelta
    post_roll: timedelta
    new_id: NewId

    def __call__(self, tx: Transaction, source: str, now: datetime) -> None:
        """NotFoundError if there is no such source."""
        ahead = Interval(now, now + AHEAD)
        captures = tx.captures.touching(source, ahead.widened(self.post_roll, self.pre_roll))
        rolls = Rolls(self.pre_roll, self.post_roll)
        windows = [rolls.claim(each.window, each.stopped_at) for each in captures if each.state in _OPEN]
        changes = plan(
            tx.registry.source(source),
            [window for window in windows if window is not None],
            tx.duties.of_source(source, ahead),
            now,
            self.new_id,
        )
        for id in changes.remove:
            tx.duties.remove(id)
        for duty in changes.put:
            tx.duties.put(duty)


def due_jobs(tx: Transaction, now: datetime, post_roll: timedelta, ready: Ready) -> list[Due]:
    """What the tick enqueues: captures that begin, end (post-roll included) or can be sealed, batches of events, the
    day's renewal of retention dates and the hour's tidying. Jobs already asked for are left out; a failed one comes
    again under a new key, at most once in `RETRY_S` seconds. So does one of a capture that was done and changed
    nothing, as when the clock was set back in between: what is due is said by the capture's state.
    """
    steps = [*_captures_due(tx, now, post_roll, ready), *_revisions_due(tx)]
    others = [*_batches_due(tx, now), _renewal(now), _tidying(now)]
    return [*_open(tx, steps, now, _OVER), *_open(tx, others, now, frozenset({JobState.FAILED}))]


def _captures_due(tx: Transaction, now: datetime, post_roll: timedelta, ready: Ready) -> Iterator[Due]:
    for capture in tx.captures.in_states([CaptureState.BOOKED, CaptureState.RECORDING, CaptureState.SEALING]):
        try:
            name = _step(tx, capture, now, post_roll, ready)
        except UnavailableError:
            raise
        except ArchiverError as problem:  # of this capture alone: the others go on
            log.error("what is due of capture %s can't be told: %s: %s", capture.id, problem.code, problem)
            continue
        if name is not None:
            yield _due(name, capture)


def _revisions_due(tx: Transaction) -> list[Due]:
    """Further seals that failed. They were asked for when footage came late, and nothing else would ask again."""
    failed = [job for job in tx.jobs.in_state(JobState.FAILED, FAILED_LOOKED_AT) if job.name is JobName.SEAL]
    found = {}
    for job in failed:
        capture = tx.captures.get(job.arguments["capture"])
        due = _due(JobName.SEAL, capture)
        if capture.state is CaptureState.SEALED and job.id.split(":again-")[0] == due[1]:
            found[capture.id] = due
    return list(found.values())


def _due(name: JobName, capture: Capture) -> Due:
    revision = f":{capture.revision + 1}" if name is JobName.SEAL else ""
    return name, f"{name}:{capture.id}{revision}", {"capture": capture.id}


def _step(tx: Transaction, capture: Capture, now: datetime, post_roll: timedelta, ready: Ready) -> JobName | None:
    """The job that takes a capture to its next state, if it is time."""
    if capture.state is CaptureState.BOOKED:
        return JobName.START if capture.window.start <= now else None
    if capture.state is CaptureState.RECORDING:
        return JobName.END if last_moment(capture, post_roll) <= now else None
    return JobName.SEAL if ready(tx, capture, now) else None


def _batches_due(tx: Transaction, now: datetime) -> Sequence[Due]:
    oldest, oldest_urgent = tx.events.waiting()
    if oldest_urgent is not None and oldest_urgent + URGENT_AFTER <= now:
        return [_bucket(JobName.BATCH, now, URGENT_AFTER.total_seconds())]
    if oldest is not None and oldest + BATCH_AFTER <= now:
        return [_bucket(JobName.BATCH, now, BATCH_AFTER.total_seconds())]
    return [_bucket(JobName.BATCH, now, UNSTORED_S)] if tx.events.unstored_batches() else []


def _renewal(now: datetime) -> Due:
    return JobName.RENEW, f"{JobName.RENEW}:{now.date()}", {}


def _tidying(now: datetime) -> Due:
    return _bucket(JobName.TIDY, now, TIDY_S)


def _bucket(name: JobName, now: datetime, seconds: float) -> Due:
    return name, f"{name}:{int(to_us(now) // (seconds * 1_000_000) * seconds)}", {}


def _open(tx: Transaction, candidates: Sequence[Due], now: datetime, over: frozenset[JobState]) -> list[Due]:
    found = ((name, _open_key(tx, first, now, over), arguments) for name, first, arguments in candidates)
    return [(name, key, arguments) for name, key, arguments in found if key is not None]


def _open_key(tx: Transaction, key: str, now: datetime, over: frozenset[JobState]) -> str | None:
    """The key under which a job is to be enqueued; None when it is there already in a state that isn't `over`."""
    for each in (key, f"{key}:again-{int(now.timestamp()) // RETRY_S}"):
        state = _job_state(tx, each)
        if state is None:
            return each
        if state not in over:
            return None
    return None


def _job_state(tx: Transaction, key: str) -> JobState | None:
    try:
        return tx.jobs.get(key).state
    except NotFoundError:
        return None
