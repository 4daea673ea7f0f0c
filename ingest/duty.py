"""One duty from its start to its end: opens the source, records, and opens it again after every loss, and states each
outage with its cause.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from archiver.errors import ArchiverError, SourceUnavailableError
from archiver.ports import Clock, Recorder, Stream, StreamEnd
from archiver.timeline import Interval
from archiver.values import Duty, Outage
from archiver.vocabulary import GapCause
from ingest.arguments import Opening, better_opening
from ingest.outages import OpenOutage
from ingest.reconnect import Backoff

log = logging.getLogger(__name__)

LATE = timedelta(seconds=1)
RECORDED_TO_ITS_END = "the duty was recorded to its end"
STEP_S = 1.0
"""How long a wait trusts the host's clock, which may be set meanwhile."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of one stream: the host time of its media, None if there was none, and why it ended."""

    media: Interval | None
    end: StreamEnd


Record = Callable[[Stream, Duty, Callable[[datetime], None]], Awaitable[Recorded]]
"""(stream, duty, on_media): record the stream to its end. `on_media` is told once the host time at which the media
begins."""


class Notes(Protocol):
    """Where a duty states facts, durably."""

    def state_outage(self, outage: Outage) -> None: ...
    def keep_open(self, duty: str, outage: OpenOutage | None) -> None:
        """Remember the outage that the duty is in, None when it is in none."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What every duty of a worker shares. `openings` is what earlier starts taught about each source."""

    worker: str
    recorder: Recorder
    record: Record
    notes: Notes
    clock: Clock
    chance: Callable[[], float]
    openings: dict[str, Opening] = field(default_factory=dict)


