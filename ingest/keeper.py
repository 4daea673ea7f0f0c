"""The deposit loop: brings what lies in a worker's spool into the vault and the catalogue, and only then lets it go
(I1, I3). Every step may be repeated.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Protocol

from archiver import keys
from archiver.errors import ArchiverError, FormatError, TamperError, UnavailableError
from archiver.ports import Catalogue, Clock, Transaction
from archiver.values import ARCHIVE, Draft, Json, RecordingRow, Segment
from archiver.vocabulary import EventType
from ingest.facts import ClockStepped, DutyEnded, Fact, outage_payload, parse_fact

log = logging.getLogger(__name__)

POLL_S = 0.5
LONGEST_WAIT_S = 30.0
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Finished:
    """A segment in the spool: its file, and its sidecar's exact bytes."""

    seq: int
    media: Path
    sidecar: bytes


class SpooledRecording(Protocol):
    """A recording's folder in a spool."""

    @property
    def id(self) -> str: ...
    @property
    def row(self) -> RecordingRow: ...
    @property
    def segments(self) -> int | None:
        """How many were cut in all; None while it is being written or has to be salvaged."""
        ...

    def finished(self) -> Sequence[Finished]:
        """What waits to be deposited, in order."""
        ...

    def release(self, seq: int) -> None:
        """Remove a segment's files: the vault and the catalogue have it."""
        ...

    def remove(self) -> None:
        """Remove the folder; a torn tail in it is set aside, never deleted."""
        ...


class SpoolFolder(Protocol):
    """One worker's spool."""

    def recordings(self) -> Sequence[SpooledRecording]: ...
    def facts(self) -> Sequence[tuple[str, Json]]:
        """(id, document of ingest.facts) in the order in which they were stated."""
        ...

    def remove_fact(self, id: str) -> None: ...


