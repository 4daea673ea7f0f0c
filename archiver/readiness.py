"""Whether a capture can be sealed: nothing that its claim may still receive is on its way (pure, but for `progress`,
which reads what it rests on)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from archiver.claims import Rolls
from archiver.ports import Transaction
from archiver.timeline import Interval
from archiver.values import Capture, Duty, RecordingRow
from archiver.vocabulary import DutyState


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one source is. `reached`: per recording, until when its segments are deposited."""

    source: str
    duties: Sequence[Duty] = ()
    recordings: Sequence[RecordingRow] = ()
    reached: Mapping[str, datetime] = field(default_factory=dict)


def outstanding(claim: Interval, sources: Sequence[SourceProgress]) -> list[str]:
    """What a seal over `claim` still waits for, in words; empty when it waits for nothing."""
    return [words for progress in sources for words in (*_open_duties(claim, progress), *_recordings(claim, progress))]


def is_ready(window_end: datetime, waiting: Sequence[str], now: datetime, patience: timedelta) -> bool:
    """Nothing is outstanding, or `patience` after the window's end it has waited long enough."""
    return not waiting or now >= window_end + patience


def _open_duties(claim: Interval, progress: SourceProgress) -> list[str]:
    beyond = {row.duty for row in progress.recordings if _is_beyond(claim, progress, row)}
    return [
        f"source {progress.source}: duty {duty.id} has not ended"
        for duty in progress.duties
        if duty.state is not DutyState.ENDED and duty.id not in beyond
    ]


def _recordings(claim: Interval, progress: SourceProgress) -> list[str]:
    return [
        f"source {progress.source}: recording {row.id} has {row.deposited} of {_count(row)} segments deposited"
        for row in progress.recordings
        if not (_is_whole(row) or _is_beyond(claim, progress, row))
    ]


def _is_whole(row: RecordingRow) -> bool:
    return row.segments is not None and row.deposited >= row.segments


def _is_beyond(claim: Interval, progress: SourceProgress, row: RecordingRow) -> bool:
    """Segments are deposited in order, so one past the claim's end means that all before it are here."""
    return row.id in progress.reached and progress.reached[row.id] >= claim.end


def _count(row: RecordingRow) -> str:
    return "an open number of" if row.segments is None else str(row.segments)


def progress(tx: Transaction, source: str, claim: Interval) -> SourceProgress:
    """What the catalogue knows of one source over `claim`."""
    recordings = tx.recordings.touching(source, claim)
    segments = {row.id: tx.segments.of_recording(row.id) for row in recordings}
    reached = {id: max(segment.span.end for segment in found) for id, found in segments.items() if found}
    return SourceProgress(source, tx.duties.of_source(source, claim), recordings, reached)


def waiting(tx: Transaction, capture: Capture, rolls: Rolls) -> list[str]:
    """What a capture's seal still waits for."""
    claim = rolls.claim(capture.window, capture.stopped_at)
    return outstanding(claim, [progress(tx, source, claim) for source in capture.sources]) if claim else []


@dataclass(frozen=True, slots=True)
class Readiness:
    """Answers for the catalogue's captures: what the clock asks before it has one sealed."""

    rolls: Rolls
    patience: timedelta = timedelta(hours=24)

    def __call__(self, tx: Transaction, capture: Capture, now: datetime) -> bool:
        """Whether a capture whose window is over can be sealed now."""
        return is_ready(capture.window.end, waiting(tx, capture, self.rolls), now, self.patience)
