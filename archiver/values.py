"""The values that travel through the archive: frozen, times aware UTC, sizes in bytes, digests as
`sha256:<hex>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from archiver.timeline import Interval
from archiver.vocabulary import (
    CaptureState,
    Container,
    DutyState,
    EventType,
    FindingCode,
    GapCause,
    JobName,
    JobState,
    Role,
    Severity,
)

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who does something: a person, a token or the archive itself. `purpose` is why, where one was given."""

    id: str
    kind: str
    role: Role
    purpose: str | None = None


ARCHIVE = Principal("archive", "system", Role.SYSTEM)
"""The archive itself, when nobody asked for what it does."""


@dataclass(frozen=True, slots=True)
class ProjectEnd:
    """The fact that starts a project's retention (Government Procurement Law Art. 42; evidence rules 2 and
    4).
    """

    day: date
    basis: str
    document: str
    signer: str


@dataclass(frozen=True, slots=True)
class Project:
    """A procurement."""

    id: str
    organisation: str
    number: str
    title: str
    buyer: str | None = None
    method: str | None = None
    lots: tuple[str, ...] = ()
    end: ProjectEnd | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """A room."""

    id: str
    organisation: str
    site: str
    name: str


@dataclass(frozen=True, slots=True)
class Source:
    """A camera, microphone, screen or link. `address` is what may be shown: scheme, host and port; the rest
    is a sealed secret.
    """

    id: str
    organisation: str
    site: str
    location: str
    name: str
    address: str
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """What a handler asked for. `window` is what counts; it is recorded with rolls on both sides."""

    id: str
    organisation: str
    site: str
    project: str
    location: str
    sources: tuple[str, ...]
    window: Interval
    state: CaptureState
    title: str | None = None
    stopped_at: datetime | None = None  # by a person; the rest of the window is a gap
    revision: int = 0  # of the last seal; 0 before the first
    retain_until: datetime | None = None
    retain_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """Recording one source over `span` (windows with their rolls, merged). The lease is held by `worker`
    under `epoch`.
    """

    id: str
    organisation: str
    site: str
    location: str
    source: str
    span: Interval
    state: DutyState
    epoch: int = 0
    worker: str | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker needs to record a duty, also without the catalogue: kept in its plan on disk, the address
    still sealed.
    """

    duty: Duty
    sealed_address: bytes


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch without media of one source, as its recorder saw it, and what that rests on."""

    source: str
    span: Interval
    cause: GapCause
    evidence: str
    worker: str
    epoch: int


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One unbroken recording of a source as the catalogue knows it. `segments` is how many were cut, None
    while it is open.
    """

    id: str
    organisation: str
    site: str
    source: str
    duty: str
    worker: str
    epoch: int
    opened_at: datetime
    segments: int | None = None
    deposited: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the vault. `retain_until` is what the lock says, None where there is no lock."""

    key: str
    version: str
    size: int
    digest: str
    retain_until: datetime | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A deposited segment. `span` is its place on the host's clock by its own anchor; media times are in
    ticks of `timescale`.
    """

    key: str
    version: str
    size: int
    digest: str
    sidecar_digest: str
    organisation: str
    site: str
    location: str
    source: str
    recording: str
    seq: int
    worker: str
    epoch: int
    container: Container
    codecs: str
    init_size: int
    init_digest: str
    span: Interval
    media_start: int
    media_end: int
    timescale: int
    end_cause: str
    derived: bool
    retain_until: datetime
    deposited_at: datetime


@dataclass(frozen=True, slots=True)
class SealRow:
    """One revision of a capture's seal, as the catalogue knows it."""

    capture: str
    revision: int
    key: str
    digest: str
    merkle_root: str
    signer: str
    sealed_at: datetime
    recorded_us: int
    missing_us: int


@dataclass(frozen=True, slots=True)
class Event:
    """One fact of a subject's chain. `hash` is SHA-256 (hex) of the canonical JSON of the rest; the first
    `previous` is 64 zeros. `extra` keeps fields of a newer program, so that the hash still fits.
    """

    id: str
    subject: str
    seq: int
    previous: str
    type: str
    time: datetime
    principal: Principal
    about: tuple[str, ...]
    payload: Json
    hash: str
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact to be chained: the catalogue gives it its place. `about` are the ids of other things it tells
    of.
    """

    subject: str
    type: EventType
    time: datetime
    principal: Principal
    payload: Json
    about: tuple[str, ...] = ()
    urgent: bool = False  # its batch leaves within 5 s


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that go to the vault together; `previous` is the digest of the batch before."""

    id: str
    previous: str | None
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of a retention policy. Years are calendar years in the archive's time zone."""

    id: str
    organisation: str
    version: int
    years: int
    basis: str
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """Work with an end. `done` of `total` is its progress, in units of its own (bytes, segments)."""

    id: str
    name: JobName
    state: JobState
    arguments: Json
    created_at: datetime
    done: int = 0
    total: int | None = None
    attempts: int = 0
    error: str | None = None
    result: Json | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Time inside a window with no media, its cause, and what that rests on."""

    span: Interval
    cause: GapCause
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """Every microsecond of a window for one source: recorded or a gap (I7)."""

    source: str
    window: Interval
    recorded: tuple[Interval, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verification found: which object, what was expected, what is there."""

    code: FindingCode
    severity: Severity
    object: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered step of a verification."""

    number: int
    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a verification; `ok` is false exactly when a finding is an error."""

    ok: bool
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result: the capture, which stretch matched, and why."""

    capture: Capture
    project: Project
    location: Location
    matched: Interval
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; all filters combine."""

    organisation: str
    project: str | None = None
    location: str | None = None
    source: str | None = None
    span: Interval | None = None
    text: str | None = None
    state: CaptureState | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list and the opaque cursor of the next one."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """How a copy is encoded: H.264 of at most `height` lines at quality `crf`, AAC of `sound_bits` a second."""

    name: str
    height: int
    preset: str
    crf: int
    sound_bits: int


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as the catalogue knows it: never the token, only its SHA-256."""

    id: str
    organisation: str
    name: str
    role: Role
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A principal watching one source of a capture (I11): opened before its first byte, closed after 5 idle
    minutes.
    """

    id: str
    principal: Principal
    capture: str
    source: str
    opened_at: datetime
    last_at: datetime
    ranges: tuple[tuple[int, int], ...] = field(default=())
