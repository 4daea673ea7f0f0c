"""One plain MP4 of any stretch: a moov that points into stored fragments, which follow it byte for byte.

Of a fragmented file's edit list, libav and the players on it take the beginning's time alone: they show what
lies before it in its GOP, and what follows its end. With the samples listed in the moov they show exactly the
stretch. Nothing is re-encoded and no stored byte changes: the result is this head and then the fragments,
inside one mdat. Sections are those of ISO/IEC 14496-12.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from struct import pack
from sys import byteorder

from archiver.errors import MediaError
from archiver.mp4.boxes import Box, build, build_full, children, walk, whole
from archiver.mp4.edits import edit_list, media_header, movie_header, track_header
from archiver.mp4.fragments import SampleRun, is_sync, sample_runs
from archiver.mp4.init import Init, Track, track_number

_SAMPLE_TABLES = frozenset({b"stts", b"ctts", b"stss", b"stsz", b"stz2", b"stsc", b"stco", b"co64"})


@dataclass(frozen=True, slots=True)
class Part:
    """A fragment of the stretch: its beginning (at least up to its media), its whole size in bytes, and the
    ticks to add to each track's decode times (edits.joining_shifts)."""

    head: bytes
    size: int
    shifts: Mapping[int, int] = field(default_factory=dict)


def progressive_head(init: Init, parts: Iterable[Part], start: Fraction, duration: Fraction) -> bytes:
    """ftyp, moov and the mdat's header; the fragments of `parts` are to follow, in the same order.

    Shows [start, start + duration), seconds of media time (edits.with_edit_list). A hole in a track's time
    stays one: its last sample before it lasts longer. Raises MediaError for fragments that go back in time or
    don't fit `init`.
    """
    ticks = round(duration * init.reference.timescale)
    if start < 0 or ticks <= 0:
        raise MediaError(f"no stretch of media: {float(start)} s, {float(duration)} s long")
    runs, media_size = _collect(init, parts)
    moov = next(box for box in walk(init.data) if box.kind == b"moov")
    begin = init.data[: moov.start]
    writer = _Moov(init, moov, runs, start + init.reference.delay, ticks)
    base = len(begin) + len(writer.build(0)) + 16
    return begin + writer.build(base) + pack(">I4sQ", 1, b"mdat", 16 + media_size)


def _collect(init: Init, parts: Iterable[Part]) -> tuple[dict[int, list[SampleRun]], int]:
    """By track, its runs of samples, their bytes counted from the first part's first; and the size of all
    parts."""
    found: dict[int, list[SampleRun]] = {}
    at = 0
    for part in parts:
        for run in sample_runs(init, part.head, part.size):
            moved = replace(run, base=run.base + part.shifts.get(run.track_id, 0), offset=at + run.offset)
            found.setdefault(run.track_id, []).append(moved)
        at += part.size
    if not found:
        raise MediaError("a stretch without samples")
    return found, at


