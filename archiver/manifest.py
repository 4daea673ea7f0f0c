"""The manifest of a seal (formats.md): every segment's digest under one Merkle root, the completeness statement, and
where the capture's chain of events stood. Its exact bytes are what is signed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from archiver import canonical, completeness, keys, merkle, times
from archiver.completeness import Completeness
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.values import Capture, Gap, Json, Segment, SourceCoverage
from archiver.vocabulary import GapCause

NOT_ASSESSED = "not assessed"

_KNOWN = (
    *("v", "archive", "capture", "revision", "previous", "sources", "merkle_root", "head", "vault", "clock"),
    *("software", "signer", "outstanding"),
)


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A sealed segment. Its canonical JSON, with fields of newer programs, is a leaf of the tree."""

    key: str
    version: str
    size: int
    digest: str
    sidecar_digest: str
    extra: Json = field(default_factory=dict)

    @classmethod
    def of(cls, segment: Segment) -> "SegmentEntry":
        return cls(segment.key, segment.version, segment.size, segment.digest, segment.sidecar_digest)

    def to_document(self) -> dict[str, Any]:
        return {
            **self.extra,
            "key": self.key,
            "version": self.version,
            "size": self.size,
            "sha256": self.digest,
            "sidecar_sha256": self.sidecar_digest,
        }


@dataclass(frozen=True, slots=True)
class SourceStatement:
    """What a seal says of one source: how complete it is and which segments hold it, in key order (that is, by
    recording and seq)."""

    source: str
    completeness: Completeness
    gaps: tuple[Gap, ...]
    segments: tuple[SegmentEntry, ...]
    quality: str = NOT_ASSESSED

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(sorted(self.segments, key=lambda entry: entry.key)))


