"""The beginning of a stream (ftyp and moov): its tracks and how they are coded.

Sections are those of ISO/IEC 14496-12; sample entries of version 1 and 2 are QuickTime's.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from archiver.errors import MediaError
from archiver.mp4.boxes import (
    Box,
    children,
    fields,
    find,
    find_all,
    name,
    need,
    payload,
    version_and_flags,
    walk,
)

Brand = Literal["mp4", "mov"]
Kind = Literal["video", "audio", "other"]

MAX_TRACKS = 64
MAX_EDITS = 64
FILLERS = frozenset({b"free", b"skip", b"wide", b"uuid"})

_KINDS: dict[bytes, Kind] = {b"vide": "video", b"soun": "audio"}
_CONFIGS = frozenset({b"avcC", b"hvcC", b"esds", b"av1C", b"vpcC", b"dOps", b"dac3", b"dec3", b"dfLa", b"jpgC"})
_VISUAL_FIELDS = 78
_SOUND_FIELDS = {0: 28, 1: 44, 2: 64}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a sample has when its fragment doesn't say (trex, section 8.8.3): ticks, bytes, flags."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Coding:
    """A sample entry (section 8.5.2): its four-character code, decoder configuration and dimensions.

    `config` is the body of avcC, hvcC, esds ... (empty if there is none); sizes in pixels, `sample_rate` in
    Hz; 0 where it has none.
    """

    codec: str
    config: bytes
    width: int
    height: int
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Track:
    """One track. `delay` (seconds) and `media_start` (ticks) come from its edit list: media tick t is
    presented at delay + (t - media_start) / timescale."""

    track_id: int
    kind: Kind
    timescale: int
    coding: Coding
    defaults: Defaults
    delay: Fraction
    media_start: int

    @property
    def codec(self) -> str:
        return self.coding.codec

    @property
    def config(self) -> bytes:
        return self.coding.config

    @property
    def width(self) -> int:
        return self.coding.width

    @property
    def height(self) -> int:
        return self.coding.height

    @property
    def sample_rate(self) -> int:
        return self.coding.sample_rate

    @property
    def channels(self) -> int:
        return self.coding.channels

    def presented(self, ticks: int) -> Fraction:
        """When that media time is presented, in seconds of the stream's own time line; below 0 if the edit
        list hides it."""
        return self.delay + Fraction(ticks - self.media_start, self.timescale)


@dataclass(frozen=True, slots=True)
class Init:
    """The exact bytes of ftyp and moov, and what they say. `timescale` is the movie's, in ticks per
    second."""

    data: bytes
    brand: Brand
    timescale: int
    tracks: tuple[Track, ...]

    @property
    def reference(self) -> Track:
        """The track that times a fragment: the first with video, else the first with audio."""
        return next((track for track in self.tracks if track.kind == "video"), None) or next(
            track for track in self.tracks if track.kind == "audio"
        )

    def track(self, track_id: int) -> Track:
        """Raises MediaError for a track that the moov doesn't name."""
        for track in self.tracks:
            if track.track_id == track_id:
                return track
        raise MediaError(f"track {track_id} isn't in the moov")


def parse_init(data: bytes) -> Init:
    """Raises MediaError unless `data` is ftyp and moov (fillers between them) with at least one video or
    audio track."""
    boxes = [box for box in walk(data) if box.kind not in FILLERS]
    if [box.kind for box in boxes] != [b"ftyp", b"moov"]:
        raise MediaError(f"an init is ftyp and moov; this one is {' '.join(name(box.kind) for box in boxes[:8])}")
    file_type, moov = boxes
    (brand,) = fields("4s", data, file_type)
    timescale = _timescale(data, need(data, moov, b"mvhd"))
    defaults = _defaults(data, need(data, moov, b"mvex"))
    traks = find_all(data, moov, b"trak")
    if len(traks) > MAX_TRACKS:
        raise MediaError(f"{len(traks)} tracks; at most {MAX_TRACKS} are read")
    tracks = tuple(_track(data, trak, timescale, defaults) for trak in traks)
    if len({track.track_id for track in tracks}) != len(tracks):
        raise MediaError("two tracks have the same number")
    if all(track.kind == "other" for track in tracks):
        raise MediaError("the moov has neither a video nor an audio track")
    return Init(data, "mov" if brand == b"qt  " else "mp4", timescale, tracks)


