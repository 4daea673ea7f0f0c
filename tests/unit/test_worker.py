"""A worker's loop: whose duties it records while the catalogue answers, errs or is away."""

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.ports import Stream
from archiver.timeline import Interval
from archiver.values import Assignment, Duty, Outage
from archiver.vocabulary import DutyState, GapCause
from ingest.duty import Recorded, Tools
from ingest.outages import OpenOutage
from ingest.rounds import Rounds, Terms
from ingest.worker import Worker
from tests.doubles import DutiesOnly, MemoryDuties, PlainSecrets, RealClock, ScriptedRecorder, ScriptedStream

CLOCK = RealClock()
LEASE = timedelta(seconds=10)


class MemoryDesk:
    def __init__(self, *plan: Assignment) -> None:
        self.plan: Sequence[Assignment] = plan
        self.outages: list[Outage] = []
        self.open: dict[str, OpenOutage] = {}
        self.ended: list[tuple[str, int]] = []
        self.steps: list[float] = []

    def read_plan(self) -> Sequence[Assignment]:
        return self.plan

    def write_plan(self, plan: Sequence[Assignment]) -> None:
        self.plan = plan

    def open_outages(self) -> Mapping[str, OpenOutage]:
        return self.open

    def keep_open(self, duty: str, outage: OpenOutage | None) -> None:
        self.open.pop(duty, None)
        if outage is not None:
            self.open[duty] = outage

    def state_outage(self, outage: Outage) -> None:
        self.outages.append(outage)

    def state_duty_ended(self, duty: Duty) -> None:
        self.ended.append((duty.id, duty.epoch))

    def give_up(self, duty: Duty, now: datetime) -> None:
        self.keep_open(duty.id, None)

    def state_clock_step(self, at: datetime, offset_s: float) -> None:
        self.steps.append(offset_s)


class FullDesk(MemoryDesk):
    """On a disk that takes nothing while it is `full`."""

    full = False

    def write_plan(self, plan: Sequence[Assignment]) -> None:
        self._refuse()
        super().write_plan(plan)

    def state_duty_ended(self, duty: Duty) -> None:
        self._refuse()
        super().state_duty_ended(duty)

    def _refuse(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class House:
    """A worker whose cameras always answer, over duties in memory."""

    def __init__(self, *duties: Duty, desk: MemoryDesk | None = None, capacity: int = 8, lead_s: float = 10) -> None:
        self.duties = MemoryDuties(CLOCK.now, *duties)
        self.desk = desk or MemoryDesk()
        self.recorder = ScriptedRecorder(*(ScriptedStream([b"media"]) for _ in range(20)))
        self.recording: list[str] = []
        self.epochs: list[int] = []
        self.broken = 0
        terms = Terms("me", "site", capacity, LEASE, timedelta(seconds=lead_s))
        tools = Tools("me", self.recorder, self.record, self.desk, CLOCK, lambda: 0.0)
        rounds = Rounds(DutiesOnly(self.duties), terms, CLOCK)
        self.worker = Worker(terms, rounds, PlainSecrets(), self.desk, tools)

    async def record(self, stream: Stream, duty: Duty, on_media: Callable[[datetime], None]) -> Recorded:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("a mistake of ours")
        began = CLOCK.now()
        on_media(began)
        self.recording.append(duty.source)
        self.epochs.append(duty.epoch)
        async for _ in stream.chunks():
            pass
        self.recording.remove(duty.source)
        return Recorded(Interval(began, CLOCK.now()), await stream.end())


def duty(id: str, start_s: float, end_s: float, source: str = "cam") -> Duty:
    now = CLOCK.now()
    span = Interval(now + timedelta(seconds=start_s), now + timedelta(seconds=end_s))
    return Duty(id, "org", "site", "room", source, span, DutyState.PLANNED)


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "this never came true"
        await asyncio.sleep(0.02)


def play(house: House, story: Callable[[House], Awaitable[None]]) -> None:
    """Run the worker beside a story, and stop it afterwards."""

    async def scene() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(house.worker.run(stop))
        try:
            await story(house)
        finally:
            stop.set()
            await task

    asyncio.run(scene())


def test_duties_are_claimed_recorded_and_ended() -> None:
    """Two sources at once, each to its own end."""
    house = House(duty("a", -0.1, 1, "one"), duty("b", 0.2, 1.2, "two"))

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["one", "two"])
        assert {row.worker for row in house.duties.rows.values()} == {"me"}
        await until(lambda: sorted(house.desk.ended) == [("a", 1), ("b", 1)])
        assert house.recording == []

    play(house, story)


def test_no_more_than_the_capacity() -> None:
    """What is too much is left for others."""
    house = House(duty("a", 0, 20, "one"), duty("b", 0, 20, "two"), capacity=1)

    async def story(house: House) -> None:
        await until(lambda: len(house.recording) == 1)
        await asyncio.sleep(1)
        assert sum(row.state is DutyState.HELD for row in house.duties.rows.values()) == 1

    play(house, story)


def test_a_lost_epoch_stops_the_recorder_within_a_second() -> None:
    """Another worker has the duty: this one neither records nor speaks for it any more (I6)."""
    house = House(duty("a", 0, 60))

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["cam"])
        house.duties.rows["a"] = replace(house.duties.rows["a"], worker="another", epoch=2)
        await until(lambda: house.recording == [], 1.0)
        assert (house.desk.ended, house.desk.open) == ([], {})

    play(house, story)


