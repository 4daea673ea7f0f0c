"""What the use cases need from outside. Each port has one behavioural suite in tests/contract that every
driver passes.

Rows that state facts (projects, captures, gaps, seals, policies, tokens) are never written by hand:
`Events.append` chains
the fact and projects it onto the rows in the same transaction, and a rebuild replays the same events through
the same
projection (I9). What has no event is what can be derived (duties, recordings, segments, jobs) or is not kept
in the vault
(sealed addresses, sessions).
"""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from archiver.mp4.index import IndexedFragment
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
    Json,
    Location,
    Outage,
    Page,
    Policy,
    Profile,
    Project,
    Query,
    RecordingRow,
    SealRow,
    Segment,
    Source,
    Stored,
    Token,
    View,
)
from archiver.vocabulary import CaptureState, Container, GapCause, JobName, JobState, VaultLabel


class Clock(Protocol):
    """The host's clock. Never read elsewhere."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow; never mixed with `now`."""
        ...

    def ntp_state(self) -> str:
        """`synchronised`, `unsynchronised` or `unknown`, as the host's kernel says."""
        ...


class Secrets(Protocol):
    """Seals source addresses with a key that lies beside the home, never in the catalogue."""

    def seal(self, secret: str) -> bytes: ...

    def open(self, sealed: bytes) -> str:
        """TamperError if it was not sealed with this key."""
        ...


# ------------------------------------------------------------------ the vault


class Vault(Protocol):
    """The write-once store. Keys are relative POSIX paths of safe parts; a key is put once and its bytes
    never change.
    """

    @property
    def label(self) -> VaultLabel:
        """What its promise is worth; shown wherever the vault is."""
        ...

    def put(self, key: str, data: bytes | Path, *, digest: str, retain_until: datetime) -> Stored:
        """Store create-only, lock, make durable, read the lock back. Bytes that don't have `digest` are refused
        (TamperError) and leave nothing under the key. The same key with the same digest is a success (its lock is
        extended if `retain_until` is later); with another digest TamperError (I3). VaultUnavailableError: try again.
        """
        ...

    def stat(self, key: str, version: str | None = None) -> Stored:
        """What is there, its size as it is on the store now; NotFoundError."""
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None, version: str | None = None) -> Iterator[bytes]:
        """Stream [offset, offset+length) in pieces of at most 1 MiB. NotFoundError before the first piece."""
        ...

    def extend(self, key: str, version: str, retain_until: datetime) -> Stored:
        """Raise the lock to `retain_until` (rounded up to whole seconds); a later lock stays as it is. Never
        lowers.
        """
        ...

    def delete(self, key: str, version: str) -> None:
        """RetentionError before the lock's date, for every caller; NotFoundError."""
        ...

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Every object under a prefix (whole path parts), in key order. `digest` is the recorded one, not re-
        read.
        """
        ...

    def check(self) -> None:
        """VaultUnavailableError, saying why, if it can't take an object now."""
        ...


# ------------------------------------------------------------------ signatures


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """`intact`: the signature fits the bytes and carries its chain. `trusted`: the chain reaches a root that
    the caller
    holds; None when no root was given. `signer`: SHA-256 fingerprint (hex) of the signing certificate."""

    intact: bool
    trusted: bool | None
    signer: str | None
    reason: str = ""


class Signer(Protocol):
    """Makes detached CAdES-BES signatures (CMS, DER, chain included)."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the signing certificate's DER."""
        ...

    @property
    def chain(self) -> bytes:
        """The signing certificate and what leads to its root, PEM."""
        ...

    def sign(self, data: bytes) -> bytes: ...


class SignatureChecker(Protocol):
    def check(self, data: bytes, signature: bytes, roots: bytes | None) -> SignatureCheck:
        """Check a detached CAdES-BES signature; `roots` are PEM certificates that the caller trusts."""
        ...


# ------------------------------------------------------------------ the catalogue


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


class Transaction(Protocol):
    """One transaction on the catalogue: all of it or none."""

    @property
    def registry(self) -> Registry: ...
    @property
    def captures(self) -> Captures: ...
    @property
    def segments(self) -> Segments: ...
    @property
    def recordings(self) -> Recordings: ...
    @property
    def outages(self) -> Outages: ...
    @property
    def seals(self) -> Seals: ...
    @property
    def events(self) -> Events: ...
    @property
    def duties(self) -> Duties: ...
    @property
    def jobs(self) -> JobRows: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def views(self) -> Views: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def renditions(self) -> Renditions: ...
    @property
    def search(self) -> Search: ...


