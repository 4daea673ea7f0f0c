"""Record one stream into the spool: its init opens a recording, its fragments fill segments, its end closes it."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Protocol

from archiver.canonical import digest_of
from archiver.errors import MediaError
from archiver.ids import NewId
from archiver.mp4.codecs import codecs_string, parameters_changed
from archiver.mp4.fragments import Fragment
from archiver.mp4.init import Init
from archiver.mp4.reader import FragmentReader
from archiver.ports import Chunk, Clock, Stream, StreamEnd
from archiver.sidecar import to_bytes
from archiver.timeline import Interval
from archiver.times import from_us, to_us
from archiver.values import Duty
from archiver.vocabulary import GapCause
from ingest.anchors import Anchors, arrival_of
from ingest.duty import Recorded
from ingest.salvage import SalvageableFolder, salvage
from ingest.segments import CUT, SegmentDraft, container_of, is_cut_before, tagged_hvc1, timing
from ingest.spooled import Arrival, RecordingHead

log = logging.getLogger(__name__)

SYNC_S = 5.0
"""A power cut loses at most so much (I4), seconds."""

STEP_US = 1_000_000
"""A host clock that moved this much against the monotonic one was stepped (I8)."""


class SegmentOut(Protocol):
    """A segment being written; OSError when the disk has no room or fails."""

    def append(self, data: bytes) -> None: ...
    def sync(self) -> None: ...
    def finish(self, sidecar: bytes) -> None: ...
    def close(self) -> None: ...


class RecordingOut(SalvageableFolder, Protocol):
    """A recording being written."""

    def start_segment(self, seq: int) -> SegmentOut: ...
    def note_arrival(self, arrival: Arrival) -> None: ...
    def sync_arrivals(self) -> None: ...
    def let_go(self) -> None: ...


class SpoolOut(Protocol):
    """Where recordings are begun."""

    def begin(self, head: RecordingHead) -> RecordingOut: ...


@dataclass(frozen=True, slots=True)
class Deck:
    """What every recording of a worker shares. A segment ends at the first key frame after `segment_s` seconds.

    `left` names the recordings that could not be finished, and why they ended: nobody writes them any more.
    """

    spool: SpoolOut
    worker: str
    clock: Clock
    new_id: NewId
    segment_s: float = 60.0
    sync_s: float = SYNC_S
    left: MutableMapping[str, GapCause] = field(default_factory=dict)

    async def record(self, stream: Stream, duty: Duty, on_media: Callable[[datetime], None]) -> Recorded:
        """Record `stream` to its end, or until it must be opened anew (`media_changed`, `stalled`, `spool_full`).

        `on_media` is told once the host time at which the media begins. Troubles of camera and disk come back as the
        end's cause. Cancelled, it kills the stream and leaves the rest to salvage.
        """
        take = _Take(self, duty)
        early: StreamEnd | None = None
        try:
            early = await self._receive(stream, take, on_media)
            ended = await stream.end()
        except asyncio.CancelledError:  # this process ends: the next one salvages
            await self._give_up(stream, take)
            raise
        except BaseException:
            await self._give_up(stream, take)
            take.leave(GapCause.UNKNOWN)
            raise
        end = early or ended
        return Recorded(await asyncio.to_thread(take.close, end.cause), end)

    async def _give_up(self, stream: Stream, take: "_Take") -> None:
        await asyncio.to_thread(take.abandon)
        await stream.end()

    async def _receive(self, stream: Stream, take: "_Take", on_media: Callable[[datetime], None]) -> StreamEnd | None:
        """None when the stream ended by itself."""
        told = False
        async for chunk in stream.chunks():
            early = await take.feed(chunk)
            if not told and (start := take.media_start) is not None:
                on_media(start)
                told = True
            if early is not None:
                return early
        return None


class _Take:
    """One stream's way into the spool. Disk work is done in worker threads, one at a time."""

    def __init__(self, deck: Deck, duty: Duty) -> None:
        self._deck = deck
        self._duty = duty
        self._reader = FragmentReader()
        self._began = 0.0
        self._rest = b""  # whole fragments behind the one that ended the recording
        self._reel: _Reel | None = None

    @property
    def media_start(self) -> datetime | None:
        """The host time of the first fragment's beginning, None before it is spooled."""
        return self._reel.media_start if self._reel else None

    async def feed(self, chunk: Chunk) -> StreamEnd | None:
        """Take what arrived; not None when the stream must end."""
        if not self._reader.pending_size:
            self._began = chunk.at
        try:
            items = self._reader.feed(chunk.data)
        except MediaError as problem:
            return StreamEnd(GapCause.MEDIA_CHANGED, f"the stream can't be read: {problem.message}")
        at, self._began = self._began, chunk.at
        for number, item in enumerate(items, 1):
            end = await self._take(item, at)
            if end is not None:
                self._rest = b"".join(each.data for each in items[number:])
                return end
        return None

    async def _take(self, item: Init | Fragment, arrived: float) -> StreamEnd | None:
        try:
            if isinstance(item, Init):
                await asyncio.to_thread(self._open, item)
                return None
            assert self._reel is not None  # noqa: S101 - a reader gives the init first
            return await asyncio.to_thread(self._reel.take, item, arrived)
        except OSError as problem:
            return StreamEnd(GapCause.SPOOL_FULL, f"the spool takes no more: {problem.strerror}")
        except MediaError as problem:
            return StreamEnd(GapCause.MEDIA_CHANGED, f"the stream can't be read: {problem.message}")
        return None

    def _open(self, init: Init) -> None:
        self._reel = _Reel(self._deck, self._duty, tagged_hvc1(init))

    def abandon(self) -> None:
        if self._reel:
            self._reel.abandon()

    def leave(self, cause: GapCause) -> None:
        """To be salvaged: nobody writes it any more."""
        if self._reel:
            self._reel.leave(cause)

    def close(self, cause: GapCause) -> Interval | None:
        """Finish what is whole; the host time of the media, None if there was none."""
        return self._reel.close(cause, self._rest + self._reader.pending) if self._reel else None


