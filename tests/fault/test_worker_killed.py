"""The recorder process, its keeper and its ffmpeg children, killed at any moment over real cameras (I4, I5)."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.adapters.catalogue import schema
from archiver.timeline import Interval, clip, subtract, total, union
from archiver.values import Duty, Outage, Segment
from archiver.vocabulary import DutyState, EventType, GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from ingest.cameras.faults import FaultKind
from ingest.cameras.loops import Picture
from tests.catalogue_facts import add_location, add_source
from tests.recorder_process import CHECKOUT, SITE, catalogue_of, new_id

SMALL = Picture(VideoCodec.H264, width=320, height=180, bits_per_second=200_000, noise=2)
FRAGMENT = timedelta(seconds=1.5)
ACCURACY = timedelta(milliseconds=150)
"""How exactly two anchors of one camera agree."""


class Site:
    """A home with one camera booked, and its recorder process."""

    def __init__(self, home: Path, url: str, seconds: float) -> None:
        self.home = home
        schema.upgrade(f"sqlite:///{home / 'catalogue.db'}")
        self.catalogue = catalogue_of(home)
        self.processes: list[subprocess.Popen[bytes]] = []
        now = datetime.now(UTC)
        with self.catalogue.transaction() as tx:
            location = add_location(tx)
            self.source = add_source(tx, location)
            tx.registry.set_sealed_address(self.source, b"sealed:" + url.encode())
            span = Interval(now, now + timedelta(seconds=seconds))
            self.duty = Duty(new_id(), "centre", SITE, location, self.source, span, DutyState.PLANNED)
            tx.duties.put(self.duty)

    def start(self, die_at: str = "", appends: int = 0) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.recorder_process", str(self.home)]
        log = (self.home / "log").open("ab")
        environment = {**os.environ, "DIE_AT": die_at, "DIE_AFTER": str(appends)}
        self.processes.append(subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log, env=environment))
        log.close()
        return self.processes[-1]

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(15)
        self.catalogue.close()

    def segments(self) -> list[Segment]:
        with self.catalogue.reading() as tx:
            return list(tx.segments.touching(self.source, self.duty.span))

    def outages(self) -> list[Outage]:
        with self.catalogue.reading() as tx:
            return list(tx.outages.touching(self.source, self.duty.span))

    def state(self) -> DutyState:
        with self.catalogue.reading() as tx:
            return next(d for d in tx.duties.of_source(self.source, self.duty.span) if d.id == self.duty.id).state

    def is_over(self) -> bool:
        """The duty has ended, and what was recorded of it is deposited: a duty may end just before its last segment."""
        return self.state() is DutyState.ENDED and self.spooled_bytes() == 0

    def spooled_bytes(self) -> int:
        sizes = 0
        for path in (self.home / "spool").rglob("*.mp4*"):
            with suppress(FileNotFoundError):
                sizes += path.stat().st_size
        return sizes

    def unaccounted(self) -> list[Interval]:
        """What of the duty is neither deposited nor an outage, beyond how exactly anchors agree (I7)."""
        stretches = [each.span for each in self.segments()] + [each.span for each in self.outages()]
        return [hole for hole in subtract(self.duty.span, stretches) if hole.length > ACCURACY]

    def log(self) -> str:
        return (self.home / "log").read_text()


@pytest.fixture
def farm() -> Iterator[BackgroundFarm]:
    with BackgroundFarm([CameraSpec("one", VideoCodec.H264, AudioCodec.AAC, SMALL)]) as farm:
        yield farm


@pytest.fixture
def site(tmp_path: Path, farm: BackgroundFarm, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(tmp_path, farm.urls["one"], getattr(request, "param", 14))
    yield site
    site.stop()
    assert "Traceback" not in site.log(), site.log()


def until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "this never came true"
        time.sleep(0.05)


def children(pid: int) -> dict[int, str]:
    """Every descendant with its command line."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(path.name)] = path.joinpath("cmdline").read_text().replace("\0", " ")
                found |= children(int(path.name))
    return found


def child_named(pid: int, word: str) -> int | None:
    return next((each for each, line in children(pid).items() if word in line and "prctl" not in line), None)


def test_a_duty_is_recorded_deposited_and_ended(site: Site) -> None:
    """The ordinary way, with the cameras' own time as witness."""
    site.start()
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    assert sum(each.span.length.total_seconds() for each in site.segments()) > 10
    assert {each.cause for each in site.outages()} <= {GapCause.NOT_STARTED}
    until(lambda: site.spooled_bytes() == 0)


