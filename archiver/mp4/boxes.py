"""ISO base media boxes (ISO/IEC 14496-12, section 4.2): walk them, find them, build them.

Offsets are bytes into the buffer given. Nothing here recurses: callers descend by name, so nesting is bounded
by the paths they ask for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, error, pack
from typing import Any

from archiver.errors import MediaError

Buffer = bytes | bytearray | memoryview

MAX_BOXES = 4096
"""More children than this in one container is not media from any muxer."""

HEADER = 8
_SHORT = Struct(">I4s")
_LONG = Struct(">Q")


@dataclass(frozen=True, slots=True)
class Box:
    """A box's place: [start, end) with its header, [body, end) without. `kind` is its four-character code."""

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def moved(self, delta: int) -> "Box":
        """The same box in a buffer that has `delta` more bytes before it."""
        return Box(self.kind, self.start + delta, self.body + delta, self.end + delta)


def peek(data: Buffer, start: int, end: int, *, open_ended: bool = False) -> Box | None:
    """The box whose header lies at `start`, or None if its header isn't complete in data[:end].

    The box itself may reach beyond `end`. Raises MediaError for a size smaller than the header, and for a
    size of 0 ("to the end") unless `open_ended`: then the box ends at `end`.
    """
    if end - start < HEADER:
        return None
    size, kind = _SHORT.unpack_from(data, start)
    body = start + HEADER
    if size == 1:
        if end - body < _LONG.size:
            return None
        (size,) = _LONG.unpack_from(data, body)
        body += _LONG.size
    elif size == 0 and open_ended:
        size = end - start
    if start + size < body:
        raise MediaError(f"box {name(kind)} at byte {start} states {size} bytes, less than its own header")
    return Box(kind, start, body, start + size)


def walk(data: Buffer, start: int = 0, end: int | None = None, *, top_level: bool = False) -> Iterator[Box]:
    """The boxes that fill data[start:end] exactly. At the top level alone the last may have a size of 0."""
    stop = len(data) if end is None else end
    for _ in range(MAX_BOXES):
        if start == stop:
            return
        box = peek(data, start, stop, open_ended=top_level)
        if box is None:
            raise MediaError(f"{stop - start} bytes at byte {start} are too few for a box")
        if box.end > stop:
            raise MediaError(f"box {name(box.kind)} at byte {start} is cut off: {box.end - stop} bytes missing")
        yield box
        start = box.end
    raise MediaError(f"more than {MAX_BOXES} boxes in one container")


def children(data: Buffer, box: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes inside `box`, after `skip` bytes of fields of its own."""
    if box.body + skip > box.end:
        raise MediaError(f"box {name(box.kind)} at byte {box.start} is too short")
    return walk(data, box.body + skip, box.end)


def find_all(data: Buffer, box: Box, kind: bytes) -> list[Box]:
    """Every direct child of that kind, in order."""
    return [child for child in children(data, box) if child.kind == kind]


def find(data: Buffer, box: Box, *path: bytes) -> Box | None:
    """The first box at that path below `box`, or None."""
    found: Box | None = box
    for kind in path:
        if found is None:
            return None
        found = next((child for child in children(data, found) if child.kind == kind), None)
    return found


def need(data: Buffer, box: Box, *path: bytes) -> Box:
    """The first box at that path below `box`. Raises MediaError when it isn't there."""
    found = find(data, box, *path)
    if found is None:
        raise MediaError(f"box {name(box.kind)} at byte {box.start} lacks {'/'.join(map(name, path))}")
    return found


def fields(layout: str, data: Buffer, box: Box, offset: int = 0) -> tuple[Any, ...]:
    """Big-endian fields (`layout` in struct's letters) at `offset` in the box's body. Raises MediaError past
    its end."""
    form = Struct(">" + layout)
    if box.body + offset + form.size > box.end:
        raise MediaError(f"box {name(box.kind)} at byte {box.start} is too short")
    try:
        return form.unpack_from(data, box.body + offset)
    except error as problem:
        raise MediaError(f"box {name(box.kind)} at byte {box.start} lies outside its bytes") from problem


def version_and_flags(data: Buffer, box: Box) -> tuple[int, int]:
    """The two fields that begin a FullBox (section 4.2.2)."""
    (word,) = fields("I", data, box)
    return word >> 24, word & 0xFFFFFF


def payload(data: Buffer, box: Box) -> bytes:
    return bytes(data[box.body : box.end])


def whole(data: Buffer, box: Box) -> bytes:
    return bytes(data[box.start : box.end])


def build(kind: bytes, *parts: bytes) -> bytes:
    """A box around `parts`, with a 64-bit size only when it needs one."""
    size = HEADER + sum(map(len, parts))
    if size > 0xFFFFFFFF:
        return b"".join((pack(">I4sQ", 1, kind, size + 8), *parts))
    return b"".join((pack(">I4s", size, kind), *parts))


def build_full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A FullBox around `parts`."""
    return build(kind, pack(">I", version << 24 | flags), *parts)


def name(kind: bytes) -> str:
    """A four-character code fit for a message."""
    return kind.decode("ascii", "backslashreplace") if kind.isascii() else kind.hex()
