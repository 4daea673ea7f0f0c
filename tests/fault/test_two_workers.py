"""Two recorder processes on one home, and footage that comes back late (I6, I13)."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver import manifest
from archiver.vocabulary import EventType, GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from tests.installation import SMALL, family, house, kill, until

LEASE_S = 10.0


@pytest.fixture
def farm() -> Iterator[BackgroundFarm]:
    with BackgroundFarm([CameraSpec("one", VideoCodec.H264, AudioCodec.AAC, SMALL)]) as farm:
        yield farm


def test_the_other_worker_takes_over(tmp_path: Path, farm: BackgroundFarm) -> None:
    """One of two records; killed for good, it is followed by the other within its lease and two seconds, and what it
    left in its spool is deposited by the other too.
    """
    with house(tmp_path / "home", farm.urls) as home:
        home.start("serve")
        home.start("tick")
        workers = [home.start("work"), home.start("work")]
        until(lambda: len(home.role("keeper")) == 2)
        capture = home.book(34)
        until(lambda: len(home.segments()) >= 2)
        recording = [each for each in workers if any("pipe:1" in line for line in family(each.pid).values())]
        assert len(recording) == 1 and len(home.role("ffmpeg")) == 1
        died = datetime.now(UTC)
        kill(recording[0].pid)
        recording[0].wait()
        until(lambda: home.role("ffmpeg") == [], 2)
        until(lambda: home.role("ffmpeg"), LEASE_S + 4)
        (judgement,) = home.judged(home.sealed(capture.id, 90))
        judgement.judge()
        assert judgement.gaps
        assert judgement.gaps[0].start > died - timedelta(seconds=1.5)
        assert judgement.gaps[-1].end < died + timedelta(seconds=LEASE_S + 4)
        assert GapCause.HANDOVER in {gap.cause for gap in judgement.stated.gaps}
        assert {gap.cause for gap in judgement.stated.gaps} <= {GapCause.HANDOVER, GapCause.RESTARTED}
        assert len({each.worker for each in home.segments()}) == 2
        until(lambda: not home.spooled())
        home.verified()


def test_footage_that_comes_after_the_seal_makes_a_second_revision(tmp_path: Path, farm: BackgroundFarm) -> None:
    """A worker's disk is away beyond the seal's patience and comes back: revision 2 carries the digest of revision 1,
    says more is recorded, and both hold.
    """
    with house(tmp_path / "home", farm.urls, "[seal]\npatience_s = 60\n") as home:
        home.start("serve")
        home.start("tick")
        first = home.start("work")
        capture = home.book(16)
        until(lambda: len(home.segments()) >= 2)
        until(lambda: home.recording())
        kill(first.pid)
        first.wait()
        (lost,) = home.home.glob("spool/*")
        shutil.move(lost, tmp_path / "disk")
        home.start("work")
        sealed = home.sealed(capture.id, 120)
        assert sealed.revision == 1
        (before,) = home.judged(sealed)
        before.judge()
        home.verified()

        home.close_workers()
        shutil.move(tmp_path / "disk", lost)
        home.start("work")
        again = home.sealed(capture.id, 60, revision=2)
        (after,) = home.judged(again)
        after.judge()
        assert after.stated.completeness.recorded_us > before.stated.completeness.recorded_us
        assert len(after.frames) > len(before.frames)
        with home.ready.catalogue.reading() as tx:
            one, two = tx.seals.of_capture(capture.id)
        stated = manifest.parse(b"".join(home.ready.vault.read(two.key)))
        assert stated.previous == (1, one.digest)
        assert home.events(capture.id, EventType.FOOTAGE_LATE)
        until(lambda: not home.spooled())
        home.verified()
