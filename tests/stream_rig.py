"""Records virtual cameras through the real ffmpeg into a spool, and reads back what came of it."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import imageio_ffmpeg

from archiver import sidecar
from archiver.adapters.clock import SystemClock
from archiver.ids import make_id
from archiver.timeline import Interval
from archiver.values import Duty
from archiver.vocabulary import DutyState
from ingest.adapters.ffmpeg import FfmpegRecorder
from ingest.adapters.spool import RecordingFolder, Spool, Spools
from ingest.arguments import Opening, better_opening
from ingest.cameras.sei import Mark, read_marks
from ingest.duty import Recorded
from ingest.recording import Deck

CARRIED = imageio_ffmpeg.get_ffmpeg_exe()
PROGRAMS = [program for program in ("/usr/bin/ffmpeg", CARRIED) if Path(program).exists()]


def new_id() -> str:
    return make_id(datetime.now(UTC), os.urandom(10))


def a_duty(source: str | None = None) -> Duty:
    now = datetime.now(UTC)
    return Duty(
        id=new_id(),
        organisation="org",
        site="main",
        location=new_id(),
        source=source or new_id(),
        span=Interval(now, now + timedelta(hours=1)),
        state=DutyState.HELD,
        epoch=1,
    )


@dataclass
class Rig:
    """A spool under a folder, and how to record into it."""

    home: Path
    program: str = PROGRAMS[0]
    segment_s: float = 3.0
    stall_s: float = 10.0
    attempt: int = 1
    began: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spools = Spools(self.home / "spool")
        self.spool: Spool = self.spools.take("main", "host", datetime.now(UTC), new_id)
        self.deck = Deck(self.spool, self.spool.worker, SystemClock(), new_id, self.segment_s)
        self.recorder = FfmpegRecorder(self.program, stall_s=self.stall_s)

    async def record(self, address: str, seconds: float | None, opening: Opening | None = None) -> Recorded:
        """Record until `seconds` of media have come, or the stream ends; starts again as ffmpeg's words advise."""
        opening = opening or Opening(self.attempt)
        stream = await self.recorder.open(address, attempt=opening.attempt, mov=opening.mov)
        self.began.clear()
        stopper = asyncio.create_task(self._stop(stream, seconds))
        try:
            recorded = await self.deck.record(stream, a_duty(), self.began.append)
        finally:
            stopper.cancel()
            with suppress(asyncio.CancelledError):
                await stopper
        better = better_opening(opening, recorded.end.evidence)
        if recorded.media is None and better:
            return await self.record(address, seconds, better)
        return recorded

    async def _stop(self, stream, seconds: float | None) -> None:
        if seconds is None:
            return
        while not self.began:
            await asyncio.sleep(0.02)
        await asyncio.sleep(seconds)
        await stream.stop()

    def folders(self) -> list[RecordingFolder]:
        return self.spool.recordings()


def sidecars(folder: RecordingFolder) -> list[sidecar.Sidecar]:
    return [sidecar.parse(each.sidecar) for each in folder.finished()]


def media(folder: RecordingFolder) -> list[bytes]:
    return [each.media.read_bytes() for each in folder.finished()]


def marks(folder: RecordingFolder) -> list[Mark]:
    """The marks of all segments, each read alone, in order."""
    return [mark for data in media(folder) for mark in read_marks(data)]


def place_errors_ms(folder: RecordingFolder) -> list[float]:
    """How far each picture stands from when it was captured, by its segment's own anchor (positive: late)."""
    errors = []
    for each, data in zip(sidecars(folder), media(folder), strict=True):
        start_us = each.anchor.time.timestamp() * 1e6
        for mark in _relative(read_marks(data)):
            errors.append((start_us + mark.pts_seconds * 1e6 - mark.captured_at_us) / 1000)
    return errors


def _relative(found: Iterable[Mark]) -> list[Mark]:
    found = list(found)
    first = found[0].pts_seconds
    return [replace(mark, pts_seconds=mark.pts_seconds - first) for mark in found]
