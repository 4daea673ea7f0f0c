"""The mark that every picture of a virtual camera carries, and the judge that reads it back from recordings.

A mark is a user_data_unregistered SEI message (H.264 D.1.7, H.265 D.2.7): whatever records, cuts or exports
the stream by copying it keeps the mark, so lost frames and wrong times are judged by the frames themselves.
Its payload is text, so that it never needs emulation prevention and can be found by its UUID in any framing.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import av

from archiver.errors import MediaError
from ingest.cameras.codecs import VideoCodec

MARK_ID = UUID("b7c1f3a2-5d4e-4c86-9a1b-e3d2c5f4a687").bytes
USER_DATA_UNREGISTERED = 5
_NAL_HEADER = {VideoCodec.H264: b"\x06", VideoCodec.H265: b"\x4e\x01"}
_TRAILING_BITS = b"\x80"
_TIME_DIGITS = 16
_NUMBER_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Mark:
    """One picture: its camera, its running number there, when it was captured (UTC, microseconds since 1970)
    and where it stands in the file (seconds). `shown` is false where an edit list hides it.
    """

    camera: str
    number: int
    captured_at_us: int
    pts_seconds: float
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Continuity:
    """Running numbers between the first and the last mark: those missing, and those there more than once."""

    lost: tuple[int, ...]
    doubled: tuple[int, ...]


def sei_nal(codec: VideoCodec, camera: str, number: int, captured_at_us: int) -> bytes:
    """The SEI NAL unit of one picture, ready to stand before its slices."""
    text = f"{captured_at_us:0{_TIME_DIGITS}x}{number:0{_NUMBER_DIGITS}x}{camera}".encode("ascii")
    size = len(MARK_ID) + len(text)
    return _NAL_HEADER[codec] + bytes((USER_DATA_UNREGISTERED, size)) + MARK_ID + text + _TRAILING_BITS


def read_marks(media: Path | str | bytes) -> list[Mark]:
    """Marks of a file (MP4, MOV, or whatever libav opens) in the order of its first video track.

    Raises MediaError when it can't be read as media.
    """
    source = io.BytesIO(media) if isinstance(media, bytes) else str(media)
    try:
        with av.open(source, "r") as container:
            return list(_marks_of(container)) if container.streams.video else []
    except av.FFmpegError as error:
        raise MediaError(f"no marks can be read: {error}") from error


def marks_in_samples(samples: Iterable[tuple[bytes, float]]) -> list[Mark]:
    """Marks of samples given as (bytes, seconds), in any NAL framing."""
    return [mark for data, seconds in samples for mark in _marks_in(data, seconds, True)]


def continuity(marks: Iterable[Mark]) -> Continuity:
    """What is missing or doubled among the marks of one camera, in whatever order they are."""
    counts = Counter(mark.number for mark in marks)
    if not counts:
        return Continuity((), ())
    lost = tuple(n for n in range(min(counts), max(counts) + 1) if n not in counts)
    return Continuity(lost, tuple(sorted(n for n, times in counts.items() if times > 1)))


def _marks_of(container: "av.container.InputContainer") -> Iterator[Mark]:
    for packet in container.demux(container.streams.video[0]):
        if packet.pts is not None and packet.size:
            yield from _marks_in(bytes(packet), float(packet.pts * packet.time_base), not packet.is_discard)


def _marks_in(sample: bytes, seconds: float, shown: bool) -> Iterator[Mark]:
    at = sample.find(MARK_ID)
    while at > 0:
        begin = at + len(MARK_ID)
        yield _parse(sample[begin : at + sample[at - 1]], seconds, shown)
        at = sample.find(MARK_ID, begin)


def _parse(text: bytes, seconds: float, shown: bool) -> Mark:
    times = _TIME_DIGITS + _NUMBER_DIGITS
    try:
        captured_at_us, number = int(text[:_TIME_DIGITS], 16), int(text[_TIME_DIGITS:times], 16)
        return Mark(text[times:].decode("ascii"), number, captured_at_us, seconds, shown)
    except ValueError as error:
        raise MediaError(f"a damaged mark at {seconds:.3f} s: {text[:60]!r}") from error
