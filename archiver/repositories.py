"""What the catalogue keeps, table by table: one small port each. A transaction (archiver/ports.py) has them all.

Rows that state facts (projects, captures, gaps, seals, policies, tokens) are never written by hand: `Events.append`
chains the fact and projects it onto the rows in the same transaction, and a rebuild replays the same events through the
same projection (I9). What has no event is what can be derived (duties, recordings, segments, jobs) or is not kept in
the vault (sealed addresses, sessions).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from archiver.timeline import Interval
from archiver.values import (
    Assignment,
    Batch,
    Capture,
    Draft,
    Duty,
    Event,
    Hit,
    Job,
    Location,
    Outage,
    Page,
    Policy,
    Project,
    Query,
    RecordingRow,
    SealRow,
    Segment,
    Source,
    Token,
    View,
)
from archiver.vocabulary import CaptureState, JobName, JobState


class Registry(Protocol):
    """Projects, locations, sources and policies. Single things raise NotFoundError. Lists are keyset-paged."""

    def project(self, id: str) -> Project: ...
    def projects(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Project]: ...
    def location(self, id: str) -> Location: ...
    def locations(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Location]: ...
    def source(self, id: str) -> Source: ...
    def sources(
        self, organisation: str, limit: int, cursor: str | None = None, location: str | None = None
    ) -> Page[Source]:
        """Removed ones are not listed (they are still found by id)."""
        ...

    def sealed_address(self, source: str) -> bytes:
        """NotFoundError when the catalogue was rebuilt and the address must be entered again."""
        ...

    def set_sealed_address(self, source: str, sealed: bytes) -> None: ...
    def policies(self, organisation: str) -> Sequence[Policy]:
        """Every version, oldest first."""
        ...


class Captures(Protocol):
    """Captures, as their events left them."""

    def get(self, id: str) -> Capture: ...
    def page(
        self, organisation: str, limit: int, cursor: str | None = None, state: CaptureState | None = None
    ) -> Page[Capture]:
        """Newest window first."""
        ...

    def in_states(self, states: Sequence[CaptureState]) -> Sequence[Capture]: ...
    def touching(self, source: str, span: Interval) -> Sequence[Capture]:
        """Not cancelled, whose window overlaps `span` (the caller widens it by the rolls), whatever the
        state.
        """
        ...

    def of_project(self, project: str) -> Sequence[Capture]: ...


class Segments(Protocol):
    """Deposited segments and their fragment indexes."""

    def add(self, segment: Segment, fragments: bytes) -> bool:
        """True if it is new; False if the same digest is already there; TamperError for another digest (I3).
        `fragments` is archiver.sidecar's packed index."""
        ...

    def get(self, key: str) -> Segment: ...
    def fragments(self, key: str) -> bytes: ...
    def touching(self, source: str, span: Interval) -> Sequence[Segment]:
        """Whose own span overlaps, ordered by recording and seq."""
        ...

    def of_recording(self, recording: str) -> Sequence[Segment]: ...
    def extend(self, key: str, retain_until: datetime) -> None:
        """Raise the row's date; never lowers it."""
        ...

    def each(self, after: str = "", limit: int = 1000) -> Sequence[Segment]:
        """All, in key order, after a key."""
        ...


class Recordings(Protocol):
    """Which recordings are known, so that a seal waits for a spool that is not yet deposited."""

    def open(self, row: RecordingRow) -> None:
        """Idempotent."""
        ...

    def close(self, id: str, segments: int) -> None:
        """Idempotent: `segments` were cut in all."""
        ...

    def touching(self, source: str, span: Interval) -> Sequence[RecordingRow]:
        """Opened before the span's end and not known to have ended before its start; `deposited` counts
        segment rows.
        """
        ...


class Outages(Protocol):
    """Projected from `gap.stated` events on a source's chain."""

    def touching(self, source: str, span: Interval) -> Sequence[Outage]: ...


class Seals(Protocol):
    """Projected from `capture.sealed` events."""

    def of_capture(self, capture: str) -> Sequence[SealRow]:
        """Every revision, oldest first."""
        ...

    def listing(self, segment: str) -> Sequence[str]:
        """Captures of which some seal lists this segment key."""
        ...

    def list_segments(self, capture: str, revision: int, keys: Sequence[str]) -> None:
        """Note which segments a revision lists (derived from its manifest)."""
        ...


