"""Derived files from stored bytes: which stretch of the media is shown, and fragments moved in time.

Nothing is re-encoded and no sample moves within its fragment. Times given in seconds are media time: the
reference track's decode time, as `Fragment.tfdt` counts it. Sections are those of ISO/IEC 14496-12.
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from struct import pack, pack_into

from archiver.errors import MediaError
from archiver.mp4.boxes import (
    Box,
    build,
    build_full,
    children,
    fields,
    find_all,
    need,
    version_and_flags,
    walk,
    whole,
)
from archiver.mp4.fragments import MAX_TICKS, TFHD_BASE_IS_MOOF, TRUN_DATA_OFFSET, decode_time
from archiver.mp4.init import Init, Track, track_number

_NORMAL_SPEED = pack(">hh", 1, 0)


def with_edit_list(init: Init, start: Fraction, duration: Fraction) -> bytes:
    """ftyp and moov that show [start, start + duration) (seconds of media time) of whatever fragments follow.

    Every track gets a new edit list in place of its own, which it takes into account: sound and picture stay
    together, and a track that begins after `start` is delayed. The movie's time scale becomes the reference
    track's, so that both ends are exact to its tick. Raises MediaError for a stretch that is empty or not
    within any clock.
    """
    ticks = round(duration * init.reference.timescale)
    if start < 0 or not 0 < ticks < MAX_TICKS or start + duration >= MAX_TICKS:
        raise MediaError(f"no stretch of media: {float(start)} s, {float(duration)} s long")
    moov = next(box for box in walk(init.data) if box.kind == b"moov")
    parts = [_moov_part(init, box, start + init.reference.delay, ticks) for box in children(init.data, moov)]
    return init.data[: moov.start] + build(b"moov", *parts) + init.data[moov.end :]


def _moov_part(init: Init, box: Box, shown_from: Fraction, ticks: int) -> bytes:
    if box.kind == b"mvhd":
        return movie_header(init, box, ticks)
    if box.kind == b"trak":
        return _trak(init, box, shown_from, ticks)
    if box.kind == b"mvex":
        kept = (whole(init.data, part) for part in children(init.data, box) if part.kind != b"mehd")
        return build(b"mvex", build_full(b"mehd", 1, 0, pack(">Q", ticks)), *kept)
    return whole(init.data, box)


def movie_header(init: Init, mvhd: Box, ticks: int) -> bytes:
    """The init's mvhd for a movie of `ticks` of the reference track (section 8.2.2, version 1)."""
    version, flags = version_and_flags(init.data, mvhd)
    layout, size = ("QQ", 32) if version == 1 else ("II", 20)
    created, modified = fields(layout, init.data, mvhd, 4)
    times = pack(">QQIQ", created, modified, init.reference.timescale, ticks)
    return build_full(b"mvhd", 1, flags, times, _rest(init.data, mvhd, size))


def _trak(init: Init, trak: Box, shown_from: Fraction, ticks: int) -> bytes:
    """The edit list goes where the standard's order wants it: after the tkhd."""
    track = init.track(track_number(init.data, trak))
    parts = []
    for box in children(init.data, trak):
        if box.kind == b"tkhd":
            parts += [track_header(init, box, ticks), edit_list(init, track, shown_from, ticks)]
        elif box.kind != b"edts":
            parts.append(whole(init.data, box))
    return build(b"trak", *parts)


def track_header(init: Init, tkhd: Box, ticks: int) -> bytes:
    """A tkhd for a presentation of `ticks` of the reference track (section 8.3.2, version 1)."""
    version, flags = version_and_flags(init.data, tkhd)
    layout, size = ("QQIIQ", 36) if version == 1 else ("IIIII", 24)
    created, modified, track_id, _, _ = fields(layout, init.data, tkhd, 4)
    return build_full(
        b"tkhd", 1, flags, pack(">QQIIQ", created, modified, track_id, 0, ticks), _rest(init.data, tkhd, size)
    )


def media_header(data: bytes, mdhd: Box, ticks: int) -> bytes:
    """An mdhd for media of `ticks` of its own time scale (section 8.4.2, version 1)."""
    version, flags = version_and_flags(data, mdhd)
    layout, size = ("QQI", 32) if version == 1 else ("III", 20)
    created, modified, timescale = fields(layout, data, mdhd, 4)
    return build_full(b"mdhd", 1, flags, pack(">QQIQ", created, modified, timescale, ticks), _rest(data, mdhd, size))


def _rest(data: bytes, box: Box, offset: int) -> bytes:
    return data[min(box.body + offset, box.end) : box.end]


def edit_list(init: Init, track: Track, shown_from: Fraction, ticks: int) -> bytes:
    """An edts that shows the track's media from `shown_from` (Track.presented), `ticks` of the reference
    track long.

    Section 8.6.6. A track whose media begins later is preceded by an empty edit.
    """
    scale = init.reference.timescale
    begin = track.media_start + round((shown_from - track.delay) * track.timescale)
    wait = 0
    if shown_from < track.delay or begin < 0:
        begin = max(track.media_start, 0)
        wait = min(round((track.presented(begin) - shown_from) * scale), ticks)
    edits = [(wait, -1)] if wait else []
    if wait < ticks:
        edits.append((ticks - wait, begin))
    entries = (pack(">Qq", *edit) + _NORMAL_SPEED for edit in edits)
    return build(b"edts", build_full(b"elst", 1, 0, pack(">I", len(edits)), *entries))


