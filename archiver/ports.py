"""What the use cases need from outside. Each port has one behavioural suite that every driver passes."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from archiver.mp4.index import IndexedFragment
from archiver.repositories import (
    Captures,
    Duties,
    Events,
    JobRows,
    Outages,
    Recordings,
    Registry,
    Renditions,
    Requests,
    Seals,
    Search,
    Segments,
    Tokens,
    Views,
)
from archiver.values import Capture, Job, Json, Profile, Stored
from archiver.vocabulary import Container, GapCause, JobName, VaultLabel


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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of a recorder's output, and when its first byte came: seconds of the host's monotonic clock."""

    data: bytes
    at: float


class Stream(Protocol):
    """One running recorder of one source."""

    def chunks(self) -> AsyncIterator[Chunk]:
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
        """Whether the copy is there and its bytes are those with `digest`. Others are told of in the log."""
        ...

    def making(self, name: str, room: int) -> AbstractContextManager[Path]:
        """A file to write the copy to; it takes its place, whole and durable, when the block ends without an error.
        UnavailableError when the disk hasn't `room` bytes to spare for it: recordings come first.
        """
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
