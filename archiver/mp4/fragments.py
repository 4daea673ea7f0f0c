"""One fragment: a moof, its mdat, and what stands before them (ISO/IEC 14496-12, section 8.8)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archiver.errors import MediaError
from archiver.mp4.boxes import Box, Buffer, fields, find_all, name, need, version_and_flags, walk
from archiver.mp4.init import FILLERS, Init, Track

BEFORE_MOOF = FILLERS | {b"prft", b"styp", b"sidx", b"emsg"}

MAX_TICKS = 2**62
"""A decode time or duration beyond this is a broken clock, not media."""

_NTP_TO_UNIX_S = 2_208_988_800
_NTP_ERA_S = 2**32

_TFHD_BASE_OFFSET = 0x000001
_TFHD_DESCRIPTION = 0x000002
_TFHD_DURATION = 0x000008
_TFHD_SIZE = 0x000010
_TFHD_FLAGS = 0x000020
_TFHD_BASE_IS_MOOF = 0x020000
_TRUN_DATA_OFFSET = 0x000001
_TRUN_FIRST_FLAGS = 0x000004
_TRUN_DURATION = 0x000100
_TRUN_SIZE = 0x000200
_TRUN_FLAGS = 0x000400
_TRUN_COMPOSITION = 0x000800
_SAMPLE_IS_NON_SYNC = 0x010000


@dataclass(frozen=True, slots=True)
class Clock:
    """A prft box (section 8.16.5): track `track_id`'s media time `media_time` (ticks) was made at `utc_us`
    (UTC, microseconds)."""

    track_id: int
    utc_us: int
    media_time: int


@dataclass(frozen=True, slots=True)
class TrackRun:
    """What a fragment holds of one track, in that track's ticks.

    `base` is the decode time of its first sample, `composition` that sample's offset to its presentation;
    `sync` says that it can be decoded alone; its bytes are data[first_offset : first_offset + first_size] of
    the fragment.
    """

    base: int
    duration: int
    samples: int
    sync: bool
    composition: int
    first_offset: int
    first_size: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything after the last mdat to the end of the next, byte for byte.

    `tfdt` and `duration` are in ticks of the source's reference track (video if it has any, else the first
    audio). Where that track is absent they are carried over from the first track present, by the edit lists,
    so sound before the first picture can be negative. `keyframe`: it begins with a picture that can be
    decoded alone; always True where there is no video track.
    """

    data: bytes
    tfdt: int
    duration: int
    keyframe: bool
    tracks: Mapping[int, TrackRun]
    clock: Clock | None

    @property
    def prft(self) -> int | None:
        """The wall clock that the stream claims for this fragment: UTC in microseconds since 1970."""
        return self.clock.utc_us if self.clock else None


@dataclass(frozen=True, slots=True)
class _Header:
    """A tfhd with the defaults of its track's trex filled in."""

    track_id: int
    base_is_moof: bool
    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A trun: `offset` is relative to its traf's base, None if the data follow on from the run before."""

    offset: int | None
    samples: int
    duration: int
    size: int
    sync: bool
    composition: int
    first_size: int


def parse_fragment(init: Init, data: bytes) -> Fragment:
    """Raises MediaError unless `data` is `[prft] [styp sidx emsg free ...] moof mdat` of the stream that
    `init` begins."""
    boxes = list(walk(data))
    kinds = [box.kind for box in boxes]
    if kinds[-2:] != [b"moof", b"mdat"] or not BEFORE_MOOF.issuperset(kinds[:-2]):
        raise MediaError(f"a fragment is moof and mdat; this one is {' '.join(map(name, kinds[:8]))}")
    *before, moof, mdat = boxes
    runs = _track_runs(init, data, moof, mdat)
    return _timed(init, data, runs, _clock(init, data, before))


def _timed(init: Init, data: bytes, runs: dict[int, TrackRun], clock: Clock | None) -> Fragment:
    reference = init.reference
    run = runs.get(reference.track_id)
    if run:
        keyframe = run.sync or reference.kind == "audio"
        return Fragment(data, run.base, run.duration, keyframe, runs, clock)
    track_id, run = next(iter(runs.items()))
    track = init.track(track_id)
    begin = _carried(track, reference, run.base)
    end = _carried(track, reference, run.base + run.duration)
    return Fragment(data, begin, end - begin, reference.kind == "audio", runs, clock)


def _carried(track: Track, reference: Track, ticks: int) -> int:
    """A decode time of `track` on the clock of `reference`, whose media start only makes up for the
    reordering of its pictures."""
    return round((track.presented(ticks) - reference.delay) * reference.timescale)


def _clock(init: Init, data: Buffer, before: list[Box]) -> Clock | None:
    """The reference track's prft, else the first one."""
    clocks = [_parse_clock(data, box) for box in before if box.kind == b"prft"]
    reference = init.reference.track_id
    return next((clock for clock in clocks if clock.track_id == reference), clocks[0] if clocks else None)