@dataclass(frozen=True, slots=True)
class Booking:
    """The whole booking of the capture that is sealed."""

    id: str
    organisation: str
    site: str
    project: str
    location: str
    sources: tuple[str, ...]
    window: Interval
    title: str | None = None
    stopped_at: datetime | None = None

    @classmethod
    def of(cls, capture: Capture) -> "Booking":
        return cls(
            capture.id,
            capture.organisation,
            capture.site,
            capture.project,
            capture.location,
            capture.sources,
            capture.window,
            capture.title,
            capture.stopped_at,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """One revision of a seal. Sources are in the order of their ids.

    `previous`: revision and digest of the one before (I13). `head`: seq and hash of the last event of the capture's
    chain when it was sealed. `clock`: the sealing host's time and NTP state. `outstanding`: what had not arrived when
    the seal stopped waiting.
    """

    archive: str
    booking: Booking
    revision: int
    previous: tuple[int, str] | None
    sources: tuple[SourceStatement, ...]
    head: tuple[int, str]
    vault: str
    sealed_at: datetime
    ntp: str
    software: str
    signer: str
    outstanding: tuple[str, ...] = ()
    merkle_root: str = ""
    extra: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sealed_at", times.utc(self.sealed_at))
        object.__setattr__(self, "sources", tuple(sorted(self.sources, key=lambda statement: statement.source)))
        object.__setattr__(self, "merkle_root", self.merkle_root or self.computed_root)

    @property
    def segments(self) -> list[SegmentEntry]:
        """Every segment in the order of the tree's leaves: source, recording, seq."""
        return [entry for statement in self.sources for entry in statement.segments]

    @property
    def leaves(self) -> list[bytes]:
        return [canonical.encode(entry.to_document()) for entry in self.segments]

    @property
    def computed_root(self) -> str:
        """The root that the segments listed give; a true manifest's `merkle_root`."""
        return merkle.root(self.leaves)

    @property
    def completeness(self) -> Completeness:
        """The sum over the sources."""
        return sum((statement.completeness for statement in self.sources), completeness.NOTHING)


def statement(coverage: SourceCoverage, segments: Iterable[Segment]) -> SourceStatement:
    """What a seal says of a source with this coverage and these segments (all that touch the rolled window)."""
    entries = tuple(map(SegmentEntry.of, segments))
    return SourceStatement(coverage.source, completeness.of(coverage), coverage.gaps, entries)


def to_bytes(manifest: Manifest) -> bytes:
    """The canonical bytes of `seal-<n>.json`."""
    previous = manifest.previous
    return canonical.encode(
        {
            **manifest.extra,
            "v": VERSION,
            "archive": manifest.archive,
            "capture": _booking_document(manifest.booking),
            "revision": manifest.revision,
            "previous": {"revision": previous[0], "sha256": previous[1]} if previous else None,
            "sources": [_statement_document(statement) for statement in manifest.sources],
            "merkle_root": manifest.merkle_root,
            "head": {"seq": manifest.head[0], "hash": manifest.head[1]},
            "vault": manifest.vault,
            "clock": {"time": times.to_text(manifest.sealed_at), "ntp": manifest.ntp},
            "software": manifest.software,
            "signer": manifest.signer,
            "outstanding": list(manifest.outstanding),
        }
    )


def _booking_document(booking: Booking) -> dict[str, Any]:
    return {
        "id": booking.id,
        "organisation": booking.organisation,
        "site": booking.site,
        "project": booking.project,
        "location": booking.location,
        "sources": list(booking.sources),
        "start": times.to_text(booking.window.start),
        "end": times.to_text(booking.window.end),
        "title": booking.title,
        "stopped_at": times.to_text(booking.stopped_at) if booking.stopped_at else None,
    }


def _statement_document(statement: SourceStatement) -> dict[str, Any]:
    return {
        "source": statement.source,
        **statement.completeness.to_document(),
        "gaps": [gap_document(gap) for gap in statement.gaps],
        "quality": statement.quality,
        "segments": [entry.to_document() for entry in statement.segments],
    }


def gap_document(gap: Gap) -> dict[str, str]:
    """`{start, end, cause, evidence}`, as every document carries a gap."""
    return {
        "start": times.to_text(gap.span.start),
        "end": times.to_text(gap.span.end),
        "cause": str(gap.cause),
        "evidence": gap.evidence,
    }


def parse(data: bytes) -> Manifest:
    """Reads `to_bytes`; FormatError for anything else.

    It takes what is stated as it stands: `computed_root` and `completeness.problem` say whether it is true.
    """
    fields = Fields.versioned("manifest", canonical.decode(data))
    head, clock = fields.inner("head"), fields.inner("clock")
    manifest = Manifest(
        archive=fields.text("archive"),
        booking=_booking(fields.inner("capture")),
        revision=fields.count("revision"),
        previous=_previous(fields.optional_inner("previous")),
        sources=tuple(_statement(each) for each in fields.inners("sources")),
        head=(head.integer("seq"), head.text("hash")),
        vault=fields.text("vault"),
        sealed_at=clock.moment("time"),
        ntp=clock.text("ntp"),
        software=fields.text("software"),
        signer=fields.text("signer"),
        outstanding=fields.texts("outstanding"),
        merkle_root=fields.digest("merkle_root"),
        extra=fields.others(_KNOWN),
    )
    _check_order(manifest, fields)
    return manifest


def _booking(fields: Fields) -> Booking:
    return Booking(
        fields.text("id"),
        fields.text("organisation"),
        _safe(fields, "site"),
        fields.text("project"),
        fields.text("location"),
        fields.texts("sources"),
        _interval(fields),
        fields.optional_text("title"),
        None if fields.any("stopped_at") is None else fields.moment("stopped_at"),
    )


def _previous(fields: Fields | None) -> tuple[int, str] | None:
    return (fields.count("revision"), fields.digest("sha256")) if fields else None


def _statement(fields: Fields) -> SourceStatement:
    stated = Completeness(
        *(completeness.microseconds(fields.any(name)) for name in ("expected_s", "recorded_s", "missing_s"))
    )
    return SourceStatement(
        _safe(fields, "source"),
        stated,
        tuple(Gap(_interval(gap), gap.word("cause", GapCause), gap.text("evidence")) for gap in fields.inners("gaps")),
        tuple(_entry(entry) for entry in fields.inners("segments")),
        fields.text("quality"),
    )


def _entry(fields: Fields) -> SegmentEntry:
    return SegmentEntry(
        _safe(fields, "key"),
        fields.text("version"),
        fields.count("size"),
        fields.digest("sha256"),
        fields.digest("sidecar_sha256"),
        fields.others(("key", "version", "size", "sha256", "sidecar_sha256")),
    )


def _safe(fields: Fields, name: str) -> str:
    """Text that a key of the vault may be made of."""
    text = fields.text(name)
    if not keys.is_safe(text):
        raise fields.wrong(name, "a key or a part of one")
    return text


def _interval(fields: Fields) -> Interval:
    start, end = fields.moment("start"), fields.moment("end")
    if end <= start:
        raise fields.wrong("end", "after its start")
    return Interval(start, end)


def _check_order(manifest: Manifest, fields: Fields) -> None:
    """The order of the leaves is part of the format, and nothing is listed twice."""
    stated = [entry.text("key") for source in fields.inners("sources") for entry in source.inners("segments")]
    sources = [source.text("source") for source in fields.inners("sources")]
    if stated != [entry.key for entry in manifest.segments] or _repeats(stated) or _repeats(sources):
        raise FormatError("manifest: sources and segments must be listed once, in order of source, recording and seq")


def _repeats(values: Sequence[str]) -> bool:
    return len(set(values)) != len(values)
