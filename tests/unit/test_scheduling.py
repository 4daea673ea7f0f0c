"""Duties follow bookings; jobs are asked for when they are due, once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from archiver.claims import Rolls
from archiver.errors import FormatError, NotFoundError
from archiver.ports import Transaction
from archiver.timeline import Interval
from archiver.values import Capture, Job, Source
from archiver.vocabulary import CaptureState, DutyState, JobName, JobState
from ingest.scheduling import BATCH_AFTER, RETRY_S, URGENT_AFTER, Replanner, due_jobs
from tests.doubles import START, MemoryDuties

ROLL = timedelta(seconds=5)
WINDOW = Interval(START, START + timedelta(minutes=10))
CAPTURE = Capture("cap", "org", "site", "project", "room", ("cam",), WINDOW, CaptureState.BOOKED)
SOURCE = Source("cam", "org", "site", "room", "Camera", "rtsp://host:554/…")


@dataclass
class Reads:
    """What scheduling reads of a transaction."""

    now: datetime = START
    rows: list[Capture] = field(default_factory=list)
    known: dict[str, JobState] = field(default_factory=dict)
    oldest: tuple[datetime | None, datetime | None] = (None, None)
    unstored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.duties = MemoryDuties(lambda: self.now)
        self.captures = SimpleNamespace(in_states=self._in_states, touching=lambda source, span: self.rows)
        self.registry = SimpleNamespace(source=lambda id: SOURCE)
        self.events = SimpleNamespace(waiting=lambda: self.oldest, unstored_batches=lambda: self.unstored)
        self.captures.get = lambda id: next(row for row in self.rows if row.id == id)
        self.jobs = SimpleNamespace(get=self._job, in_state=self._jobs_in)

    def _in_states(self, states: Sequence[CaptureState]) -> list[Capture]:
        return [row for row in self.rows if row.state in states]

    def _job(self, id: str) -> Job:
        if id not in self.known:
            raise NotFoundError(f"there is no job {id}")
        return Job(id, JobName(id.split(":")[0]), self.known[id], {"capture": id.split(":")[1]}, START)

    def _jobs_in(self, state: JobState, limit: int) -> list[Job]:
        return [self._job(id) for id, known in self.known.items() if known is state]

    @property
    def tx(self) -> Transaction:
        return cast(Transaction, self)

    def due(self, now: datetime, *, ready: bool = True) -> list[tuple[JobName, str]]:
        jobs = due_jobs(self.tx, now, ROLL, lambda tx, capture, at: ready)
        return [(name, key) for name, key, _ in jobs if name not in (JobName.RENEW, JobName.TIDY)]


def test_a_booking_gets_a_duty_with_rolls() -> None:
    """The window is recorded with a pre-roll and a post-roll."""
    reads = Reads(START - timedelta(hours=1), [CAPTURE])
    Replanner(ROLL, ROLL, lambda: "duty")(reads.tx, "cam", reads.now)
    (duty,) = reads.duties.rows.values()
    assert (duty.span, duty.state, duty.location) == (WINDOW.widened(ROLL, ROLL), DutyState.PLANNED, "room")


def test_a_cancelled_booking_loses_its_duty() -> None:
    """Nobody records what nobody wants any more."""
    reads = Reads(START - timedelta(hours=1), [CAPTURE])
    replan = Replanner(ROLL, ROLL, lambda: "duty")
    replan(reads.tx, "cam", reads.now)
    reads.rows = []
    replan(reads.tx, "cam", reads.now)
    assert reads.duties.rows == {}


def test_a_stopped_capture_is_recorded_to_its_stop() -> None:
    """The post-roll follows the stop, not the window's end."""
    at = START + timedelta(minutes=1)
    assert Rolls(ROLL, ROLL).claim(CAPTURE.window, at) == Interval(START - ROLL, at + ROLL)
    assert Rolls(ROLL, ROLL).claim(CAPTURE.window, START) is None


