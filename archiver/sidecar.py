"""The sidecar of a segment: what its bytes are, where they belong and how its fragments lie (formats.md).

It is written once, beside the segment, and names no capture. A lost one is derived again from the segment's bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from struct import Struct, error
from typing import Any

from archiver import canonical, times
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError, MediaError
from archiver.mp4.codecs import codecs_string
from archiver.mp4.index import IndexedFragment, index
from archiver.timeline import Interval
from archiver.values import Json, Segment, Stored
from archiver.vocabulary import Container

MAX_SIDECAR = 4 * 2**20
"""A sidecar beyond this (bytes) is refused: a segment has 120 fragments or so."""

_KNOWN = (
    *("v", "organisation", "site", "source", "location", "recording", "seq", "epoch", "worker", "container", "init"),
    *("codecs", "size", "sha256", "media", "anchor", "camera", "fragments", "end_cause", "derived"),
)
_HEAD = Struct(">BI")
_PACKED = Struct(">QIqQ?32s")


@dataclass(frozen=True, slots=True)
class Place:
    """Which segment of which recording it is, and who made it under which epoch (I6)."""

    organisation: str
    site: str
    location: str
    source: str
    recording: str
    seq: int
    worker: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """Host time (aware UTC) of the segment's media start, and the host's NTP state then (I8)."""

    time: datetime
    ntp: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", times.utc(self.time))


@dataclass(frozen=True, slots=True)
class CameraClaim:
    """What the camera said of the time: where from (`rtcp`, `prft`), and its clock less the host's, in microseconds."""

    origin: str
    offset_us: int


@dataclass(frozen=True, slots=True)
class Sidecar:
    """All that is known of a segment when it is cut. Sizes in bytes, media times in ticks of `timescale`.

    `end_cause` is why it ended; `derived` says that it was made later, from the bytes alone.
    """

    place: Place
    container: Container
    codecs: str
    init_size: int
    init_digest: str
    size: int
    digest: str
    media_start: int
    media_end: int
    timescale: int
    anchor: Anchor
    camera: CameraClaim | None
    fragments: tuple[IndexedFragment, ...]
    end_cause: str
    derived: bool = False
    extra: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.timescale <= 0 or self.media_end <= self.media_start:
            raise ValueError("a segment must have media: a timescale above 0 and an end after its start")

    @property
    def span(self) -> Interval:
        """Its place on the host's clock by its own anchor, to the nearest microsecond (one at least)."""
        us = round((self.media_end - self.media_start) * 1_000_000 / self.timescale)
        return Interval(self.anchor.time, self.anchor.time + timedelta(microseconds=max(us, 1)))


def to_bytes(sidecar: Sidecar) -> bytes:
    """The canonical bytes that lie beside the segment."""
    place, anchor, camera = sidecar.place, sidecar.anchor, sidecar.camera
    document = {
        **sidecar.extra,
        "v": VERSION,
        "organisation": place.organisation,
        "site": place.site,
        "source": place.source,
        "location": place.location,
        "recording": place.recording,
        "seq": place.seq,
        "epoch": place.epoch,
        "worker": place.worker,
        "container": sidecar.container,
        "init": {"size": sidecar.init_size, "sha256": sidecar.init_digest},
        "codecs": sidecar.codecs,
        "size": sidecar.size,
        "sha256": sidecar.digest,
        "media": {"start": sidecar.media_start, "end": sidecar.media_end, "timescale": sidecar.timescale},
        "anchor": {"time": times.to_text(anchor.time), "ntp": anchor.ntp},
        "camera": camera and {"origin": camera.origin, "offset_us": camera.offset_us},
        "fragments": [[f.offset, f.size, f.tfdt, f.duration, f.keyframe, f.sha256] for f in sidecar.fragments],
        "end_cause": sidecar.end_cause,
        "derived": sidecar.derived,
    }
    return canonical.encode(document)


def parse(data: bytes) -> Sidecar:
    """Reads `to_bytes`; FormatError for anything else, also for an index that doesn't fill the segment."""
    fields = Fields.versioned("sidecar", canonical.decode(data, MAX_SIDECAR))
    init, media, anchor, camera = (
        fields.inner("init"),
        fields.inner("media"),
        fields.inner("anchor"),
        fields.optional_inner("camera"),
    )
    try:
        sidecar = Sidecar(
            place=_place(fields),
            container=fields.word("container", Container),
            codecs=fields.text("codecs"),
            init_size=init.count("size"),
            init_digest=init.digest("sha256"),
            size=fields.count("size"),
            digest=fields.digest("sha256"),
            media_start=media.integer("start"),
            media_end=media.integer("end"),
            timescale=media.count("timescale"),
            anchor=Anchor(anchor.moment("time"), anchor.text("ntp")),
            camera=CameraClaim(camera.text("origin"), camera.integer("offset_us")) if camera else None,
            fragments=tuple(_fragment(row) for row in fields.items("fragments")),
            end_cause=fields.text("end_cause"),
            derived=fields.flag("derived"),
            extra=fields.others(_KNOWN),
        )
        # The span must exist too: a media end centuries away has no time.
        _ = sidecar.span
    except (ValueError, OverflowError) as problem:
        raise FormatError(f"sidecar: {problem}") from problem
    _check_fill(sidecar)
    return sidecar


