"""What a new recorder process makes of the spools that dead ones left."""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.adapters.clock import SystemClock
from archiver.ports import Stream
from archiver.timeline import Interval
from archiver.values import Assignment, Duty, Outage
from archiver.vocabulary import DutyState, GapCause
from ingest.adapters.spool import Spool, Spools
from ingest.desk import SpoolDesk
from ingest.facts import parse_fact
from ingest.outages import OpenOutage
from ingest.recording import Deck
from ingest.recovery import adopted_by, recover
from tests.doubles import ScriptedStream
from tests.recorder_process import SITE, new_id

MEDIA = Path(__file__).parents[1] / "assets" / "h264_aac.mp4"
CLOCK = SystemClock()


def a_duty() -> Duty:
    now = datetime.now(UTC)
    span = Interval(now - timedelta(seconds=60), now + timedelta(hours=1))
    return Duty(new_id(), "centre", SITE, new_id(), new_id(), span, DutyState.HELD, 2, "worker")


def take(home: Path) -> tuple[Spools, Spool]:
    spools = Spools(home / "spool")
    return spools, spools.take(SITE, "host", CLOCK.now(), new_id)


def die_recording(spool: Spool, duty: Duty, torn: int = 0) -> None:
    """Record stored media and leave the files as a killed process does, or a power cut that took `torn` bytes."""
    stream = ScriptedStream([MEDIA.read_bytes()])
    deck = Deck(spool, spool.worker, CLOCK, new_id, segment_s=0.5)

    async def scene() -> None:
        began = asyncio.Event()
        task = asyncio.create_task(_record(deck, stream, duty, lambda _: began.set()))
        await asyncio.wait_for(began.wait(), 10)
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    if torn:
        (part,) = spool.path.rglob("*.part")
        part.write_bytes(part.read_bytes()[:-torn])


async def _record(deck: Deck, stream: Stream, duty: Duty, on_media: Callable[[datetime], None]) -> None:
    await deck.record(stream, duty, on_media)


def outages(spool: Spool) -> list[Outage]:
    facts = [parse_fact(document) for _, document in spool.facts()]
    return [fact for fact in facts if isinstance(fact, Outage)]


def test_an_unfinished_recording_is_salvaged_and_its_outage_stays_open(tmp_path: Path) -> None:
    """From its last whole fragment on; the torn tail is the evidence. Again it changes nothing."""
    spools, spool = take(tmp_path)
    duty = a_duty()
    die_recording(spool, duty, torn=100)
    (recording,) = spool.recordings()
    assert recording.segments is None
    recover(spool, spools.others(spool), CLOCK.now(), new_id)
    assert recording.segments is not None
    open_ = SpoolDesk(spool, new_id).open_outages()[duty.id]
    assert open_.cause is GapCause.RESTARTED
    assert "bytes of an unfinished fragment are kept as .torn" in open_.evidence
    assert CLOCK.now() - timedelta(seconds=20) < open_.since < CLOCK.now()
    recover(spool, spools.others(spool), CLOCK.now(), new_id)
    assert SpoolDesk(spool, new_id).open_outages() == {duty.id: open_}
    assert outages(spool) == []
    spools.release()