@pytest.mark.parametrize(
    ("state", "at", "expected"),
    [
        (CaptureState.BOOKED, WINDOW.start - ROLL, []),
        (CaptureState.BOOKED, WINDOW.start, [(JobName.START, "start:cap")]),
        (CaptureState.RECORDING, WINDOW.end, []),
        (CaptureState.RECORDING, WINDOW.end + ROLL, [(JobName.END, "end:cap")]),
        (CaptureState.SEALING, WINDOW.end + ROLL, [(JobName.SEAL, "seal:cap:1")]),
        (CaptureState.SEALED, WINDOW.end + ROLL, []),
    ],
)
def test_captures_go_on_in_time(state: CaptureState, at: datetime, expected: list[tuple[JobName, str]]) -> None:
    """Each state's next job is due at its time."""
    assert Reads(rows=[replace(CAPTURE, state=state)]).due(at) == expected


def test_a_capture_that_is_not_ready_is_not_sealed() -> None:
    """The seal waits for what is known to be missing."""
    assert Reads(rows=[replace(CAPTURE, state=CaptureState.SEALING)]).due(WINDOW.end + ROLL, ready=False) == []


def test_a_job_is_asked_for_once_and_a_failed_one_again_later() -> None:
    """The same key is the same job; a failure is retried at most once per period."""
    reads = Reads(rows=[CAPTURE], known={"start:cap": JobState.QUEUED})
    assert reads.due(START) == []
    reads.known["start:cap"] = JobState.FAILED
    ((_, again),) = reads.due(START)
    reads.known[again] = JobState.FAILED
    assert reads.due(START) == []
    assert len(reads.due(START + timedelta(seconds=RETRY_S))) == 1


def test_a_job_that_was_done_too_early_is_asked_for_again() -> None:
    """A clock that is set back lets it find nothing to do: the capture's state says that it is due, not the job's."""
    reads = Reads(rows=[CAPTURE], known={"start:cap": JobState.DONE})
    ((_, again),) = reads.due(START)
    reads.known[again] = JobState.RUNNING
    assert reads.due(START) == []
    reads.known[again] = JobState.DONE
    assert reads.due(START) == []
    assert len(reads.due(START + timedelta(seconds=RETRY_S))) == 1


def test_a_further_seal_that_failed_is_asked_for_again() -> None:
    """Footage that came late must not stay unsealed because the vault was away for a while."""
    sealed = replace(CAPTURE, state=CaptureState.SEALED, revision=1)
    reads = Reads(rows=[sealed], known={"seal:cap:1": JobState.FAILED, "seal:cap:2": JobState.FAILED})
    ((name, again),) = reads.due(WINDOW.end)
    assert name is JobName.SEAL and again.startswith("seal:cap:2:again-")
    reads.rows = [replace(sealed, revision=2)]
    assert reads.due(WINDOW.end) == []


def test_a_capture_that_cannot_be_judged_holds_up_no_other() -> None:
    """What is wrong with one is logged; the others are started and sealed."""

    def judge(tx: Transaction, capture: Capture, at: datetime) -> bool:
        if capture.id == "bad":
            raise FormatError("a row that nobody can read")
        return True

    over = replace(CAPTURE, state=CaptureState.SEALING)
    jobs = due_jobs(Reads(rows=[replace(over, id="bad"), over]).tx, WINDOW.end + ROLL, ROLL, judge)
    assert [key for name, key, _ in jobs if name is JobName.SEAL] == ["seal:cap:1"]


@pytest.mark.parametrize(("age", "urgent", "due"), [(1, True, 0), (2, True, 1), (60, False, 0), (300, False, 1)])
def test_events_leave_in_time(age: int, urgent: bool, due: int) -> None:
    """An urgent event waits seconds for its batch, another minutes."""
    at = START - timedelta(seconds=age)
    assert len(Reads(oldest=(at, at if urgent else None)).due(START)) == due
    assert timedelta(0) < URGENT_AFTER < timedelta(seconds=5) < BATCH_AFTER


def test_a_batch_that_is_not_in_the_vault_is_asked_for_again() -> None:
    """Also when no event waits."""
    assert len(Reads(unstored=("batch",)).due(START)) == 1


def test_dates_are_renewed_once_a_day() -> None:
    """The key is the day."""
    keys = {due_jobs(Reads().tx, START + timedelta(hours=hours), ROLL, lambda *_: True)[0][1] for hours in range(48)}
    assert len(keys) == 3
