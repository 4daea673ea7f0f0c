"""One fragment: a moof, its mdat, and what stands before them (ISO/IEC 14496-12, section 8.8)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from archiver.errors import MediaError
from archiver.mp4.boxes import MAX_BOXES, Box, Buffer, fields, find_all, name, need, peek, version_and_flags
from archiver.mp4.init import FILLERS, Init, Track

BEFORE_MOOF = FILLERS | {b"prft", b"styp", b"sidx", b"emsg"}

MAX_TICKS = 2**62
"""A decode time or duration beyond this is a broken clock, not media."""

MAX_SAMPLES = 2**20
"""More samples than this in one fragment are not media."""

_NTP_TO_UNIX_S = 2_208_988_800
_NTP_ERA_S = 2**32

_TFHD_BASE_OFFSET = 0x000001
_TFHD_DESCRIPTION = 0x000002
_TFHD_DURATION = 0x000008
_TFHD_SIZE = 0x000010
_TFHD_FLAGS = 0x000020
TFHD_BASE_IS_MOOF = 0x020000
TRUN_DATA_OFFSET = 0x000001
_TRUN_FIRST_FLAGS = 0x000004
_TRUN_DURATION = 0x000100
_TRUN_SIZE = 0x000200
_TRUN_FLAGS = 0x000400
_TRUN_COMPOSITION = 0x000800
_TRUN_COLUMNS = (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION)
_SAMPLE_IS_NON_SYNC = 0x010000


@dataclass(frozen=True, slots=True)
class Clock:
    """A prft box (section 8.16.5): track `track_id`'s media time `media_time` (ticks) was made at `utc_us`
    (UTC, microseconds). ffmpeg counts sound from its priming on, so its media time may be below 0."""

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
class SampleRun:
    """Samples of one track that lie one after the other from byte `offset` of their fragment (a trun, section
    8.8.8).

    Per sample: duration (ticks), size (bytes), flags, composition offset (ticks). `base`: decode time of the
    first.
    """

    track_id: int
    base: int
    offset: int
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    flags: tuple[int, ...]
    compositions: tuple[int, ...]

    @property
    def duration(self) -> int:
        return sum(self.durations)


def is_sync(flags: int) -> bool:
    """Whether a sample with these flags can be decoded alone (section 8.8.3.1)."""
    return not flags & _SAMPLE_IS_NON_SYNC


def parse_fragment(init: Init, data: bytes) -> Fragment:
    """Raises MediaError unless `data` is `[prft] [styp sidx emsg free ...] moof mdat` of the stream that
    `init` begins."""
    before, moof, mdat = _parts(data, len(data))
    runs = _sample_runs(init, data, moof, mdat)
    tracks: dict[int, list[SampleRun]] = {}
    for run in runs:
        tracks.setdefault(run.track_id, []).append(run)
    if not tracks:
        raise MediaError("a fragment without samples")
    summary = {track_id: _joined(own) for track_id, own in tracks.items()}
    return _timed(init, data, summary, _clock(init, data, before))


def sample_runs(init: Init, head: bytes, size: int) -> list[SampleRun]:
    """Every sample of a fragment of `size` bytes, of which `head` need hold no more than what precedes its
    media."""
    _, moof, mdat = _parts(head, size)
    return _sample_runs(init, head, moof, mdat)


def steady_offset(init: Init, head: bytes, size: int) -> int | None:
    """The composition offset (ticks) that every picture of a fragment has; None if they differ, as where pictures are
    reordered, or if it has none. `head` and `size` as for `sample_runs`."""
    pictures = init.reference.track_id if init.reference.kind == "video" else None
    runs = [run for run in sample_runs(init, head, size) if run.track_id == pictures]
    offsets = {offset for run in runs for offset in run.compositions}
    return offsets.pop() if len(offsets) == 1 else None


def _parts(head: bytes, size: int) -> tuple[list[Box], Box, Box]:
    """The boxes before the moof, the moof and the mdat. Only the mdat may reach beyond `head`; it ends at
    `size`."""
    boxes: list[Box] = []
    while not boxes or boxes[-1].kind != b"mdat":
        at = boxes[-1].end if boxes else 0
        box = peek(head, at, len(head))
        if box is None or (box.kind != b"mdat" and box.end > len(head)) or len(boxes) > MAX_BOXES:
            raise MediaError(f"a fragment of {size} bytes without an mdat")
        boxes.append(box)
    kinds = [box.kind for box in boxes]
    if kinds[-2:] != [b"moof", b"mdat"] or not BEFORE_MOOF.issuperset(kinds[:-2]) or boxes[-1].end != size:
        raise MediaError(f"a fragment is moof and mdat; this one is {' '.join(map(name, kinds[:8]))}")
    return boxes[:-2], boxes[-2], boxes[-1]


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
    track_id, seconds, fraction, media_time = fields("IIIq" if version == 1 else "IIIi", data, prft, 4)
    # NTP's 32 bits run out in 2036: with the top bit clear they count from there (RFC 4330, section 3).
    if seconds < _NTP_ERA_S // 2:
        seconds += _NTP_ERA_S
    micros = (fraction * 1_000_000 + _NTP_ERA_S // 2) // _NTP_ERA_S
    return Clock(track_id, (seconds - _NTP_TO_UNIX_S) * 1_000_000 + micros, media_time)


def _sample_runs(init: Init, data: Buffer, moof: Box, mdat: Box) -> list[SampleRun]:
    """In the order of the file. Raises MediaError for samples outside the mdat, or a track that is there
    twice."""
    found: list[SampleRun] = []
    follows = moof.start
    trafs = find_all(data, moof, b"traf")
    _bound(data, trafs)
    for traf in trafs:
        header = _header(init, data, need(data, traf, b"tfhd"))
        runs = list(_traf_runs(data, traf, header, moof.start if header.base_is_moof else follows))
        if any(run.track_id == header.track_id for run in found):
            raise MediaError(f"track {header.track_id} is twice in one fragment")
        for run in runs:
            follows = run.offset + sum(run.sizes)
            if run.offset < mdat.body or follows > mdat.end:
                raise MediaError(f"samples at bytes {run.offset}..{follows} lie outside the mdat")
        found += runs
    return found


def _bound(data: Buffer, trafs: list[Box]) -> None:
    """Refuse by its counts alone a fragment whose samples, all by default, would take any amount of
    memory."""
    samples = sum(fields("I", data, trun, 4)[0] for traf in trafs for trun in find_all(data, traf, b"trun"))
    if samples > MAX_SAMPLES:
        raise MediaError(f"a fragment of {samples} samples; at most {MAX_SAMPLES} are read")


def _traf_runs(data: Buffer, traf: Box, header: _Header, base: int) -> Iterator[SampleRun]:
    """The runs of one track fragment that hold samples. Without an offset a run follows on from the one
    before."""
    truns = find_all(data, traf, b"trun")
    time = decode_time(data, need(data, traf, b"tfdt")) if truns else 0
    at = base
    for trun in truns:
        offset, run = _run(data, trun, header, time)
        at = at if offset is None else base + offset
        if run.sizes:
            yield replace(run, offset=at)
        at += sum(run.sizes)
        time += run.duration
        if time > MAX_TICKS:
            raise MediaError(f"track {header.track_id}'s decode time {time} is beyond any clock")


def _joined(runs: list[SampleRun]) -> TrackRun:
    first = runs[0]
    return TrackRun(
        first.base,
        sum(run.duration for run in runs),
        sum(len(run.sizes) for run in runs),
        is_sync(first.flags[0]),
        first.compositions[0],
        first.offset,
        first.sizes[0],
    )


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
    return _Header(track_id, bool(flags & TFHD_BASE_IS_MOOF), *values)


def _run(data: Buffer, trun: Box, header: _Header, base: int) -> tuple[int | None, SampleRun]:
    """A trun's data offset, if it has one, and its samples, not yet placed."""
    version, present = version_and_flags(data, trun)
    (samples,) = fields("I", data, trun, 4)
    at, offset = 8, None
    if present & TRUN_DATA_OFFSET:
        (offset,) = fields("i", data, trun, at)
        at += 4
    first_flags: tuple[int, ...] = ()
    if present & _TRUN_FIRST_FLAGS:
        first_flags = fields("I", data, trun, at)[:samples]
        at += 4
    durations, sizes, flags, compositions = _columns(data, trun, at, samples, present, header)
    if version:
        compositions = tuple(value - 2**32 if value >= 2**31 else value for value in compositions)
    flags = first_flags + flags[len(first_flags) :]
    return offset, SampleRun(header.track_id, base, 0, durations, sizes, flags, compositions)


def _columns(
    data: Buffer, trun: Box, at: int, samples: int, present: int, header: _Header
) -> Iterator[tuple[int, ...]]:
    """Durations, sizes, flags and composition offsets; where the trun has no such column, the default for
    each."""
    own = [column for column in _TRUN_COLUMNS if present & column]
    if trun.end - trun.body - at != 4 * len(own) * samples:
        raise MediaError(f"the trun at byte {trun.start} doesn't hold the {samples} samples that it states")
    rows: tuple[int, ...] = fields(f"{len(own) * samples}I", data, trun, at)
    for column, default in zip(_TRUN_COLUMNS, (header.duration, header.size, header.flags, 0), strict=True):
        yield rows[own.index(column) :: len(own)] if column in own else (default,) * samples