@pytest.mark.parametrize("site", [18], indirect=True)
def test_a_killed_recorder_leaves_no_child_and_is_resumed(site: Site) -> None:
    """ffmpeg and keeper are gone within 2 s; the next process salvages, resumes, and states at most a fragment more
    than the time that nobody was alive."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    family = children(first.pid)
    assert any("ffmpeg" in line for line in family.values())
    first.kill()
    killed = datetime.now(UTC)
    first.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 2)
    site.start()
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    (restarted,) = [each for each in site.outages() if each.cause is GapCause.RESTARTED]
    assert killed - FRAGMENT < restarted.span.start < killed + ACCURACY
    assert len({each.recording for each in site.segments()}) == 2
    assert total(clip([each.span for each in site.segments()], restarted.span)) <= ACCURACY


STEPS = ("append", "segment fsync", "rename", "sidecar", "finished")
KEEPER_STEPS = ("copied", "locked", "linked", "durable", "spool removed")


@pytest.mark.parametrize("site", [60], indirect=True)
def test_a_recorder_killed_at_each_step_loses_nothing_whole(site: Site) -> None:
    """Each step of I2 in turn: the files that it leaves are finished by the next process."""
    for step in STEPS:
        site.start(step, appends=3).wait(30)
        assert (site.home / f"died at {step}").exists()
    site.start()
    until(lambda: site.is_over(), 80)
    until(lambda: site.spooled_bytes() == 0)
    assert site.unaccounted() == []
    restarted = [each for each in site.outages() if each.cause is GapCause.RESTARTED]
    assert len(restarted) == len(STEPS)
    assert all(each.span.length < timedelta(seconds=6) for each in restarted)


@pytest.mark.parametrize("site", [25], indirect=True)
def test_a_recovery_killed_at_each_step_is_repeated(site: Site) -> None:
    """The same recording is salvaged by the last of several processes, and lost to none."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    first.kill()
    for step in ("segment fsync", "rename", "sidecar", "close"):
        site.start(step).wait(30)
        assert (site.home / f"died at {step}").exists()
    site.start()
    until(lambda: site.is_over(), 60)
    until(lambda: site.spooled_bytes() == 0)
    assert site.unaccounted() == []
    assert len({each.recording for each in site.segments()}) == 2
    assert len([each for each in site.outages() if each.cause is GapCause.RESTARTED]) == 1


@pytest.mark.parametrize("site", [18], indirect=True)
@pytest.mark.parametrize("step", KEEPER_STEPS)
def test_a_keeper_killed_at_each_step_repeats_it(site: Site, step: str) -> None:
    """Put, lock, row, removal: each segment is there once, whole, and recording didn't notice."""
    site.start(step)
    until(lambda: site.is_over(), 60)
    until(lambda: site.spooled_bytes() == 0)
    assert (site.home / f"died at {step}").exists()
    assert site.unaccounted() == []
    assert len({each.recording for each in site.segments()}) == 1
    assert not [each for each in site.outages() if each.cause is not GapCause.NOT_STARTED]


@pytest.mark.parametrize("site", [16], indirect=True)
def test_recording_goes_on_without_its_keeper(site: Site) -> None:
    """A dead keeper is started again; not a fragment is missing."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    keeper = child_named(first.pid, "--keeper")
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    until(lambda: child_named(first.pid, "--keeper") not in (None, keeper))
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    assert len(union(each.span.widened(ACCURACY, ACCURACY) for each in site.segments())) == 1


@pytest.mark.parametrize("site", [18], indirect=True)
def test_a_dead_ffmpeg_is_a_loss(site: Site) -> None:
    """It is opened again, and the outage says which signal it was."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    program = child_named(first.pid, "pipe:1")
    assert program is not None
    os.kill(program, signal.SIGKILL)
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    (lost,) = [each for each in site.outages() if each.cause is GapCause.LOST]
    assert "signal 9" in lost.evidence