def test_a_full_disk_keeps_no_process_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is no keeper, and without a keeper the disk stays full."""
    dead, left = take(tmp_path)
    duty = a_duty()
    SpoolDesk(left, new_id).write_plan([Assignment(duty, b"sealed")])
    SpoolDesk(left, new_id).keep_open(duty.id, OpenOutage(CLOCK.now() - timedelta(seconds=9), GapCause.LOST, "gone"))
    spools, spool = Spools(tmp_path / "spool"), Spool(tmp_path / "spool" / new_id())
    spool.path.mkdir()
    dead.release()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("ingest.adapters.spool.write_durably", refuse)
        recover(spool, spools.others(spool), CLOCK.now(), new_id)
    recover(spool, spools.others(spool), CLOCK.now(), new_id)
    assert left.worker in adopted_by(spool)
    assert [outage.cause for outage in outages(left)] == [GapCause.LOST]
    spools.release()


def test_an_outage_that_the_recording_had_ended_is_stated(tmp_path: Path) -> None:
    """The process died before it could say that media had come back."""
    spools, spool = take(tmp_path)
    duty = a_duty()
    before = OpenOutage(CLOCK.now() - timedelta(seconds=9), GapCause.LOST, "the stream ended")
    SpoolDesk(spool, new_id).keep_open(duty.id, before)
    die_recording(spool, duty)
    recover(spool, [], CLOCK.now(), new_id)
    (stated,) = outages(spool)
    assert (stated.cause, stated.span.start, stated.epoch) == (GapCause.LOST, before.since, 2)
    assert stated.span.end == spool.recordings()[0].head.opened_at
    assert SpoolDesk(spool, new_id).open_outages()[duty.id].cause is GapCause.RESTARTED
    spools.release()


def test_a_recording_without_a_whole_fragment_leaves_the_outage_as_it_was(tmp_path: Path) -> None:
    """Nothing was recorded; what there is of it is kept, and told."""
    spools, spool = take(tmp_path)
    duty = a_duty()
    before = OpenOutage(CLOCK.now() - timedelta(seconds=9), GapCause.LOST, "the stream ended")
    SpoolDesk(spool, new_id).keep_open(duty.id, before)
    die_recording(spool, duty)
    (recording,) = spool.recordings()
    for path in (*recording.path.glob("*.mp4"), *recording.path.glob("0*.json"), recording.path / "arrivals"):
        path.unlink()
    part = next(recording.path.glob("*.part"), recording.path / "00000000.mp4.part")
    part.write_bytes(b"\x00\x00\x00\x20ftyp")
    part.rename(recording.path / "00000000.mp4.part")
    recover(spool, [], CLOCK.now(), new_id)
    after = SpoolDesk(spool, new_id).open_outages()[duty.id]
    assert (after.since, after.cause) == (before.since, before.cause)
    assert "before any media was whole" in after.evidence
    assert outages(spool) == []
    assert recording.torn()
    spools.release()


@pytest.mark.parametrize("over", [False, True])
def test_another_dead_worker_s_spool_is_adopted(tmp_path: Path, over: bool) -> None:
    """Its keeper is this worker's now; its outage is stated up to now, or to the duty's end."""
    first_spools, dead = take(tmp_path)
    second_spools, own = take(tmp_path)
    assert own.worker != dead.worker
    duty = a_duty()
    die_recording(dead, duty)
    if over:
        duty = replace(duty, span=Interval(duty.span.start, CLOCK.now() + timedelta(seconds=60)))
    SpoolDesk(dead, new_id).write_plan([Assignment(duty, b"sealed")])
    first_spools.release()
    now = CLOCK.now() + timedelta(seconds=120 if over else 30)
    recover(own, second_spools.others(own), now, new_id)
    (stated,) = outages(dead)
    assert stated.cause is GapCause.RESTARTED
    assert stated.span.end == (duty.span.end if over else now)
    assert (stated.worker, adopted_by(own)) == (dead.worker, [dead.worker])
    assert SpoolDesk(dead, new_id).open_outages() == {}
    second_spools.release()


def test_facts_keep_their_order_whatever_the_clock_does(tmp_path: Path) -> None:
    """Within a millisecond, and when the host's clock is set back."""
    spools, spool = take(tmp_path)
    ids = iter(["3" * 26, "3" * 26, "1" * 26, "2" * 26, "4" * 26])
    desk = SpoolDesk(spool, lambda: next(ids))
    for offset in range(5):
        desk.state_clock_step(CLOCK.now(), offset)
    steps = [document["offset_us"] for _, document in spool.facts()]
    assert steps == [offset * 1_000_000 for offset in range(5)]
    spools.release()
