"""A cut made into a file: a head that points into stored fragments, then those fragments as they lie in the vault."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Lock

from archiver.mp4.boxes import peek
from archiver.mp4.edits import with_steady_offset
from archiver.mp4.fragments import steady_offset
from archiver.mp4.progressive import Part, progressive_head
from archiver.ports import Reader
from archiver.rope import Given, Rope
from archiver.stretches import Cut, Placed, Run

HEAD_BYTES = 4096
"""What is read of a fragment at first (bytes): more than the description of 1 s of media takes."""

KEPT_PIECES = 200_000
"""How many pieces of ropes are kept at hand, some 60 bytes each and the heads: a few days of media."""


class Ropes:
    """The ropes made last, so that a player's many requests for one file read its fragments' heads once."""

    def __init__(self, most: int = KEPT_PIECES) -> None:
        self._most = most
        self._kept: OrderedDict[str, Rope] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str, make: Callable[[], Rope]) -> Rope:
        """The rope of the file with that digest."""
        with self._lock:
            known = self._kept.get(digest)
            if known is not None:
                self._kept.move_to_end(digest)
                return known
        made = make()
        with self._lock:
            self._kept[digest] = made
            while len(self._kept) > 1 and sum(len(rope.pieces) for rope in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return made


def settled(store: Reader, run: Run) -> Run:
    """The run with its time line told by the pictures that it has, not by the recording's first one."""
    last = run.fragments[-1]
    offset = steady_offset(run.init, _head(store, last), last.entry.size)
    return run if offset is None else replace(run, init=with_steady_offset(run.init, offset))


def spliced(store: Reader, cut: Cut) -> Rope:
    """The file's plan. Reads only the heads of its fragments."""
    head = progressive_head(cut.init, _parts(store, cut), cut.begin, cut.length)
    return Rope([Given(head), *(one.fragment.stored for one in cut.fragments)])


def _parts(store: Reader, cut: Cut) -> Iterator[Part]:
    for one in cut.fragments:
        yield Part(_head(store, one.fragment), one.fragment.entry.size, one.shifts)


def _head(store: Reader, fragment: Placed) -> bytes:
    """The fragment's bytes up to its media, which may be more than HEAD_BYTES."""
    length = min(HEAD_BYTES, fragment.entry.size)
    while True:
        data = _read(store, fragment, length)
        if length == fragment.entry.size or _reaches_media(data):
            return data
        length = min(2 * length, fragment.entry.size)


def _reaches_media(data: bytes) -> bool:
    at = 0
    while (box := peek(data, at, len(data))) is not None:
        if box.kind == b"mdat":
            return True
        at = box.end
    return False


def _read(store: Reader, fragment: Placed, length: int) -> bytes:
    segment = fragment.segment
    return b"".join(store.read(segment.key, fragment.entry.offset, length, segment.version))
