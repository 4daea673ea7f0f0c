"""A stored segment: its init, and where each of its fragments lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from archiver.errors import MediaError
from archiver.mp4.fragments import Fragment
from archiver.mp4.init import Init
from archiver.mp4.reader import FragmentReader


@dataclass(frozen=True, slots=True)
class IndexedFragment:
    """`offset` and `size` in bytes of the segment; `tfdt`, `duration` and `keyframe` as in Fragment.

    `sha256`: `sha256:<hex>` of its bytes.
    """

    offset: int
    size: int
    tfdt: int
    duration: int
    keyframe: bool
    sha256: str

    @classmethod
    def of(cls, fragment: Fragment, offset: int) -> "IndexedFragment":
        digest = f"sha256:{sha256(fragment.data).hexdigest()}"
        return cls(offset, len(fragment.data), fragment.tfdt, fragment.duration, fragment.keyframe, digest)


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """The fragments in the order of the file; the first begins where the init's bytes end."""

    init: Init
    fragments: tuple[IndexedFragment, ...]


def index(data: bytes) -> SegmentIndex:
    """Read a whole segment, `ftyp moov (fragment)*`. Raises MediaError for anything else, a torn end
    included."""
    init, fragments, end, problem = _read(data)
    if init is None:
        raise MediaError(f"a segment of {len(data)} bytes without a complete ftyp and moov") from problem
    if end != len(data):
        raise MediaError(f"{len(data) - end} bytes after the last fragment, at byte {end}") from problem
    return SegmentIndex(init, tuple(fragments))


def covering(
    init: Init, fragments: Sequence[IndexedFragment], start: Fraction, end: Fraction
) -> Sequence[IndexedFragment]:
    """Of a recording's fragments, in order, those that showing [start, end) (seconds of media time) takes.

    From the last keyframe at or before `start` (else the first one of all) to the last fragment that can hold
    a picture shown before `end`: pictures are stored in the order of decoding, so some come as much later as
    the track's media start. Empty if no media begins before `end`.
    """
    reference = init.reference
    until = end * reference.timescale + reference.media_start
    taken = [n for n, fragment in enumerate(fragments) if fragment.tfdt < until]
    begun = [n for n in taken if fragments[n].keyframe and fragments[n].tfdt <= start * reference.timescale]
    return fragments[begun[-1] if begun else 0 : taken[-1] + 1] if taken and start < end else ()


def complete_prefix(data: bytes) -> int:
    """How many bytes from the beginning are a complete init and complete fragments; 0 without a complete
    init.

    What lies behind is torn or damaged.
    """
    return _read(data)[2]


def _read(data: bytes) -> tuple[Init | None, list[IndexedFragment], int, MediaError | None]:
    """The init, the fragments, the byte where they end, and what is wrong there, if it is more than an early
    end."""
    reader = FragmentReader()
    fragments: list[IndexedFragment] = []
    end, problem, chunk = 0, None, data
    try:
        while items := reader.feed(chunk):
            for item in items:
                if isinstance(item, Fragment):
                    fragments.append(IndexedFragment.of(item, end))
                end += len(item.data)
            chunk = b""
    except MediaError as error:
        problem = error
    return reader.init, fragments, end, problem