def _place(fields: Fields) -> Place:
    return Place(
        organisation=fields.text("organisation"),
        site=fields.text("site"),
        location=fields.text("location"),
        source=fields.text("source"),
        recording=fields.text("recording"),
        seq=fields.count("seq"),
        worker=fields.text("worker"),
        epoch=fields.count("epoch"),
    )


def _fragment(row: Any) -> IndexedFragment:
    if not isinstance(row, list) or len(row) < 6:
        raise FormatError("sidecar.fragments: each is [offset, size, tfdt, duration, keyframe, sha256]")
    names = ("offset", "size", "tfdt", "duration", "keyframe", "sha256")
    fields = Fields("sidecar.fragments", dict(zip(names, row, strict=False)))
    return IndexedFragment(
        offset=fields.count("offset"),
        size=fields.count("size"),
        tfdt=fields.integer("tfdt"),
        duration=fields.count("duration"),
        keyframe=fields.flag("keyframe"),
        sha256=fields.digest("sha256"),
    )


def _check_fill(sidecar: Sidecar) -> None:
    """Init and fragments lie one after the other and are the whole segment."""
    at = sidecar.init_size
    for fragment in sidecar.fragments:
        if fragment.offset != at:
            raise FormatError(f"sidecar: a fragment at byte {fragment.offset}; the one before ends at {at}")
        at += fragment.size
    if at != sidecar.size or not sidecar.fragments:
        raise FormatError(f"sidecar: init and fragments are {at} bytes of {sidecar.size}")


def derive(data: bytes, place: Place, anchor: Anchor, end_cause: str) -> Sidecar:
    """A lost sidecar made again from the segment's bytes; what they don't tell (place, anchor) is the caller's.

    MediaError unless `data` is a whole segment with at least one fragment.
    """
    found = index(data)
    if not found.fragments:
        raise MediaError("a segment without a fragment has no media")
    first, last = found.fragments[0], found.fragments[-1]
    if last.tfdt + last.duration <= first.tfdt:
        raise MediaError("the segment's media ends before it starts")
    return Sidecar(
        place=place,
        container=Container(found.init.brand),
        codecs=codecs_string(found.init),
        init_size=len(found.init.data),
        init_digest=canonical.digest_of(found.init.data),
        size=len(data),
        digest=canonical.digest_of(data),
        media_start=first.tfdt,
        media_end=last.tfdt + last.duration,
        timescale=found.init.reference.timescale,
        anchor=anchor,
        camera=None,
        fragments=found.fragments,
        end_cause=end_cause,
        derived=True,
    )


def segment_of(sidecar: Sidecar, sidecar_digest: str, stored: Stored, deposited_at: datetime) -> Segment:
    """The catalogue's row of a segment stored as `stored`. FormatError if its lock is missing."""
    if stored.retain_until is None:
        raise FormatError(f"{stored.key} has no lock; a deposited segment has one")
    place = sidecar.place
    return Segment(
        key=stored.key,
        version=stored.version,
        size=stored.size,
        digest=sidecar.digest,
        sidecar_digest=sidecar_digest,
        organisation=place.organisation,
        site=place.site,
        location=place.location,
        source=place.source,
        recording=place.recording,
        seq=place.seq,
        worker=place.worker,
        epoch=place.epoch,
        container=sidecar.container,
        codecs=sidecar.codecs,
        init_size=sidecar.init_size,
        init_digest=sidecar.init_digest,
        span=sidecar.span,
        media_start=sidecar.media_start,
        media_end=sidecar.media_end,
        timescale=sidecar.timescale,
        end_cause=sidecar.end_cause,
        derived=sidecar.derived,
        retain_until=stored.retain_until,
        deposited_at=deposited_at,
    )


def pack(fragments: Sequence[IndexedFragment]) -> bytes:
    """The index as the catalogue keeps it: a version and a count, then 61 bytes a fragment."""
    try:
        return _HEAD.pack(VERSION, len(fragments)) + b"".join(map(_packed, fragments))
    except error as problem:
        raise FormatError(f"a fragment index that can't be packed: {problem}") from problem


def _packed(fragment: IndexedFragment) -> bytes:
    raw_digest = bytes.fromhex(canonical.digest_hex(fragment.sha256))
    return _PACKED.pack(fragment.offset, fragment.size, fragment.tfdt, fragment.duration, fragment.keyframe, raw_digest)


def unpack(data: bytes) -> tuple[IndexedFragment, ...]:
    """Reads `pack`; FormatError for anything else."""
    return tuple(_unpacked(data))


def _unpacked(data: bytes) -> Iterator[IndexedFragment]:
    try:
        version, count = _HEAD.unpack_from(data)
    except error:
        raise FormatError("a packed fragment index is too short for its head") from None
    if version > VERSION or len(data) != _HEAD.size + count * _PACKED.size:
        raise FormatError(f"a packed fragment index of version {version}, {len(data)} bytes for {count} fragments")
    for offset, size, tfdt, duration, keyframe, digest in _PACKED.iter_unpack(data[_HEAD.size :]):
        yield IndexedFragment(offset, size, tfdt, duration, keyframe, canonical.digest_text(digest.hex()))