def test_the_catalogue_may_go_away_and_come_back() -> None:
    """A recording goes on, a planned one starts, and afterwards both are this worker's (I5)."""
    house = House(duty("a", 0, 60, "one"), duty("b", 2, 60, "two"), lead_s=0)

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["one"])
        house.duties.away = True
        assert house.duties.rows["b"].epoch == 0
        await until(lambda: house.recording == ["one", "two"])
        house.duties.away = False
        await until(lambda: house.duties.rows["b"].worker == "me")
        await asyncio.sleep(1)
        assert house.recording == ["one", "two"]
        assert house.epochs == [1, house.duties.rows["b"].epoch]

    play(house, story)


def test_a_duty_that_ended_while_the_catalogue_was_away_ends_when_it_is_claimed() -> None:
    """Its end is stated under the epoch that the catalogue then gives."""
    house = House(duty("a", 2, 3), lead_s=0)

    async def story(house: House) -> None:
        await until(lambda: len(house.desk.plan) == 1)
        house.duties.away = True
        await until(lambda: house.epochs == [1] and house.recording == [])
        await asyncio.sleep(1)
        assert house.desk.ended == []
        house.duties.away = False
        await until(lambda: house.desk.ended == [("a", 1)])
        assert len(house.recorder.opened) == 1

    play(house, story)


def test_a_process_that_dies_before_a_recorded_duty_was_claimed_leaves_nothing_to_state() -> None:
    """The next one claims it and ends it, and calls no second of it missing."""
    first = House(duty("a", 2, 3), lead_s=0)

    async def without_catalogue(house: House) -> None:
        await until(lambda: len(house.desk.plan) == 1)
        house.duties.away = True
        await until(lambda: house.epochs == [1] and house.recording == [] and "a" in house.desk.open)

    play(first, without_catalogue)
    stated = list(first.desk.outages)
    second = House(*first.duties.rows.values(), desk=first.desk)

    async def claimed(house: House) -> None:
        await until(lambda: house.desk.ended == [("a", 1)])
        assert house.recorder.opened == []
        assert (house.desk.outages, house.desk.open) == (stated, {})

    play(second, claimed)


def test_a_new_process_resumes_from_the_plan_on_disk() -> None:
    """Also with the catalogue away; what the old process left open ends with the first media."""
    held = replace(duty("a", -30, 60), state=DutyState.HELD, worker="me", epoch=4)
    desk = MemoryDesk(Assignment(held, b"sealed:rtsp://cam"))
    since = CLOCK.now() - timedelta(seconds=3)
    desk.open["a"] = OpenOutage(since, GapCause.RESTARTED, "a torn tail")
    house = House(desk=desk)
    house.duties.away = True

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["cam"])
        assert house.recorder.opened == [("rtsp://cam", 0)]
        (outage,) = desk.outages
        assert (outage.span.start, outage.cause, outage.epoch) == (since, GapCause.RESTARTED, 4)

    play(house, story)
    assert desk.open["a"].cause is GapCause.RESTARTED


def test_an_extension_in_the_catalogue_reaches_the_recorder() -> None:
    """One recording, to the new end."""
    house = House(duty("a", 0, 2))

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["cam"])
        row = house.duties.rows["a"]
        house.duties.put(replace(row, span=Interval(row.span.start, row.span.start + timedelta(seconds=3.5))))
        await until(lambda: house.desk.ended == [("a", 1)])
        assert row.span.start + timedelta(seconds=3.5) <= CLOCK.now()
        assert len(house.recorder.opened) == 1

    play(house, story)


def test_an_extension_after_the_end_starts_again() -> None:
    """As long as the catalogue has not ended the duty, it is recorded on, and the time between is an outage."""
    house = House(duty("a", 0, 1))

    async def story(house: House) -> None:
        await until(lambda: house.desk.ended == [("a", 1)])
        row = house.duties.rows["a"]
        house.duties.put(replace(row, span=Interval(row.span.start, CLOCK.now() + timedelta(seconds=5))))
        await until(lambda: house.recording == ["cam"])
        assert house.desk.outages[-1].span.start == row.span.end
        assert house.desk.outages[-1].cause is GapCause.NOT_STARTED

    play(house, story)


def test_a_mistake_of_ours_does_not_end_a_duty() -> None:
    """Its task is started again, and the others don't notice."""
    house = House(duty("a", 0, 60, "one"))
    house.broken = 1

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["one"])
        assert len(house.recorder.opened) == 2

    play(house, story)


def test_a_full_disk_ends_no_worker() -> None:
    """What could not be stated while it was full is stated afterwards."""
    desk = FullDesk()
    house = House(duty("a", -0.1, 1.5), desk=desk)

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["cam"])
        desk.full = True
        await until(lambda: house.recording == [])
        await asyncio.sleep(1)
        assert desk.ended == []
        desk.full = False
        await until(lambda: desk.ended == [("a", 1)])

    play(house, story)


def test_a_duty_taken_over_begins_with_a_handover() -> None:
    """From about when its former worker was last heard of."""
    lapsed = CLOCK.now() - timedelta(seconds=1)
    house = House(
        replace(duty("a", -60, 60), state=DutyState.HELD, worker="dead", epoch=1, lease_until=lapsed),
    )

    async def story(house: House) -> None:
        await until(lambda: house.recording == ["cam"])
        (outage,) = house.desk.outages
        assert (outage.cause, outage.epoch) == (GapCause.HANDOVER, 2)
        assert timedelta(seconds=11) < outage.span.length < timedelta(seconds=15)

    play(house, story)
