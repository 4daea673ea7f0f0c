"""Where a recording is cut into segments, and what a segment's sidecar says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from archiver.canonical import digest_text
from archiver.mp4.boxes import find, find_all, walk
from archiver.mp4.fragments import Fragment
from archiver.mp4.index import IndexedFragment
from archiver.mp4.init import Init, parse_init
from archiver.sidecar import Anchor, CameraClaim, Place, Sidecar
from archiver.times import from_us
from archiver.vocabulary import Container
from ingest.anchors import Anchors, claimed_offset_us
from ingest.spooled import Arrival, RecordingHead

CUT = "cut"
"""The end cause of a segment that another one follows."""

CLAIM_ORIGIN = "rtcp"
_STSD = (b"mdia", b"minf", b"stbl", b"stsd")
_ENTRIES_AT = 8


def tagged_hvc1(init: Init) -> Init:
    """The same init with H.265 named hvc1, which Apple's players ask for.

    ffmpeg names it hev1 unless told, can't be told for one codec only, and version 9 then drops the parameter sets
    from the stream, by which a change of size is noticed. So the four letters are changed here and nothing else.
    """
    data = bytearray(init.data)
    moov = next(box for box in walk(init.data) if box.kind == b"moov")
    for trak in find_all(init.data, moov, b"trak"):
        table = find(init.data, trak, *_STSD)
        for entry in walk(init.data, table.body + _ENTRIES_AT, table.end) if table else ():
            if entry.kind == b"hev1":
                data[entry.start + 4 : entry.start + 8] = b"hvc1"
    return parse_init(bytes(data)) if data != init.data else init


def container_of(init: Init) -> Container:
    return Container(init.brand)


def is_cut_before(fragment: Fragment, start: int, timescale: int, segment_s: float) -> bool:
    """Whether a segment whose media began at `start` (ticks) ends before this fragment: at the first that begins with
    a keyframe after `segment_s` seconds (without video every one does), in any case after twice as long."""
    length = (fragment.tfdt - start) / timescale
    return length >= segment_s and (fragment.keyframe or length >= 2 * segment_s)


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a segment stands in time: the host's clock by its own anchor (I8), and the camera's claim beside it."""

    anchor: Anchor
    camera: CameraClaim | None


def timing(anchors: Anchors, arrivals: Sequence[Arrival], media_start: int, ntp: str) -> Timing:
    """Of a segment whose fragments arrived as `arrivals` say (one at least)."""
    zero_us = anchors.zero_us(arrivals[-1])
    offset = claimed_offset_us(arrivals, zero_us)
    anchor = Anchor(from_us(anchors.host_us(media_start, arrivals[-1])), ntp)
    return Timing(anchor, None if offset is None else CameraClaim(CLAIM_ORIGIN, offset))


class SegmentDraft:
    """A segment as it grows: its index and its digest, taken while it is written."""

    def __init__(self, init: Init, seq: int) -> None:
        self.seq = seq
        self._size = len(init.data)
        self._digest = sha256(init.data)
        self._fragments: list[IndexedFragment] = []

    @property
    def media_start(self) -> int:
        """Ticks; the segment has a fragment."""
        return self._fragments[0].tfdt

    @property
    def media_end(self) -> int:
        """Ticks. Never before its start, whatever a stream states."""
        last = self._fragments[-1]
        return max(last.tfdt + last.duration, self.media_start + 1)

    def __len__(self) -> int:
        return len(self._fragments)

    def add(self, fragment: Fragment) -> None:
        self._fragments.append(IndexedFragment.of(fragment, self._size))
        self._digest.update(fragment.data)
        self._size += len(fragment.data)

    def sidecar(self, head: RecordingHead, timed: Timing, end_cause: str, *, derived: bool = False) -> Sidecar:
        return Sidecar(
            place=_place(head, self.seq),
            container=head.container,
            codecs=head.codecs,
            init_size=head.init_size,
            init_digest=head.init_digest,
            size=self._size,
            digest=digest_text(self._digest.hexdigest()),
            media_start=self.media_start,
            media_end=self.media_end,
            timescale=head.timescale,
            anchor=timed.anchor,
            camera=timed.camera,
            fragments=tuple(self._fragments),
            end_cause=end_cause,
            derived=derived,
        )


def _place(head: RecordingHead, seq: int) -> Place:
    return Place(
        organisation=head.organisation,
        site=head.site,
        location=head.location,
        source=head.source,
        recording=head.recording,
        seq=seq,
        worker=head.worker,
        epoch=head.epoch,
    )