class _Moov:
    """Builds the moov for media that begin at a byte not known before the moov's own size is."""

    def __init__(
        self, init: Init, moov: Box, runs: Mapping[int, list[SampleRun]], shown_from: Fraction, ticks: int
    ) -> None:
        self._init = init
        self._moov = moov
        self._runs = runs
        self._shown_from = shown_from
        self._ticks = ticks
        self._tables = {track_id: _tables(own) for track_id, own in runs.items()}

    def build(self, base: int) -> bytes:
        """`base`: the file's byte where the first fragment begins. The size doesn't depend on it."""
        data = self._init.data
        parts = []
        for box in children(data, self._moov):
            if box.kind == b"mvhd":
                parts.append(movie_header(self._init, box, self._ticks))
            elif box.kind == b"trak":
                parts.append(self._trak(box, base))
            elif box.kind != b"mvex":
                parts.append(whole(data, box))
        return build(b"moov", *parts)

    def _trak(self, trak: Box, base: int) -> bytes:
        """A track without samples in this stretch is left out."""
        data = self._init.data
        track = self._init.track(track_number(data, trak))
        runs = self._runs.get(track.track_id)
        if not runs:
            return b""
        parts = []
        for box in children(data, trak):
            if box.kind == b"tkhd":
                parts.append(track_header(self._init, box, self._ticks))
                parts.append(self._edit_list(track, runs[0].base))
            elif box.kind == b"mdia":
                parts.append(self._media(box, runs, self._tables[track.track_id], base))
            elif box.kind != b"edts":
                parts.append(whole(data, box))
        return build(b"trak", *parts)

    def _edit_list(self, track: Track, first: int) -> bytes:
        """Listed samples count from 0, so the track's media starts earlier by the decode time of its first
        one."""
        return edit_list(
            self._init, replace(track, media_start=track.media_start - first), self._shown_from, self._ticks
        )

    def _media(self, mdia: Box, runs: Sequence[SampleRun], tables: bytes, base: int) -> bytes:
        data = self._init.data
        length = runs[-1].base + runs[-1].duration - runs[0].base
        parts = []
        for box in children(data, mdia):
            if box.kind == b"mdhd":
                parts.append(media_header(data, box, length))
            elif box.kind == b"minf":
                chunks = _table(b"co64", "Q", [base + run.offset for run in runs])
                inner = [self._samples(part, tables + chunks) for part in children(data, box)]
                parts.append(build(b"minf", *inner))
            else:
                parts.append(whole(data, box))
        return build(b"mdia", *parts)

    def _samples(self, box: Box, tables: bytes) -> bytes:
        data = self._init.data
        if box.kind != b"stbl":
            return whole(data, box)
        kept = (whole(data, part) for part in children(data, box) if part.kind not in _SAMPLE_TABLES)
        return build(b"stbl", *kept, tables)


def _tables(runs: Sequence[SampleRun]) -> bytes:
    """Sections 8.6.1.2, 8.6.1.3, 8.6.2, 8.7.3.2, 8.7.4: all tables but the chunks' places. A run is a
    chunk."""
    sizes = [size for run in runs for size in run.sizes]
    compositions = [offset for run in runs for offset in run.compositions]
    sync = [number for number, flags in enumerate(_flags(runs), start=1) if is_sync(flags)]
    return b"".join(
        (
            _run_lengths(b"stts", 0, _durations(runs)),
            _run_lengths(b"ctts", 1, [offset % 2**32 for offset in compositions]) if any(compositions) else b"",
            _table(b"stss", "I", sync) if len(sync) < len(sizes) else b"",
            build_full(b"stsz", 0, 0, pack(">II", 0, len(sizes)), _packed("I", sizes)),
            _chunks(runs),
        )
    )


def _flags(runs: Sequence[SampleRun]) -> Iterable[int]:
    return (flags for run in runs for flags in run.flags)


def _durations(runs: Sequence[SampleRun]) -> list[int]:
    """Each sample's ticks; the last of a run lasts until the next run begins."""
    found: list[int] = []
    for run, follower in zip(runs, [*runs[1:], None], strict=True):
        found += run.durations
        if follower:
            found[-1] += follower.base - run.base - run.duration
            if not 0 <= found[-1] < 2**32:
                raise MediaError(f"track {run.track_id} goes from tick {run.base + run.duration} to {follower.base}")
    return found


def _chunks(runs: Sequence[SampleRun]) -> bytes:
    """stsc: from which chunk on each has how many samples."""
    rows: list[int] = []
    number = 1
    for samples, group in groupby(len(run.sizes) for run in runs):
        rows += (number, samples, 1)
        number += len(list(group))
    return build_full(b"stsc", 0, 0, pack(">I", len(rows) // 3), _packed("I", rows))


def _run_lengths(kind: bytes, version: int, values: Iterable[int]) -> bytes:
    """A table of (how many samples, value)."""
    rows: list[int] = []
    for value, group in groupby(values):
        rows += (len(list(group)), value)
    return build_full(kind, version, 0, pack(">I", len(rows) // 2), _packed("I", rows))


def _table(kind: bytes, code: str, values: Sequence[int]) -> bytes:
    return build_full(kind, 0, 0, pack(">I", len(values)), _packed(code, values))


def _packed(code: str, values: Sequence[int]) -> bytes:
    """Big-endian; `code` is I (32 bits) or Q (64 bits)."""
    packed = array(code, values)
    if byteorder == "little":
        packed.byteswap()
    return packed.tobytes()