class Catalogue(Protocol):
    """The database. Every driver error that trying again may cure comes out as CatalogueUnavailableError."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Read and write; commits when the block ends, rolls back when it raises."""
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """A consistent read that never blocks a writer; writing in it is a mistake and fails."""
        ...

    def check(self) -> None:
        """CatalogueUnavailableError if it doesn't answer or its schema is not this program's."""
        ...


# ------------------------------------------------------------------ jobs and retention


class Jobs(Protocol):
    """Work with an end, run at least once by a worker; use cases behind it are idempotent."""

    def enqueue(self, tx: Transaction, name: JobName, key: str, arguments: Json) -> Job:
        """Enqueue inside `tx`: it runs if and only if `tx` commits. The same key again is the same job."""
        ...


class Progress(Protocol):
    """Where a running job tells how far it is."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


class Retention(Protocol):
    """Gives deposits and seals their dates, without archiver knowing the policies' rules."""

    def bind(self, tx: Transaction, captures: Sequence[Capture], now: datetime) -> datetime:
        """The lock date of an object that these captures need: the latest of theirs. A capture met for the
        first time
        is bound to the policies in force, as an event with the date and its reason in words."""
        ...

    def archive_lock(self, tx: Transaction, now: datetime) -> datetime:
        """The lock date of objects that belong to no capture (events, checkpoints, certificates)."""
        ...


# ------------------------------------------------------------------ recording


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ended: the cause a gap will carry, and the recorder's own words, with no secret in them."""

    cause: GapCause
    evidence: str


class Stream(Protocol):
    """One running recorder of one source."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The recorder's output as it comes, to its end of file; StopAsyncIteration means it has ended."""
        ...

    async def stop(self) -> None:
        """Ask it once to finish its file; `chunks` then goes on to the end of file. Kills it after 5 s."""
        ...

    async def end(self) -> StreamEnd:
        """After the end of file: reaps the child and says why it ended."""
        ...


class Recorder(Protocol):
    """Opens streams: ffmpeg now, a native one later."""

    async def open(self, address: str, *, attempt: int, mov: bool) -> Stream:
        """Start recording `address` (with its secrets). `attempt` counts from 0 and picks how long the start
        may
        analyse; `mov` when the sound is known to need MOV. SourceUnavailableError if it can't even start."""
        ...


# ------------------------------------------------------------------ what is derived


class Pictures(Protocol):
    """Makes pictures of stored media."""

    def jpeg(self, media: bytes, width: int) -> bytes:
        """The first picture of `media` (an init and fragments) as a JPEG at most `width` pixels wide. MediaError if it
        has none.
        """
        ...


class Reader(Protocol):
    """Where stored bytes are read from: a vault, or the folder of copies."""

    def read(
        self, key: str, offset: int = 0, length: int | None = None, version: str | None = None
    ) -> Iterator[bytes]: ...


class Copies(Reader, Protocol):
    """Browser copies, kept apart from every master. They may be lost: they are made again."""

    def holds(self, name: str, digest: str) -> bool:
        """Whether the copy is there and its bytes are those with `digest`."""
        ...

    def making(self, name: str) -> AbstractContextManager[Path]:
        """A file to write the copy to; it takes its place, whole and durable, when the block ends without an error."""
        ...

    def index(self, name: str) -> tuple[str, int]:
        """Read the new copy and keep an index of its fragments; its digest and size. MediaError if it isn't whole."""
        ...

    def read_index(self, name: str) -> tuple[bytes, Sequence[IndexedFragment]]:
        """Its init's bytes, and where its fragments lie."""
        ...


class Transcoder(Protocol):
    """Encodes a copy that a browser plays."""

    def transcode(
        self, media: Iterable[bytes], target: Path, profile: Profile, container: Container, timescale: int
    ) -> None:
        """Write a fragmented MP4 whose pictures stand at the same times, in `timescale` ticks a second. MediaError,
        ProgramError.
        """
        ...


class Shelf(Protocol):
    """Where exports lie until somebody fetches them: derived files, never evidence."""

    def write(self, folder: str, name: str, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Write a file whole, in place of any of that name; its digest and size in bytes."""
        ...

    def read(self, folder: str, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream [offset, offset+length); NotFoundError before the first piece."""
        ...

    def size(self, folder: str, name: str) -> int:
        """In bytes; NotFoundError."""
        ...


@dataclass(frozen=True, slots=True)
class SourceTest:
    """What a short look at a source found: its codecs if it answers, else why it doesn't, with no secret in it."""

    ok: bool
    codecs: tuple[str, ...] = ()
    problem: str | None = None


class SourceTester(Protocol):
    def test(self, address: str) -> SourceTest:
        """Open `address` (with its secrets) for some seconds. Never while a recorder has it open."""
        ...