class Deposit(Protocol):
    """archiver.depositing's `Depositing.deposit`."""

    def __call__(self, media: Path, sidecar: bytes) -> Segment: ...


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in spools to be deposited: segments, their bytes, and when the oldest was finished."""

    segments: int
    size: int
    oldest: datetime | None


def depth(folders: Iterable[SpoolFolder]) -> Depth:
    """For readiness and the doctor, in any process: what a keeper removes meanwhile is not counted."""
    found = []
    for folder in folders:
        for recording in folder.recordings():
            with suppress(FileNotFoundError):
                found += [each.media.stat() for each in recording.finished()]
    oldest = min((each.st_mtime for each in found), default=None)
    return Depth(
        len(found), sum(each.st_size for each in found), None if oldest is None else datetime.fromtimestamp(oldest, UTC)
    )


class Keeper:
    """`folders` gives the spools that are this process's to empty, anew for each pass."""

    def __init__(
        self, folders: Callable[[], Sequence[SpoolFolder]], deposit: Deposit, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._folders = folders
        self._deposit = deposit
        self._catalogue = catalogue
        self._clock = clock
        self._rows: dict[str, RecordingRow] = {}
        self._opened: set[str] = set()
        self._parked: set[Path] = set()
        self._complained: set[str] = set()

    def run(self, stop: Flag) -> None:
        """Until `stop` is set. What can't be done now is tried again, ever less often."""
        wait_s = POLL_S
        while not stop.wait(wait_s):
            try:
                self.run_once()
            except (ArchiverError, OSError) as problem:
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                log.warning("the spool waits, next try in %.1f s: %s", wait_s, problem)
            else:
                wait_s = POLL_S

    def run_once(self) -> None:
        """One pass over every spool: facts don't wait for a vault that is away. Raises what was in the way
        (ArchiverError, OSError) after all that could be done is done.
        """
        problem: ArchiverError | OSError | None = None
        for folder in self._folders():
            facts = folder.facts()  # before the recordings: none that they speak of may be unknown
            known = [(row, each) for each in folder.recordings() if (row := self._row(each)) is not None]
            self._open([row for row, _ in known])
            self._commit_facts(folder, facts, {row.duty for row, _ in known if row.segments is None})
            problem = self._deposit_known(known) or problem
        if problem is not None:
            raise problem

    # --- recordings

    def _row(self, recording: SpooledRecording) -> RecordingRow | None:
        """None for a recording whose own description is damaged: it stays for a person to look at."""
        try:
            row = self._rows.get(recording.id) or recording.row
            now = replace(row, segments=recording.segments)
        except (FormatError, OSError) as problem:
            self._complain(problem)
            return None
        self._rows[row.id] = row
        return now

    def _complain(self, problem: ArchiverError | OSError) -> None:
        if str(problem) not in self._complained:
            log.error("this stays in the spool: %s", problem)
            self._complained.add(str(problem))

    def _open(self, rows: Sequence[RecordingRow]) -> None:
        """Tell the catalogue of recordings that it may not know, so that a seal waits for them."""
        new = [row for row in rows if row.id not in self._opened]
        if not new:
            return
        with self._catalogue.transaction() as tx:
            for row in new:
                tx.recordings.open(replace(row, segments=None))
        self._opened.update(row.id for row in new)

    def _deposit_known(self, known: Sequence[tuple[RecordingRow, SpooledRecording]]) -> ArchiverError | OSError | None:
        """What was in the way: one recording's trouble is no other's, but a vault that is away is everybody's."""
        problem: ArchiverError | OSError | None = None
        for row, recording in known:
            try:
                self._deposit_all(row, recording)
            except UnavailableError as away:
                return away
            except (ArchiverError, OSError) as trouble:
                problem = trouble
        return problem

    def _deposit_all(self, row: RecordingRow, recording: SpooledRecording) -> None:
        left = 0
        for each in recording.finished():
            if each.media in self._parked or not self._is_deposited(row, each):
                left += 1
            else:
                recording.release(each.seq)
        if row.segments is not None and not left:
            self._close(row.id, row.segments, recording)

    def _is_deposited(self, row: RecordingRow, each: Finished) -> bool:
        """False when the segment had to be parked."""
        try:
            self._deposit(each.media, each.sidecar)
        except (TamperError, FormatError) as finding:
            self._park(row, each, finding)
            return False
        return True

    def _park(self, row: RecordingRow, each: Finished, finding: ArchiverError) -> None:
        """The file stays, for a person to look at; an event says so once. The others go on."""
        key = keys.segment(row.site, row.source, row.id, each.seq)
        log.error("segment %s stays in the spool: %s", key, finding)
        payload = {"object": key, "expected": "the bytes that its sidecar names", "found": finding.message}
        with self._catalogue.transaction() as tx:
            known = (event.payload for event in tx.events.chain(row.source) if event.type == EventType.TAMPER_FOUND)
            if not any(event.get("object") == key for event in known):
                tx.events.append(self._draft(row.source, EventType.TAMPER_FOUND, payload, urgent=True))
        self._parked.add(each.media)

    def _close(self, id: str, segments: int, recording: SpooledRecording) -> None:
        with self._catalogue.transaction() as tx:
            tx.recordings.close(id, segments)
        recording.remove()
        self._opened.discard(id)
        del self._rows[id]

    # --- facts

    def _commit_facts(self, folder: SpoolFolder, facts: Sequence[tuple[str, Json]], recorded: Collection[str]) -> None:
        """In order. A duty doesn't end while a recording of it is written or was left unfinished (`recorded`)."""
        for id, document in facts:
            try:
                fact = parse_fact(document)
                if isinstance(fact, DutyEnded) and fact.duty in recorded:
                    continue
                with self._catalogue.transaction() as tx:
                    self._commit(tx, fact)
            except UnavailableError:
                raise
            except ArchiverError as problem:  # of this fact alone: the others go on
                self._complain(problem)
            else:
                folder.remove_fact(id)

    def _commit(self, tx: Transaction, fact: Fact) -> None:
        if isinstance(fact, DutyEnded):
            _finish(tx, fact)
        elif isinstance(fact, ClockStepped):
            payload = {"worker": fact.worker, "offset_s": fact.offset_us / 1_000_000}
            tx.events.append(self._draft(SYSTEM, EventType.CLOCK_STEPPED, payload))
        elif fact not in tx.outages.touching(fact.source, fact.span):
            tx.events.append(self._draft(fact.source, EventType.GAP_STATED, outage_payload(fact)))

    def _draft(self, subject: str, type: EventType, payload: Json, *, urgent: bool = False) -> Draft:
        return Draft(subject, type, self._clock.now(), ARCHIVE, payload, urgent=urgent)


def _finish(tx: Transaction, fact: DutyEnded) -> None:
    """End the duty, unless it was extended meanwhile: then its worker records on. An old epoch's end means nothing."""
    now = {duty.id: duty for duty in tx.duties.of_source(fact.source, fact.span)}
    duty = now.get(fact.duty)
    if duty is None or duty.span.end <= fact.span.end:
        tx.duties.finish(fact.duty, fact.epoch)