def _timescale(data: bytes, box: Box) -> int:
    version, _ = version_and_flags(data, box)
    (timescale,) = fields("I", data, box, 20 if version == 1 else 12)
    if not timescale:
        raise MediaError(f"box {name(box.kind)} at byte {box.start} has a timescale of 0")
    return int(timescale)


def _defaults(data: bytes, mvex: Box) -> dict[int, Defaults]:
    found = {}
    for trex in find_all(data, mvex, b"trex"):
        track_id, _, duration, size, flags = fields("5I", data, trex, 4)
        found[track_id] = Defaults(duration, size, flags)
    return found


def _track(data: bytes, trak: Box, movie_timescale: int, defaults: dict[int, Defaults]) -> Track:
    track_id = track_number(data, trak)
    timescale = _timescale(data, need(data, trak, b"mdia", b"mdhd"))
    (handler,) = fields("4s", data, need(data, trak, b"mdia", b"hdlr"), 8)
    kind = _KINDS.get(handler, "other")
    if track_id not in defaults:
        raise MediaError(f"track {track_id} has no trex: this moov isn't of a fragmented stream")
    coding = _coding(data, need(data, trak, b"mdia", b"minf", b"stbl", b"stsd"), kind)
    delay, media_start = _edits(data, find(data, trak, b"edts", b"elst"))
    return Track(track_id, kind, timescale, coding, defaults[track_id], Fraction(delay, movie_timescale), media_start)


def track_number(data: bytes, trak: Box) -> int:
    """The track_ID of a trak's tkhd (section 8.3.2)."""
    header = need(data, trak, b"tkhd")
    version, _ = version_and_flags(data, header)
    (track_id,) = fields("I", data, header, 20 if version == 1 else 12)
    return int(track_id)


def _edits(data: bytes, elst: Box | None) -> tuple[int, int]:
    """Delay (movie ticks) and media start (media ticks) of an edit list that is empty edits, then one of
    media."""
    if elst is None:
        return 0, 0
    version, _ = version_and_flags(data, elst)
    (count,) = fields("I", data, elst, 4)
    if count > MAX_EDITS:
        raise MediaError(f"an edit list of {count} entries; at most {MAX_EDITS} are read")
    layout, size = ("Qq", 20) if version == 1 else ("Ii", 12)
    delay = 0
    for number in range(count):
        duration, media_time = fields(layout, data, elst, 8 + number * size)
        if media_time >= 0:
            return delay, media_time
        delay += duration
    return delay, 0


def _coding(data: bytes, stsd: Box, kind: Kind) -> Coding:
    (count,) = fields("I", data, stsd, 4)
    entries = list(children(data, stsd, 8))
    if count != 1 or len(entries) != 1:
        raise MediaError(f"a track with {count} sample entries; one is read")
    readers = {"video": _visual, "audio": _sound, "other": _plain}
    return readers[kind](data, entries[0])


def _plain(data: bytes, entry: Box) -> Coding:
    return Coding(name(entry.kind), b"", 0, 0, 0, 0)


def _visual(data: bytes, entry: Box) -> Coding:
    """VisualSampleEntry, section 12.1.3."""
    width, height = fields("HH", data, entry, 24)
    return Coding(name(entry.kind), _config(data, entry, _VISUAL_FIELDS), width, height, 0, 0)


def _sound(data: bytes, entry: Box) -> Coding:
    """AudioSampleEntry, section 12.2.3, and QuickTime's SoundDescription of version 1 and 2."""
    version, channels, rate = fields("H6xH6xI", data, entry, 8)
    if version not in _SOUND_FIELDS:
        raise MediaError(f"sound sample entry {name(entry.kind)} of version {version} isn't known")
    rate >>= 16
    if version == 2:
        exact, channels = fields("dI", data, entry, 32)
        if not 0 < exact < 2**32:
            raise MediaError(f"sound sample entry {name(entry.kind)} has no usable sample rate")
        rate = round(exact)
    config = _config(data, entry, _SOUND_FIELDS[version])
    return Coding(name(entry.kind), config, 0, 0, rate, channels)


def _config(data: bytes, entry: Box, skip: int) -> bytes:
    """The decoder configuration; QuickTime hides a sound's inside `wave`."""
    for box in children(data, entry, skip):
        if box.kind in _CONFIGS:
            return payload(data, box)
        if box.kind == b"wave" and (inner := find(data, box, b"esds")):
            return payload(data, inner)
    return b""