class _HostTime:
    """Host time that goes on by the monotonic clock from its beginning (I8)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero_us = self._offset_us()

    def _offset_us(self) -> int:
        return to_us(self._clock.now()) - round(self._clock.monotonic() * 1e6)

    def at_us(self, monotonic: float) -> int:
        return self._zero_us + round(monotonic * 1e6)

    def stepped_us(self) -> int:
        """How far the host's clock was set since the beginning."""
        return self._offset_us() - self._zero_us


class _Reel:
    """One recording: its segments, one after the other, and its place in time."""

    def __init__(self, deck: Deck, duty: Duty, init: Init) -> None:
        self._deck = deck
        self._init = init
        self._time = _HostTime(deck.clock)
        self._head = _head(deck, duty, init)
        self._folder = deck.spool.begin(self._head)
        self._anchors = Anchors(init.reference.timescale)
        self._seq = 0
        self._draft = SegmentDraft(init, 0)
        self._arrivals: list[Arrival] = []
        self._file: SegmentOut | None = None
        self._synced = deck.clock.monotonic()
        self.media_start: datetime | None = None
        self._last: Arrival | None = None
        self._broken = False
        self._lock = Lock()  # a cancelled store still runs in its thread

    def take(self, fragment: Fragment, arrived: float) -> StreamEnd | None:
        """Append a fragment, or keep it apart and say why it can't belong to the recording."""
        with self._lock:
            arrival = arrival_of(self._init, fragment, self._seq, self._time.at_us(arrived))
            try:
                end = self._trouble(fragment, arrival)
                if end is not None:
                    self._folder.keep_torn(self._seq, fragment.data)
                else:
                    self._store(fragment, arrival)
            except OSError:
                self._broken = True
                raise
            return end

    def _trouble(self, fragment: Fragment, arrival: Arrival) -> StreamEnd | None:
        stepped = self._time.stepped_us()
        if abs(stepped) > STEP_US:
            return StreamEnd(GapCause.MEDIA_CHANGED, f"the host's clock was set by {stepped / 1e6:+.1f} s")
        if parameters_changed(self._init, fragment):
            return StreamEnd(GapCause.MEDIA_CHANGED, "the camera changed its picture's parameters")
        jump = self._anchors.jump(arrival)
        if jump is None:
            return None
        return StreamEnd(GapCause.STALLED if jump.stall else GapCause.MEDIA_CHANGED, jump.evidence)

    def _store(self, fragment: Fragment, arrival: Arrival) -> None:
        """Append a fragment to its segment (I2)."""
        if self._arrivals:
            self._anchors.observe(self._arrivals[-1])
            if is_cut_before(fragment, self._draft.media_start, self._head.timescale, self._deck.segment_s):
                self._finish(CUT)
                arrival = replace(arrival, seq=self._seq)
        if self._file is None:
            self._file = self._folder.start_segment(self._seq)
            self._file.append(self._init.data)
        # Before the fragment itself, so that a crash leaves none whose arrival isn't known.
        self._folder.note_arrival(arrival)
        self._file.append(fragment.data)
        self._draft.add(fragment)
        self._arrivals.append(arrival)
        if self.media_start is None:
            self.media_start = from_us(self._anchors.host_us(arrival.tfdt, arrival))
        self._last = arrival
        self._sync_in_time(self._file)

    def close(self, cause: GapCause, tail: bytes) -> Interval | None:
        """Finish the last segment and the recording. A disk that refuses leaves the rest to salvage."""
        try:
            self._keep_tail(tail)
            if not self._broken:
                self._finish(cause)
            self.abandon()
            salvage(self._folder, cause, self._deck.clock.now())
        except OSError as problem:
            log.error("recording %s stays to be salvaged: %s", self._head.recording, problem.strerror)
            self.abandon()
            self.leave(cause)
        return self._media()

    def _keep_tail(self, tail: bytes) -> None:
        """A disk without room for that may still have room to finish."""
        try:
            if tail:
                self._folder.keep_torn(self._seq, tail)
        except OSError as problem:
            log.error(
                "recording %s: %d bytes of a tail are lost: %s", self._head.recording, len(tail), problem.strerror
            )

    def _media(self) -> Interval | None:
        if self.media_start is None or self._last is None:
            return None
        end = from_us(self._anchors.host_us(self._last.end, self._last))
        return Interval(self.media_start, end) if end > self.media_start else None

    def abandon(self) -> None:
        """Close files as they are."""
        with self._lock:
            if self._file:
                self._file.close()
            self._folder.let_go()

    def leave(self, cause: GapCause) -> None:
        self._deck.left[self._head.recording] = cause

    def _finish(self, cause: str) -> None:
        if self._file is None:
            return
        ntp = self._deck.clock.ntp_state()
        timed = timing(self._anchors, self._arrivals, self._draft.media_start, ntp)
        self._folder.sync_arrivals()
        self._file.finish(to_bytes(self._draft.sidecar(self._head, timed, cause)))
        self._file = None
        self._seq += 1
        self._draft = SegmentDraft(self._init, self._seq)
        self._arrivals = []

    def _sync_in_time(self, file: SegmentOut) -> None:
        now = self._deck.clock.monotonic()
        if now - self._synced >= self._deck.sync_s:
            file.sync()
            self._folder.sync_arrivals()
            self._synced = now


def _head(deck: Deck, duty: Duty, init: Init) -> RecordingHead:
    return RecordingHead(
        recording=deck.new_id(),
        duty=duty.id,
        organisation=duty.organisation,
        site=duty.site,
        location=duty.location,
        source=duty.source,
        worker=deck.worker,
        epoch=duty.epoch,
        opened_at=deck.clock.now(),
        container=container_of(init),
        init_size=len(init.data),
        init_digest=digest_of(init.data),
        codecs=codecs_string(init),
        timescale=init.reference.timescale,
    )