class Events(Protocol):
    """Chains of facts, one per subject, and the batches in which they leave for the vault."""

    def append(self, draft: Draft) -> Event:
        """Chain a fact and project it, in this transaction."""
        ...

    def replay(self, batch: Batch, digest: str) -> int:
        """Take a stored batch as it is (rebuild): keep and project those of its events not yet there; how many were
        new. `digest` is the batch object's."""
        ...

    def chain(self, subject: str, after: int = -1) -> Sequence[Event]:
        """In order; seq starts at 0."""
        ...

    def heads(self) -> Mapping[str, tuple[int, str]]:
        """Subject -> (last seq, its hash)."""
        ...

    def heads_after(self, batch: str) -> Mapping[str, tuple[int, str]]:
        """The heads as they were when `batch` was taken: over its events and those of every batch before."""
        ...

    def waiting(self) -> tuple[datetime | None, datetime | None]:
        """The times of the oldest event without a batch, and of the oldest urgent one."""
        ...

    def take_batch(self, id: str) -> Batch | None:
        """Give every event WHERE batch IS NULL this batch id, and link it to the batch before; None if none
        waits.
        Asked again with the same id it gives the same batch: its bytes follow from these rows."""
        ...

    def unstored_batches(self) -> Sequence[str]:
        """Ids of batches whose object is not confirmed in the vault yet, oldest first."""
        ...

    def batch_stored(self, id: str, digest: str) -> None: ...

    def last_checkpoint(self) -> tuple[int, str | None]:
        """Number and digest of the last checkpoint stored; (0, None) before the first."""
        ...

    def checkpoint_stored(self, number: int, digest: str) -> None: ...


class Duties(Protocol):
    """Leased rows; the lease is measured by the catalogue's own clock (I6)."""

    def of_source(self, source: str, span: Interval) -> Sequence[Duty]:
        """Every duty whose span overlaps, in time order."""
        ...

    def put(self, duty: Duty) -> None:
        """Insert a planned duty, or change an existing one's span (never its epoch, worker or lease)."""
        ...

    def remove(self, id: str) -> None:
        """Drop a duty that nobody ever claimed; ConflictError otherwise."""
        ...

    def plan(self, site: str, horizon: timedelta) -> Sequence[Assignment]:
        """Duties not ended whose span begins within `horizon` from now, for the plan on disk (I5)."""
        ...

    def claim(self, worker: str, site: str, lease: timedelta, capacity: int, lead: timedelta) -> Sequence[Assignment]:
        """Take up to `capacity` duties that begin within `lead` and are planned, or held under a lapsed lease; their
        epoch grows by one. A duty of this very worker whose lease lapsed is taken again the same way."""
        ...

    def renew(self, worker: str, held: Mapping[str, int], lease: timedelta) -> Sequence[Duty]:
        """Renew those of `held` (duty -> epoch) that are still this worker's under that epoch, and return
        them with
        their present spans; what is missing from the answer must stop."""
        ...

    def finish(self, id: str, epoch: int) -> bool:
        """End a duty. False if the epoch is no longer the duty's (the caller's end means nothing)."""
        ...


class JobRows(Protocol):
    """What is shown of jobs; the engine behind `Jobs` runs them."""

    def add(self, job: Job) -> bool:
        """False if the id is already there."""
        ...

    def get(self, id: str) -> Job: ...
    def in_state(self, state: JobState, limit: int = 100) -> Sequence[Job]:
        """Newest first."""
        ...

    def update(self, job: Job) -> None: ...
    def forget(self, names: Collection[JobName], before: datetime) -> int:
        """Remove the rows of such jobs that are done and were asked for before; how many."""
        ...


class Tokens(Protocol):
    def by_digest(self, digest: str) -> Token | None: ...
    def all(self, organisation: str) -> Sequence[Token]: ...


class Views(Protocol):
    """Open views; they are not evidence, their events are."""

    def find(self, principal: str, capture: str, source: str) -> View | None: ...
    def put(self, view: View) -> None: ...
    def idle(self, before: datetime) -> Sequence[View]: ...
    def remove(self, id: str) -> None: ...


class Requests(Protocol):
    """Idempotency keys of POSTs: the answer of the first is the answer of all."""

    def find(self, principal: str, key: str) -> tuple[str, str] | None:
        """(digest of the request, id of the thing made)."""
        ...

    def put(self, principal: str, key: str, digest: str, made: str) -> None: ...


class Renditions(Protocol):
    """Derived copies, by a digest of what they are made of."""

    def put(self, made_of: str, profile: str, path: str, digest: str, size: int) -> None:
        """A newer copy takes the place of the older."""
        ...

    def get(self, made_of: str, profile: str) -> tuple[str, str, int] | None:
        """(path, digest, size)."""
        ...


class Search(Protocol):
    def find(self, query: Query, limit: int, cursor: str | None = None) -> Page[Hit]:
        """Newest window first. Text is matched in project number and title, location, source and capture
        title, by
        overlapping bigrams for Chinese."""
        ...
