"""Split a growing stream of fragmented MP4, as ffmpeg writes it to a pipe, into its init and its
fragments."""

from archiver.errors import MediaError
from archiver.mp4.boxes import Box, name, peek
from archiver.mp4.fragments import BEFORE_MOOF, Clock, Fragment, TrackRun, parse_fragment
from archiver.mp4.init import FILLERS, Coding, Init, Track, parse_init

__all__ = ["Clock", "Coding", "Fragment", "FragmentReader", "Init", "Track", "TrackRun"]

MAX_HEADER_BYTES = 16 * 2**20
"""A moov, moof or lesser box beyond this (bytes) is refused before it is received."""

MAX_MEDIA_BYTES = 256 * 2**20
"""An mdat beyond this (bytes) is refused: about 1 s of media is what a fragment holds."""

_FOLLOWS: dict[bytes, frozenset[bytes]] = {
    b"": frozenset({b"ftyp"}),
    b"ftyp": FILLERS | {b"moov"},
    b"moov": BEFORE_MOOF | {b"moof"},
    b"moof": frozenset({b"mdat"}),
    b"mdat": BEFORE_MOOF | {b"moof"},
}
"""What may stand after the last box that matters: `ftyp moov ([prft ...] moof mdat)*`."""


class FragmentReader:
    """Fed with any chunks, gives the init and the fragments as they become complete.

    Only headers are looked at until an mdat is complete, so the cost hardly depends on the bit rate, and a
    chunk that is one whole fragment is given out uncopied. Memory: at most one fragment and one chunk.
    """

    def __init__(self, init: Init | None = None) -> None:
        """With `init`, go on after it: the bytes to come are fragments of that stream."""
        self._init = init
        self._last = b"moov" if init else b""
        self._chunks: list[bytes] = []
        self._size = 0
        self._needed = 0  # with fewer bytes there is nothing new to see
        self._at = 0  # where the next box begins

    @property
    def init(self) -> Init | None:
        return self._init

    @property
    def pending(self) -> bytes:
        """What was fed and not given out: the torn tail, once the stream has ended."""
        return b"".join(self._chunks)

    @property
    def pending_size(self) -> int:
        """Its length in bytes, without copying it."""
        return self._size

    def feed(self, data: bytes) -> list[Init | Fragment]:
        """What `data` completes, in order.

        Raises MediaError at bytes that are no such stream. Nothing complete is lost to that: what came before
        it is given out first, the error comes at the next call (and at every later one), and the bytes stay
        in `pending`.
        """
        self._chunks.append(data)
        self._size += len(data)
        found: list[Init | Fragment] = []
        if self._size < self._needed:
            return found
        buffer = self.pending
        try:
            self._split(buffer, found)
        except MediaError:
            self._needed = 0
            if not found:
                raise
        finally:
            self._keep(buffer, sum(len(item.data) for item in found))
        return found

    def _keep(self, buffer: bytes, given: int) -> None:
        self._chunks = [buffer[given:]]
        self._size -= given
        self._needed -= given
        self._at -= given

    def _split(self, buffer: bytes, found: list[Init | Fragment]) -> None:
        """Pass the complete boxes, and put what ends with one into `found`."""
        given = 0
        while (box := self._complete(buffer, given)) is not None:
            if box.kind == b"moov":
                self._init = parse_init(buffer[given : box.end])
                found.append(self._init)
            elif box.kind == b"mdat":
                found.append(self._fragment(buffer[given : box.end]))
            if box.kind in _FOLLOWS:
                self._last = box.kind
            self._at = box.end
            if box.kind in (b"moov", b"mdat"):
                given = box.end

    def _complete(self, buffer: bytes, given: int) -> Box | None:
        """The next box; None when it isn't whole yet."""
        box = peek(buffer, self._at, len(buffer))
        self._needed = len(buffer) + 1 if box is None else box.end
        if box is None:
            return None
        self._judge(box, given)
        return box if box.end <= len(buffer) else None

    def _judge(self, box: Box, given: int) -> None:
        """Refuse a box by its header alone, before its bytes are waited for."""
        if box.kind not in _FOLLOWS[self._last]:
            raise MediaError(f"box {name(box.kind)} after {name(self._last) or 'nothing'} is no fragmented stream")
        limit = MAX_MEDIA_BYTES if box.kind == b"mdat" else MAX_HEADER_BYTES
        if box.size > limit or box.end - given > limit + MAX_HEADER_BYTES:
            raise MediaError(f"box {name(box.kind)} of {box.size} bytes; at most {limit} are read")

    def _fragment(self, data: bytes) -> Fragment:
        if self._init is None:
            raise MediaError("a fragment before the moov")
        return parse_fragment(self._init, data)
