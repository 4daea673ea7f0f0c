"""A duty's run: outages with their causes, reconnects, and an end at the right time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from archiver.ports import Stream, StreamEnd
from archiver.timeline import Interval, subtract
from archiver.values import Duty, Outage
from archiver.vocabulary import DutyState, GapCause
from ingest.arguments import Opening
from ingest.duty import DutyRun, Recorded, Tools
from ingest.outages import OpenOutage
from tests.doubles import RealClock, ScriptedRecorder, ScriptedStream

CLOCK = RealClock()
LOST = StreamEnd(GapCause.LOST, "the stream ended")


class Notes:
    def __init__(self) -> None:
        self.outages: list[Outage] = []
        self.open: dict[str, OpenOutage | None] = {}

    def state_outage(self, outage: Outage) -> None:
        self.outages.append(outage)

    def keep_open(self, duty: str, outage: OpenOutage | None) -> None:
        self.open[duty] = outage


class Room:
    """One duty over a source whose streams are scripted. `media` is what was recorded."""

    def __init__(self, seconds: float, *streams: ScriptedStream, late_s: float = 0.0) -> None:
        start = datetime.now(UTC) - timedelta(seconds=late_s)
        span = Interval(start, start + timedelta(seconds=late_s + seconds))
        self.duty = Duty("duty", "org", "site", "room", "cam", span, DutyState.HELD, epoch=3, worker="worker")
        self.notes = Notes()
        self.media: list[Interval] = []
        self.recorder = ScriptedRecorder(*streams)
        self.tools = Tools("worker", self.recorder, self.record, self.notes, CLOCK, lambda: 0.0)

    def run(self, open_: OpenOutage | None = None) -> DutyRun:
        return DutyRun(self.duty, lambda: "rtsp://cam", self.tools, open_)

    async def record(self, stream: Stream, duty: Duty, on_media: Callable[[datetime], None]) -> Recorded:
        first = None
        async for _ in stream.chunks():
            if first is None:
                first = CLOCK.now()
                on_media(first)
        media = Interval(first, CLOCK.now()) if first else None
        self.media += [media] if media else []
        return Recorded(media, await stream.end())

    def holes(self) -> list[tuple[GapCause, Interval]]:
        return [(outage.cause, outage.span) for outage in self.notes.outages]


def endless() -> ScriptedStream:
    return ScriptedStream([b"media"])


def test_a_loss_is_an_outage_from_the_last_media_to_the_next() -> None:
    """The source is opened again, and the outage says why the stream ended."""
    room = Room(1.0, ScriptedStream([b"a", b"b"], LOST, pace_s=0.05), endless())
    assert asyncio.run(room.run().run())
    lost = [span for cause, span in room.holes() if cause is GapCause.LOST]
    assert lost == [Interval(room.media[0].end, room.media[1].start)]
    left = room.notes.open["duty"]
    assert left is not None and left.since == room.duty.span.end  # nothing is missing before it


def test_every_moment_is_media_or_an_outage() -> None:
    """What the duty states and what it recorded fill its span up to its stop (I7)."""
    room = Room(1.0, ScriptedStream([b"a"] * 3, LOST, pace_s=0.05), ScriptedStream([b"b"], LOST), endless())
    asyncio.run(room.run().run())
    left = subtract(room.duty.span, [*room.media, *(span for _, span in room.holes())])
    assert sum(hole.length.total_seconds() for hole in left) < 0.05
    assert all(first.end <= second.start for (_, first), (_, second) in pairwise(room.holes()))


def test_it_ends_at_the_end_of_the_duty() -> None:
    """Not with the stream, and without an outage of its own."""
    room = Room(0.4, endless())
    assert asyncio.run(room.run().run())
    assert abs((room.media[0].end - room.duty.span.end).total_seconds()) < 0.2
    assert all(cause is GapCause.NOT_STARTED and span.length < timedelta(seconds=0.2) for cause, span in room.holes())


def test_a_source_that_never_answers_is_one_outage() -> None:
    """From the duty's start to its end, with the recorder's words."""
    room = Room(0.5)
    asyncio.run(room.run().run())
    assert room.holes() == [(GapCause.UNREACHABLE, room.duty.span)]
    assert "connection refused" in room.notes.outages[0].evidence
    assert (room.notes.outages[0].worker, room.notes.outages[0].epoch) == ("worker", 3)


def test_a_late_worker_says_so() -> None:
    """The time before its first attempt is its own, the rest the source's."""
    room = Room(0.3, late_s=5.0)
    asyncio.run(room.run().run())
    (late, its), (away, rest) = room.holes()
    assert (late, away) == (GapCause.NOT_STARTED, GapCause.UNREACHABLE)
    assert (its.start, rest.end) == (room.duty.span.start, room.duty.span.end)
    assert its.end == rest.start > room.duty.span.start + timedelta(seconds=5)


def test_a_duty_that_is_over_is_stated_whole() -> None:
    """Nobody was alive: nothing is opened any more."""
    room = Room(-1.0, late_s=5.0)
    assert asyncio.run(room.run().run())
    assert room.holes() == [(GapCause.NOT_STARTED, room.duty.span)]
    assert room.recorder.opened == []


def test_an_outage_from_an_earlier_process_goes_on() -> None:
    """It ends with the first media, under its own cause."""
    room = Room(0.3, endless(), late_s=5.0)
    since = room.duty.span.start + timedelta(seconds=2)
    asyncio.run(room.run(OpenOutage(since, GapCause.RESTARTED, "a torn tail of 10 bytes")).run())
    assert room.holes() == [(GapCause.RESTARTED, Interval(since, room.media[0].start))]


def test_an_extension_is_followed() -> None:
    """A longer span keeps the stream, a shorter one ends it soon."""

    async def story(change_s: float) -> Room:
        room = Room(0.4, endless())
        run = room.run()
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0.1)
        end = room.duty.span.start + timedelta(seconds=change_s)
        run.follow(Duty("duty", "org", "site", "room", "cam", Interval(room.duty.span.start, end), DutyState.HELD))
        assert await task
        return room

    for seconds in (0.8, 0.2):
        room = asyncio.run(story(seconds))
        assert abs((room.media[0].end - room.duty.span.start).total_seconds() - seconds) < 0.15
        assert len(room.media) == 1


def test_leaving_for_a_restart_keeps_the_outage_open() -> None:
    """The next process states it when its media begins; the duty isn't ended."""

    async def story() -> Room:
        room = Room(5.0, endless())
        run = room.run()
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0.1)
        run.leave(GapCause.RESTARTED)
        assert not await task
        return room

    room = asyncio.run(story())
    open_ = room.notes.open["duty"]
    assert open_ is not None
    assert (open_.since, open_.cause) == (room.media[0].end, GapCause.RESTARTED)


def test_a_lost_epoch_states_nothing() -> None:
    """The duty is another's: this worker's coverage ends with its footage (I6)."""

    async def story() -> Room:
        room = Room(5.0)
        run = room.run()
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0.1)
        run.leave(GapCause.HANDOVER)
        assert not await task
        return room

    room = asyncio.run(story())
    assert (room.holes(), room.notes.open) == ([], {"duty": None})


def test_what_a_start_teaches_is_kept() -> None:
    """Sound that MP4 can't hold is opened as MOV at once, and from then on."""
    refused = StreamEnd(GapCause.UNREACHABLE, "codec not currently supported in container")
    room = Room(0.4, ScriptedStream([], refused), endless())
    asyncio.run(room.run().run())
    assert room.tools.openings == {"cam": Opening(attempt=0, mov=True)}
    assert len(room.media) == 1
