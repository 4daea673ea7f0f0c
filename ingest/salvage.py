"""Finish a recording whose writer died, or whose disk failed: keep every whole fragment, and the torn rest beside.

Each step may be repeated: a crash in the middle is followed by another salvage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from archiver.errors import MediaError
from archiver.mp4.fragments import Fragment
from archiver.mp4.init import Init
from archiver.mp4.reader import FragmentReader
from archiver.sidecar import Sidecar, to_bytes
from archiver.timeline import Interval
from archiver.times import to_us
from ingest.anchors import Anchors
from ingest.segments import SegmentDraft, timing
from ingest.spooled import Arrival, Closed, RecordingHead

UNKNOWN_NTP = "unknown"


class SalvageableFolder(Protocol):
    """What is left of a recording in a spool."""

    @property
    def head(self) -> RecordingHead: ...
    def unfinished(self) -> list[int]: ...
    def unfinished_bytes(self, seq: int) -> bytes: ...
    def finished_numbers(self) -> list[int]: ...
    def arrivals(self) -> list[Arrival]: ...
    def keep_torn(self, seq: int, data: bytes) -> None: ...
    def finish(self, seq: int, size: int, sidecar: bytes) -> None: ...
    def drop_unfinished(self, seq: int) -> None: ...
    def closed(self) -> Closed | None: ...
    def close(self, closed: Closed) -> None: ...


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was finished: sequence numbers, the host time of the last one's media, and how many bytes were torn."""

    segments: tuple[int, ...]
    last: Interval | None
    torn_bytes: int


def salvage(folder: SalvageableFolder, cause: str, now: datetime) -> Salvaged:
    """Finish and close a recording that nobody writes any more; `cause` is why it ended. Raises OSError when the disk
    refuses: what is there stays."""
    head, arrivals = folder.head, folder.arrivals()
    finished: list[Sidecar] = []
    empty: list[int] = []
    torn = 0
    for seq in folder.unfinished():
        whole = _Whole.read(folder.unfinished_bytes(seq))
        if whole.tail:
            folder.keep_torn(seq, whole.tail)
            torn += len(whole.tail)
        if whole.init is None or not whole.fragments:
            empty.append(seq)
            continue
        sidecar = _sidecar(head, seq, whole.init, whole.fragments, arrivals, cause)
        folder.finish(seq, sidecar.size, to_bytes(sidecar))
        finished.append(sidecar)
    if folder.closed() is None:
        folder.close(Closed(_segments(folder, arrivals, empty), cause, now))
    # Only now: a closed recording counts its segments, and a dropped one leaves no trace to count by.
    for seq in empty:
        folder.drop_unfinished(seq)
    last = finished[-1].span if finished else None
    return Salvaged(tuple(each.place.seq for each in finished), last, torn)


def _segments(folder: SalvageableFolder, arrivals: Sequence[Arrival], empty: Sequence[int]) -> int:
    """How many were cut in all: those deposited and gone are known by their arrivals alone."""
    known = {*folder.finished_numbers(), *(each.seq for each in arrivals)} - set(empty)
    return max(known) + 1 if known else 0


@dataclass(frozen=True, slots=True)
class _Whole:
    """The whole parts of a segment file, and the rest. Without a fragment all of it is rest."""

    init: Init | None
    fragments: list[Fragment]
    tail: bytes

    @classmethod
    def read(cls, data: bytes) -> "_Whole":
        reader = FragmentReader()
        fragments: list[Fragment] = []
        chunk = data
        try:
            while items := reader.feed(chunk):
                fragments += [item for item in items if isinstance(item, Fragment)]
                chunk = b""
        except MediaError:
            pass  # what can't be read is torn, and kept as such
        return cls(reader.init, fragments, reader.pending if fragments else data)


def _sidecar(
    head: RecordingHead,
    seq: int,
    init: Init,
    fragments: Sequence[Fragment],
    arrivals: Sequence[Arrival],
    cause: str,
) -> Sidecar:
    draft = SegmentDraft(init, seq)
    for fragment in fragments:
        draft.add(fragment)
    whole = {fragment.tfdt for fragment in fragments}
    own = [each for each in arrivals if each.seq == seq and each.tfdt in whole]
    anchors = Anchors(head.timescale)
    for arrival in arrivals[:-1]:
        if arrival.seq <= seq:
            anchors.observe(arrival)
    timed = timing(anchors, own or [_guessed(head, seq, fragments[-1])], draft.media_start, UNKNOWN_NTP)
    return draft.sidecar(head, timed, cause, derived=not own)


def _guessed(head: RecordingHead, seq: int, fragment: Fragment) -> Arrival:
    """Without a journal (a power cut took it): media began about when the recording was opened."""
    arrived = head.opened_at + timedelta(seconds=(fragment.tfdt + fragment.duration) / head.timescale)
    return Arrival(seq, to_us(arrived), fragment.tfdt, fragment.duration, 0, None)