class DutyRun:
    """Records one duty. `address` opens the sealed address anew for each attempt, so that it isn't kept in memory."""

    def __init__(self, duty: Duty, address: Callable[[], str], tools: Tools, open_: OpenOutage | None = None) -> None:
        self.duty = duty
        self._address = address
        self._tools = tools
        self._open = open_
        self._backoff = Backoff()
        self._leaving: GapCause | None = None
        self._changed = asyncio.Event()

    def follow(self, duty: Duty) -> None:
        """Take a new span or epoch from now on."""
        self.duty = duty
        self._changed.set()

    def leave(self, cause: GapCause) -> None:
        """Stop recording before the duty's end: `restarted` when the process ends, `handover` when it is another's."""
        self._leaving = cause
        self._changed.set()

    async def run(self) -> bool:
        """Record to the duty's end; False if it had to leave before."""
        while self._now() < self.duty.span.start and not self._is_over():
            await self._wait(self.duty.span.start)
        if self._leaving is not None:
            return False
        self._begin()
        while not self._is_over():
            await self._pause()
            if not self._is_over():
                await self._attempt()
        return self._conclude()

    def _begin(self) -> None:
        """Until media comes, it is missing from the duty's start (or from where an earlier process left it) on."""
        if self._open is None:
            evidence = "the recorder was starting"
            if self._is_late():
                evidence = f"no worker recorded the source before {self._now().isoformat(timespec='milliseconds')}"
            self._open_outage(OpenOutage(self.duty.span.start, GapCause.NOT_STARTED, evidence))

    async def _attempt(self) -> None:
        began = self._now()
        opening = self._opening
        try:
            address = self._address()
            stream = await self._tools.recorder.open(address, attempt=opening.attempt, mov=opening.mov)
        except ArchiverError as error:
            cause = GapCause.UNREACHABLE if isinstance(error, SourceUnavailableError) else GapCause.UNKNOWN
            self._failed(began, StreamEnd(cause, error.message))
            return
        stopper = asyncio.create_task(self._stop_in_time(stream))
        try:
            recorded = await self._tools.record(stream, self.duty, self._media_began)
        finally:
            stopper.cancel()
            with suppress(asyncio.CancelledError):
                await stopper
        self._ended(began, recorded)

    async def _stop_in_time(self, stream: Stream) -> None:
        while not self._is_over():
            await self._wait(self.duty.span.end)
        await stream.stop()

    def _media_began(self, at: datetime) -> None:
        if self._open is not None:
            self._state(self._open, at)
            self._open_outage(None)

    def _ended(self, began: datetime, recorded: Recorded) -> None:
        if recorded.media is None:
            if not self._is_over():
                self._failed(began, recorded.end)
            return
        self._media_began(recorded.media.start)
        self._backoff = self._backoff.after_loss(recorded.media.length.total_seconds(), recorded.end.cause)
        log.info("source %s: recording ended: %s", self.duty.source, recorded.end.evidence)
        if self._leaving is GapCause.RESTARTED:
            self._open_outage(OpenOutage(recorded.media.end, GapCause.RESTARTED, "the recorder was told to stop"))
        elif not self._is_over() or self._is_early(recorded.media.end):
            self._open_outage(_after(recorded.media, recorded.end))

    def _failed(self, began: datetime, end: StreamEnd) -> None:
        """A stream that gave no media. What is learnt from it is tried at once, all else after a while."""
        log.warning("source %s: no media: %s: %s", self.duty.source, end.cause, end.evidence)
        self._blame(began, end)
        better = better_opening(self._opening, end.evidence)
        if better is not None:
            self._tools.openings[self.duty.source] = better
        else:
            self._backoff = self._backoff.after_loss(0, end.cause)

    def _blame(self, began: datetime, end: StreamEnd) -> None:
        """Whose fault it is: the worker's up to its first attempt, if it was late; from there on the source's."""
        before = self._open
        if before is None:
            self._open_outage(OpenOutage(began, end.cause, end.evidence))
        elif before.cause is not GapCause.NOT_STARTED:
            self._open_outage(before.noting(end.evidence))
        elif began - before.since > LATE:
            self._state(before, began)
            self._open_outage(OpenOutage(began, end.cause, end.evidence))
        else:
            self._open_outage(OpenOutage(before.since, end.cause, end.evidence))

    def _conclude(self) -> bool:
        if self._leaving is GapCause.RESTARTED:
            return False  # what is open stays open for the next process
        if self._leaving is not None:
            self._open_outage(None)
            return False
        if self._open is not None:
            self._state(self._open, self.duty.span.end)
        # Until the end is stated: a process that dies before has nothing missing behind it.
        self._open_outage(OpenOutage(self.duty.span.end, GapCause.NOT_STARTED, RECORDED_TO_ITS_END))
        return True

    def _state(self, open_: OpenOutage, end: datetime) -> None:
        outage = open_.until(min(end, self.duty.span.end), self.duty, self._tools.worker)
        if outage is not None:
            self._tools.notes.state_outage(outage)

    def _open_outage(self, open_: OpenOutage | None) -> None:
        if open_ != self._open:
            self._open = open_
            self._tools.notes.keep_open(self.duty.id, open_)

    @property
    def _opening(self) -> Opening:
        return self._tools.openings.get(self.duty.source, Opening())

    def _now(self) -> datetime:
        return self._tools.clock.now()

    def _is_late(self) -> bool:
        return self._now() - self.duty.span.start > LATE

    def _is_early(self, end: datetime) -> bool:
        """Whether media that was recorded to the duty's end misses the last of it: the host's clock was set forward."""
        return self._leaving is None and self.duty.span.end - end > LATE

    def _is_over(self) -> bool:
        return self._leaving is not None or self._now() >= self.duty.span.end

    async def _pause(self) -> None:
        until = self._now() + timedelta(seconds=self._backoff.delay_s(self._tools.chance()))
        while self._now() < until and not self._is_over():
            await self._wait(min(until, self.duty.span.end))

    async def _wait(self, until: datetime) -> None:
        """Up to `until`, or a change of the duty, or `STEP_S`."""
        seconds = min(max((until - self._now()).total_seconds(), 0.0), STEP_S)
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _after(media: Interval, end: StreamEnd) -> OpenOutage:
    if end.cause is GapCause.STOPPED:  # by us, not by a person, at an end that was moved meanwhile
        return OpenOutage(media.end, GapCause.NOT_STARTED, "the window was extended while its recording was ending")
    return OpenOutage(media.end, end.cause, end.evidence)