def with_steady_offset(init: Init, offset: int) -> Init:
    """The same time line, told by the composition offset (ticks) that the pictures have.

    An edit list names the offset of the first picture alone. ffmpeg may have guessed the decode times of the first ones
    too early, and then all later pictures have another offset: whoever counts in decode times would be off by that.
    """
    track = init.reference
    delay = track.delay + Fraction(offset - track.media_start, track.timescale)
    told = replace(track, delay=delay, media_start=offset)
    return replace(init, tracks=tuple(told if each is track else each for each in init.tracks))


def joining_shifts(first: Init, second: Init, offset: Fraction) -> dict[int, int]:
    """By track, the ticks to add to fragments of `second` so that they stand in a file that begins with
    `first`'s init.

    `offset`: seconds from media time 0 of `first` to media time 0 of `second`. The inits' different edit
    lists are made up for, so sound and picture stay together. Raises MediaError where a track is missing.
    """
    shifts = {}
    shown = offset + first.reference.delay - second.reference.delay
    for track in second.tracks:
        mine = first.track(track.track_id)
        delay = (shown + track.delay - mine.delay) * track.timescale
        shifts[track.track_id] = round(delay) + mine.media_start - track.media_start
    return shifts


def shift_tfdt(data: bytes, shifts: Mapping[int, int], sequence: int | None = None) -> bytes:
    """Fragments (`data`) with ticks added to each track's decode times; a track without a shift stays.

    A 32-bit decode time that would overflow becomes a 64-bit one. A prft follows its track; a sidx, which
    this would make wrong, is blanked out. With `sequence`, the moofs are numbered from there. Raises
    MediaError for a time below 0, or for bytes that are no fragments.
    """
    parts = []
    for box in walk(data):
        if box.kind == b"moof":
            parts.append(_moved_moof(data, box, shifts, sequence))
            sequence = None if sequence is None else sequence + 1
        elif box.kind == b"prft":
            parts.append(_moved_clock(data, box, shifts))
        elif box.kind == b"sidx":
            parts.append(build(b"free", data[box.start + 8 : box.end]))
        else:
            parts.append(whole(data, box))
    return b"".join(parts)


def _moved_clock(data: bytes, prft: Box, shifts: Mapping[int, int]) -> bytes:
    """Section 8.16.5, as version 1."""
    version, flags = version_and_flags(data, prft)
    track_id, ntp, media_time = fields("IQq" if version == 1 else "IQi", data, prft, 4)
    moved = media_time + shifts.get(track_id, 0)
    if abs(moved) > MAX_TICKS:
        raise MediaError(f"a prft of media time {moved} is beyond any clock")
    return build_full(b"prft", 1, flags, pack(">IQq", track_id, ntp, moved))


def _added(ticks: int, shift: int) -> int:
    if not 0 <= ticks + shift <= MAX_TICKS:
        raise MediaError(f"decode time {ticks} can't be moved by {shift} ticks")
    return ticks + shift


def _moved_moof(data: bytes, moof: Box, shifts: Mapping[int, int], sequence: int | None) -> bytes:
    """The moof again. Where it grew, the offsets that count from its beginning to the samples grow too."""
    grown = sum(_growth(data, traf, shifts) for traf in find_all(data, moof, b"traf"))
    parts, first = [], True
    for box in children(data, moof):
        if box.kind == b"traf":
            parts.append(_moved_traf(data, box, shifts, grown, first))
            first = False
        elif box.kind == b"mfhd" and sequence is not None:
            parts.append(build_full(b"mfhd", 0, 0, pack(">I", sequence % 2**32)))
        else:
            parts.append(whole(data, box))
    return build(b"moof", *parts)


def _growth(data: bytes, traf: Box, shifts: Mapping[int, int]) -> int:
    """4 bytes for a decode time that no longer fits 32 bits."""
    tfdt, moved = _moved_time(data, traf, shifts)
    version, _ = version_and_flags(data, tfdt)
    return 4 if version == 0 and moved >= 2**32 else 0


def _moved_time(data: bytes, traf: Box, shifts: Mapping[int, int]) -> tuple[Box, int]:
    (track_id,) = fields("I", data, need(data, traf, b"tfhd"), 4)
    tfdt = need(data, traf, b"tfdt")
    return tfdt, _added(decode_time(data, tfdt), shifts.get(track_id, 0))


def _moved_traf(data: bytes, traf: Box, shifts: Mapping[int, int], grown: int, first: bool) -> bytes:
    """Without default-base-is-moof, only the first track's offsets count from the moof (section 8.8.7)."""
    tfdt, moved = _moved_time(data, traf, shifts)
    version, _ = version_and_flags(data, tfdt)
    _, flags = version_and_flags(data, need(data, traf, b"tfhd"))
    offset_grows = grown if first or flags & TFHD_BASE_IS_MOOF else 0
    parts = []
    for box in children(data, traf):
        if box == tfdt:
            wide = version == 1 or moved >= 2**32
            parts.append(build_full(b"tfdt", int(wide), 0, pack(">Q" if wide else ">I", moved)))
        elif box.kind == b"trun":
            parts.append(_moved_trun(data, box, offset_grows))
        else:
            parts.append(whole(data, box))
    return build(b"traf", *parts)


def _moved_trun(data: bytes, trun: Box, grown: int) -> bytes:
    _, flags = version_and_flags(data, trun)
    if not grown or not flags & TRUN_DATA_OFFSET:
        return whole(data, trun)
    (offset,) = fields("i", data, trun, 8)
    moved = bytearray(whole(data, trun))
    pack_into(">i", moved, trun.body - trun.start + 8, offset + grown)
    return bytes(moved)