def _parse_clock(data: Buffer, prft: Box) -> Clock:
    version, _ = version_and_flags(data, prft)
    track_id, seconds, fraction, media_time = fields("IIIQ" if version == 1 else "IIII", data, prft, 4)
    # NTP's 32 bits run out in 2036: with the top bit clear they count from there (RFC 4330, section 3).
    if seconds < _NTP_ERA_S // 2:
        seconds += _NTP_ERA_S
    micros = (fraction * 1_000_000 + _NTP_ERA_S // 2) // _NTP_ERA_S
    return Clock(track_id, (seconds - _NTP_TO_UNIX_S) * 1_000_000 + micros, media_time)


def _track_runs(init: Init, data: Buffer, moof: Box, mdat: Box) -> dict[int, TrackRun]:
    """By track number, in the order of the file, the tracks that have samples here."""
    found: dict[int, TrackRun] = {}
    follows = moof.start
    for traf in find_all(data, moof, b"traf"):
        header = _header(init, data, need(data, traf, b"tfhd"))
        runs = [_run(data, trun, header) for trun in find_all(data, traf, b"trun")]
        base = moof.start if header.base_is_moof else follows
        placed = list(_placed(runs, base, mdat))
        if not placed:
            continue
        if header.track_id in found:
            raise MediaError(f"track {header.track_id} is twice in one fragment")
        follows = placed[-1][0] + placed[-1][1].size
        found[header.track_id] = _joined(decode_time(data, need(data, traf, b"tfdt")), placed)
    if not found:
        raise MediaError("a fragment without samples")
    return found


def _placed(runs: list[_Run], base: int, mdat: Box) -> Iterator[tuple[int, _Run]]:
    """Each run that has samples with the byte that it begins at. Raises MediaError for one outside the
    mdat."""
    at = base
    for run in runs:
        if run.offset is not None:
            at = base + run.offset
        if not run.samples:
            continue
        if at < mdat.body or at + run.size > mdat.end:
            raise MediaError(f"samples at bytes {at}..{at + run.size} lie outside the mdat {mdat.body}..{mdat.end}")
        yield at, run
        at += run.size


def _joined(base: int, placed: list[tuple[int, _Run]]) -> TrackRun:
    offset, first = placed[0]
    duration = sum(run.duration for _, run in placed)
    if base > MAX_TICKS or duration > MAX_TICKS:
        raise MediaError(f"decode time {base} with duration {duration} is beyond any clock")
    samples = sum(run.samples for _, run in placed)
    return TrackRun(base, duration, samples, first.sync, first.composition, offset, first.first_size)


def decode_time(data: Buffer, tfdt: Box) -> int:
    """The baseMediaDecodeTime of a tfdt (section 8.8.12), in ticks."""
    version, _ = version_and_flags(data, tfdt)
    (ticks,) = fields("Q" if version == 1 else "I", data, tfdt, 4)
    return int(ticks)


def _header(init: Init, data: Buffer, tfhd: Box) -> _Header:
    """Section 8.8.7. A base data offset counts from the start of a file that nobody has, so it is refused."""
    _, flags = version_and_flags(data, tfhd)
    (track_id,) = fields("I", data, tfhd, 4)
    if flags & _TFHD_BASE_OFFSET:
        raise MediaError(f"track {track_id}'s fragment is tied to its place in one file (base data offset)")
    defaults = init.track(track_id).defaults
    at = 12 if flags & _TFHD_DESCRIPTION else 8
    values = []
    for flag, default in (
        (_TFHD_DURATION, defaults.duration),
        (_TFHD_SIZE, defaults.size),
        (_TFHD_FLAGS, defaults.flags),
    ):
        if flags & flag:
            (default,) = fields("I", data, tfhd, at)
            at += 4
        values.append(default)
    return _Header(track_id, bool(flags & _TFHD_BASE_IS_MOOF), *values)


def _run(data: Buffer, trun: Box, header: _Header) -> _Run:
    """Section 8.8.8."""
    version, flags = version_and_flags(data, trun)
    (samples,) = fields("I", data, trun, 4)
    at = 8
    offset, first_flags = None, header.flags
    if flags & _TRUN_DATA_OFFSET:
        (offset,) = fields("i", data, trun, at)
        at += 4
    if flags & _TRUN_FIRST_FLAGS:
        (first_flags,) = fields("I", data, trun, at)
        at += 4
    table = _Table(data, trun, at, samples, flags)
    durations, sizes, own_flags = (table.column(flag) for flag in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS))
    if own_flags and not flags & _TRUN_FIRST_FLAGS:
        first_flags = own_flags[0]
    return _Run(
        offset,
        samples,
        sum(durations) if flags & _TRUN_DURATION else header.duration * samples,
        sum(sizes) if flags & _TRUN_SIZE else header.size * samples,
        not first_flags & _SAMPLE_IS_NON_SYNC,
        table.first_composition(version),
        sizes[0] if sizes else header.size,
    )


class _Table:
    """The rows of a trun: one 32-bit value per sample and flag set, in the order of the flags."""

    _COLUMNS = (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION)

    def __init__(self, data: Buffer, trun: Box, at: int, samples: int, flags: int) -> None:
        self._present = [column for column in self._COLUMNS if flags & column]
        width = len(self._present)
        if trun.end - trun.body - at != 4 * width * samples:
            raise MediaError(f"the trun at byte {trun.start} doesn't hold the {samples} samples that it states")
        self._values: tuple[int, ...] = fields(f"{width * samples}I", data, trun, at)

    def column(self, flag: int) -> tuple[int, ...]:
        """Every sample's value, or nothing if the trun doesn't have that column."""
        if flag not in self._present:
            return ()
        return self._values[self._present.index(flag) :: len(self._present)]

    def first_composition(self, version: int) -> int:
        offsets = self.column(_TRUN_COMPOSITION)
        if not offsets:
            return 0
        return offsets[0] - 2**32 if version == 1 and offsets[0] >= 2**31 else offsets[0]
