"""A file that exists only as a plan: bytes given and bytes stored, one after the other, read as they are asked
for.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from archiver.ports import Reader
from archiver.timeline import Interval


@dataclass(frozen=True, slots=True)
class Given:
    """Bytes that are at hand."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Stored:
    """[offset, offset + size) of an object in the vault, as it is. `span` is the time it shows."""

    key: str
    version: str
    offset: int
    size: int
    span: Interval

    def followed_by(self, other: "Stored | Given") -> bool:
        return (
            isinstance(other, Stored)
            and (other.key, other.version) == (self.key, self.version)
            and other.offset == self.offset + self.size
        )


Piece = Given | Stored


@dataclass(frozen=True, slots=True)
class Rope:
    """The file that `pieces` make."""

    pieces: Sequence[Piece]
    ends: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", list(accumulate(piece.size for piece in self.pieces)))

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, store: Reader, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes [start, end), in pieces as the store gives them."""
        for piece, first, last in _joined(self._between(start, self.size if end is None else end)):
            if isinstance(piece, Given):
                yield piece.data[first:last]
            else:
                yield from store.read(piece.key, piece.offset + first, last - first, piece.version)

    def shown(self, start: int = 0, end: int | None = None) -> Interval | None:
        """The time that the bytes [start, end) show, whole fragments; None if they hold none."""
        touched = self._between(start, self.size if end is None else end)
        spans = [piece.span for piece, _, _ in touched if not isinstance(piece, Given)]
        return Interval(min(span.start for span in spans), max(span.end for span in spans)) if spans else None

    def _between(self, start: int, end: int) -> Iterator[tuple[Piece, int, int]]:
        """The pieces that [start, end) touches, with the stretch of each."""
        for index in range(bisect_right(self.ends, start), len(self.pieces)):
            piece = self.pieces[index]
            began = self.ends[index] - piece.size
            if began >= end:
                return
            yield piece, max(start - began, 0), min(end - began, piece.size)


def _joined(touched: Iterator[tuple[Piece, int, int]]) -> Iterator[tuple[Piece, int, int]]:
    """The same bytes with one stretch where stored ones follow on from each other: one read each."""
    held: tuple[Piece, int, int] | None = None
    for piece, first, last in touched:
        if held is None:
            held = piece, first, last
        elif isinstance(held[0], Stored) and held[0].followed_by(piece):
            longer = replace(held[0], size=held[0].size + piece.size)
            held = longer, held[1], held[0].size + last
        else:
            yield held
            held = piece, first, last
    if held is not None:
        yield held