@pytest.mark.parametrize("site", [18], indirect=True)
def test_an_orderly_end_is_resumed(site: Site) -> None:
    """SIGTERM finishes the files within 10 s; the outage reaches from the last picture to the next process's first."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    first.terminate()
    assert first.wait(10) == 0
    until(lambda: not list((site.home / "spool").rglob("*.part")), 1)
    site.start()
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    assert [each.cause for each in site.outages() if each.cause is not GapCause.NOT_STARTED] == [GapCause.RESTARTED]


@pytest.mark.parametrize("site", [18], indirect=True)
def test_a_camera_that_is_cut_off_is_one_outage(site: Site, farm: BackgroundFarm) -> None:
    """From its last picture to its first after the return."""
    site.start()
    until(lambda: len(site.segments()) >= 1)
    farm.fault("one", FaultKind.DROP)
    farm.fault("one", FaultKind.REFUSE, seconds=3)
    until(lambda: site.is_over(), 40)
    assert site.unaccounted() == []
    (lost,) = [each for each in site.outages() if each.cause is not GapCause.NOT_STARTED]
    assert lost.cause in (GapCause.LOST, GapCause.UNREACHABLE)
    assert 2 < lost.span.length.total_seconds() < 9


def steps(site: Site) -> list[float]:
    with site.catalogue.reading() as tx:
        events = tx.events.chain("system")
    return [round(event.payload["offset_s"]) for event in events if event.type == EventType.CLOCK_STEPPED]


def set_clock(site: Site, seconds: float) -> None:
    (site.home / "clock.new").write_text(str(seconds))
    (site.home / "clock.new").rename(site.home / "clock")


@pytest.mark.parametrize("site", [25], indirect=True)
def test_a_clock_set_forward_moves_no_evidence(site: Site) -> None:
    """By the host's clock the duty is over at once: what was recorded keeps its place, the rest is an outage that tells
    of the clock, and an event states the step (I8).
    """
    site.start()
    until(lambda: len(site.segments()) >= 2)
    stepped = datetime.now(UTC)
    set_clock(site, 3600)
    until(lambda: site.is_over(), 20)
    until(lambda: site.spooled_bytes() == 0)
    assert all(each.span.end < stepped + timedelta(seconds=2) for each in site.segments())
    assert site.unaccounted() == []
    rest = site.outages()[-1]
    assert rest.span.end == site.duty.span.end and "clock was set by +3600" in rest.evidence
    until(lambda: steps(site) == [3600])


@pytest.mark.parametrize("site", [25], indirect=True)
def test_a_clock_set_back_moves_no_evidence(site: Site) -> None:
    """What is recorded by a wrong clock lies where that clock says; what is recorded by the right one doesn't move, and
    the hole between is stated (I8).
    """
    site.start()
    until(lambda: len(site.segments()) >= 2)
    before = {each.key: each.span for each in site.segments()}
    set_clock(site, -3600)
    until(lambda: steps(site) == [-3600])
    wrong = Interval(site.duty.span.start - timedelta(hours=2), site.duty.span.start - timedelta(minutes=30))

    def misplaced() -> list[Segment]:
        with site.catalogue.reading() as tx:
            return list(tx.segments.touching(site.source, wrong))

    until(lambda: len(misplaced()) >= 1)
    set_clock(site, 0)
    until(lambda: site.is_over(), 40)
    until(lambda: site.spooled_bytes() == 0)
    after = {each.key: each.span for each in site.segments()}
    assert before.items() <= after.items()
    assert all(each.length < timedelta(seconds=10) for each in after.values())
    assert site.unaccounted() == []
    assert any("clock was set" in each.evidence for each in site.outages())
    assert steps(site) == [-3600, 3600]


@pytest.mark.parametrize("site", [2], indirect=True)
def test_a_duty_that_nobody_recorded_is_ended_as_one_outage(site: Site) -> None:
    """Its end passed before any worker lived."""
    until(lambda: datetime.now(UTC) > site.duty.span.end)
    site.start()
    until(lambda: site.is_over())
    assert [(each.cause, each.span) for each in site.outages()] == [(GapCause.NOT_STARTED, site.duty.span)]
    assert site.segments() == []


@pytest.mark.parametrize("site", [9], indirect=True)
def test_a_duty_that_ended_after_its_recorder_died_is_salvaged_and_ended(site: Site) -> None:
    """What was recorded is deposited, the rest is an outage to the duty's end."""
    first = site.start()
    until(lambda: len(site.segments()) >= 1)
    first.kill()
    until(lambda: datetime.now(UTC) > site.duty.span.end)
    site.start()
    until(lambda: site.is_over())
    until(lambda: site.spooled_bytes() == 0)
    assert site.unaccounted() == []
    (restarted,) = [each for each in site.outages() if each.cause is GapCause.RESTARTED]
    assert restarted.span.end == site.duty.span.end


@pytest.mark.slow
@pytest.mark.parametrize("site", [75], indirect=True)
def test_ten_kills_at_random_moments(site: Site) -> None:
    """Recorder, keeper, ffmpeg or all of them at once: every moment is accounted for, and each hole is short."""
    seed = time.time_ns()
    chance = random.Random(seed)
    process = site.start()
    for _ in range(10):
        time.sleep(chance.uniform(0.5, 6))
        family = children(process.pid)
        victims = chance.choice([[process.pid], [*family, process.pid], *([pid] for pid in family)])
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.pid in victims:
            process.wait()
            process = site.start()
    until(lambda: site.is_over(), 90)
    until(lambda: site.spooled_bytes() == 0)
    assert site.unaccounted() == [], f"seed {seed}"
    assert all(each.cause is not GapCause.UNKNOWN for each in site.outages()), f"seed {seed}"
    recorded = sum(each.length.total_seconds() for each in union(each.span for each in site.segments()))
    assert recorded > 35, f"seed {seed}"
