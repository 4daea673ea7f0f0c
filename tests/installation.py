"""A real installation on a home folder: `archiver up` over virtual cameras, its processes, and a judge of what it kept
that trusts only the marks in the pictures.
"""

import os
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from archiver import manifest
from archiver.booking import NewCapture
from archiver.manifest import SourceStatement
from archiver.registering import NewProject
from archiver.requests import Request
from archiver.timeline import Interval, clip, total, union
from archiver.times import MICROSECOND, from_us, to_us
from archiver.values import ARCHIVE, Capture, Event, Outage, Segment
from archiver.vocabulary import CaptureState, EventType, FindingCode
from config.settings import load
from config.wiring import Installation
from ingest.cameras.codecs import VideoCodec
from ingest.cameras.loops import Picture
from ingest.cameras.sei import read_marks

CHECKOUT = Path(__file__).parents[1]
SMALL = Picture(VideoCodec.H264, width=320, height=180, bits_per_second=200_000, noise=2)
SLACK = timedelta(milliseconds=120)
"""Two frames and how exactly media is placed."""

T = TypeVar("T")


def until(look: Callable[[], T], limit_s: float = 30, every_s: float = 0.1) -> T:
    """What `look` gives once that is true."""
    deadline = time.monotonic() + limit_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"this never came true within {limit_s} s"
        time.sleep(every_s)
    return seen


def family(pid: int) -> dict[int, str]:
    """Every living descendant of a process, with its command line."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(path.name)] = path.joinpath("cmdline").read_text().replace("\0", " ")
                found |= family(int(path.name))
    return found


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


ROLES: Mapping[str, Callable[[str], bool]] = {
    "recorder": lambda line: "config.recording" in line,
    "keeper": lambda line: "--keeper" in line,
    "ffmpeg": lambda line: "pipe:1" in line,
    "serve": lambda line: " serve " in line,
    "tick": lambda line: " tick " in line,
}


class House:
    """A home with one room and its cameras. It is furnished once, and may be opened again, or a copy of it."""

    def __init__(self, home: Path, settings: str = "", segment_s: float = 3, pre_roll_s: float = 5) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        ingest = f"[ingest]\nsegment_s = {segment_s}\npre_roll_s = {pre_roll_s}\n"
        (home / "archiver.toml").write_text(f'{ingest}[api]\nlisten = "127.0.0.1:0"\n{settings}')
        self.ready = Installation(load(home))
        self.ready.set_up()
        self.request = Request(self.ready.settings.archive.organisation, ARCHIVE)
        self.processes: list[subprocess.Popen[bytes]] = []

    def furnish(self, urls: Mapping[str, str]) -> None:
        """A room with these cameras, and a project."""
        registering = self.ready.registering
        room = registering.add_location(self.request, "room").id
        for name, url in urls.items():
            registering.add_source(self.request, room, name, url)
        registering.add_project(self.request, NewProject("CHAOS-1", "chaos"))

    @cached_property
    def location(self) -> str:
        (room,) = self.ready.registering.locations(self.request.organisation, 2).items
        return room.id

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Name -> id, in the order in which they were added."""
        page = self.ready.registering.sources(self.request.organisation, 100)
        return {each.name: each.id for each in sorted(page.items, key=lambda each: each.id)}

    @cached_property
    def project(self) -> str:
        (project,) = self.ready.registering.projects(self.request.organisation, 2).items
        return project.id

    # ------------------------------------------------------------- processes

    def start(self, *words: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """`archiver up`, or another of its commands."""
        command = [sys.executable, "-m", "api", "--home", str(self.home), *(words or ("up",))]
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def role(self, name: str) -> list[int]:
        """The processes of a role, whichever supervisor they belong to."""
        return [
            pid
            for process in self.processes
            for pid, line in {process.pid: _line(process.pid), **family(process.pid)}.items()
            if ROLES[name](line) and "prctl" not in line  # not yet what it becomes
        ]

    def one(self, name: str, limit_s: float = 30) -> int:
        """A role's process, once there is one."""
        return until(lambda: self.role(name), limit_s)[0]

    def close_workers(self) -> None:
        """Ask every worker to leave."""
        for process in self.processes:
            if process.poll() is None and ROLES["recorder"](_line(process.pid)):
                process.terminate()
                process.wait(20)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            kill(*family(process.pid), process.pid)
            process.wait()
        self.ready.close()

    def log(self) -> str:
        return (self.home / "log").read_text()

    # ------------------------------------------------------------- what is asked of it

    def book(self, seconds: float, lead_s: float = 1.0) -> Capture:
        """A window that begins pre-roll and `lead_s` seconds from now."""
        start = datetime.now(UTC) + self.ready.rolls.pre + timedelta(seconds=lead_s)
        window = start, start + timedelta(seconds=seconds)
        return self.ready.booking.book(self.request, NewCapture(self.project, self.location, *window))

    def capture(self, id: str) -> Capture:
        return self.ready.booking.capture(self.request.organisation, id)

    def sealed(self, id: str, limit_s: float = 60, revision: int = 1) -> Capture:
        def look() -> bool:
            now = self.capture(id)
            return now.state is CaptureState.SEALED and now.revision >= revision

        try:
            until(look, limit_s)
        except AssertionError:
            raise AssertionError(f"capture is {self.capture(id).state}: {self.log()[-6000:]}") from None
        return self.capture(id)

    # ------------------------------------------------------------- what came of it

    def segments(self, source: str | None = None) -> list[Segment]:
        span = Interval(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
        with self.ready.catalogue.reading() as tx:
            return list(tx.segments.touching(source or next(iter(self.sources.values())), span))

    def outages(self, source: str | None = None) -> list[Outage]:
        span = Interval(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
        with self.ready.catalogue.reading() as tx:
            return list(tx.outages.touching(source or next(iter(self.sources.values())), span))

    def events(self, subject: str, type: EventType) -> list[Event]:
        with self.ready.catalogue.reading() as tx:
            return [event for event in tx.events.chain(subject) if event.type == type]

    def spooled(self) -> list[Path]:
        """Files of footage and facts that have not left the spool."""
        found = [path for path in (self.home / "spool").glob("*/*/*") if path.parent.name != "torn"]
        return [path for path in found if path.name != "lock"]

    def recording(self) -> list[Path]:
        return list((self.home / "spool").rglob("*.mp4.part"))

    def statements(self, capture: str) -> Sequence[SourceStatement]:
        """What the last revision of a capture's seal states of each source, read from the vault."""
        with self.ready.catalogue.reading() as tx:
            key = tx.seals.of_capture(capture)[-1].key
        return manifest.parse(b"".join(self.ready.vault.read(key))).sources

    def verified(self, *, allowed: frozenset[FindingCode] = frozenset()) -> None:
        """The whole vault holds, by itself and beside the catalogue."""
        outcome = self.ready.verifying.verify_all()
        assert [each for each in outcome.findings if each.code not in allowed] == []

    def judged(self, capture: Capture) -> "list[Judgement]":
        """Every source of a sealed capture, judged by its pictures."""
        return [self._judge(capture, each) for each in self.statements(capture.id)]

    def _judge(self, capture: Capture, stated: SourceStatement) -> "Judgement":
        with self.ready.catalogue.reading() as tx:
            segments = [tx.segments.get(entry.key) for entry in stated.segments]
        frames = [frame for each in segments for frame in self._frames(each)]
        return Judgement(capture.window, stated, tuple(sorted(frames, key=lambda each: each.number)))

    def _frames(self, segment: Segment) -> "Iterator[Frame]":
        """Media time in a file is its recording's, moved by the edit list: only differences count."""
        marks = read_marks(b"".join(self.ready.vault.read(segment.key)))
        for mark in marks:
            placed = segment.span.start + timedelta(seconds=mark.pts_seconds - marks[0].pts_seconds)
            yield Frame(mark.number, from_us(mark.captured_at_us), placed, segment.key)


def _line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture in the vault: its number, when the camera took it, and when the archive says it was."""

    number: int
    captured: datetime
    placed: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a seal states of one source, and the pictures that are really there."""

    window: Interval
    stated: SourceStatement
    frames: tuple[Frame, ...]

    @property
    def gaps(self) -> list[Interval]:
        return [gap.span for gap in self.stated.gaps]

    @property
    def missing_s(self) -> float:
        return total(self.gaps).total_seconds()

    def adds_up(self) -> bool:
        """I7, to the microsecond: what is recorded and the gaps make the window, and no moment is in two gaps."""
        sums, missing = self.stated.completeness, total(self.gaps)
        stated = sums.expected_us, sums.recorded_us, sums.missing_us
        whole = self.window.length
        inside = clip(self.gaps, self.window) == union(self.gaps)
        once = sum((gap.length for gap in self.gaps), timedelta()) == missing
        return inside and once and stated == tuple(span // MICROSECOND for span in (whole, whole - missing, missing))

    def doubled(self) -> list[int]:
        numbers = [frame.number for frame in self.frames]
        return sorted({number for number in numbers if numbers.count(number) > 1})

    def misplaced(self, slack: timedelta = SLACK) -> list[Frame]:
        return [frame for frame in self.frames if abs(frame.placed - frame.captured) > slack]

    def lost(self, slack: timedelta = SLACK) -> list[datetime]:
        """When pictures were taken, inside the window and outside every stated gap, that nothing stored shows."""
        numbers = sorted({frame.number for frame in self.frames})
        first, last = self.frames[0], self.frames[-1]
        per_frame_us = (to_us(last.captured) - to_us(first.captured)) / (last.number - first.number)
        begin = int((to_us(self.window.start) - to_us(first.captured)) // per_frame_us)
        end = int((to_us(self.window.end) - to_us(first.captured)) // per_frame_us)
        there = set(numbers)
        absent = (number for number in range(first.number + begin, first.number + end) if number not in there)
        taken = (from_us(to_us(first.captured) + round((n - first.number) * per_frame_us)) for n in absent)
        excused = union(gap.widened(slack, slack) for gap in self.gaps)
        starts = [span.start for span in excused]
        return [
            at
            for at in taken
            if self.window.start + slack < at < self.window.end - slack and not _inside(excused, starts, at)
        ]

    def judge(self, slack: timedelta = SLACK) -> None:
        """Every frame outside stated gaps is there, none is there twice, each is where it belongs."""
        assert self.adds_up()
        assert self.frames
        assert self.lost(slack) == []
        assert self.doubled() == []
        assert self.misplaced(slack) == []


def _inside(spans: Sequence[Interval], starts: Sequence[datetime], at: datetime) -> bool:
    place = bisect_left(starts, at)
    return any(at in span for span in spans[max(0, place - 1) : place + 1])


@contextmanager
def house(
    home: Path,
    urls: Mapping[str, str] | None = None,
    settings: str = "",
    segment_s: float = 3,
    pre_roll_s: float = 5,
) -> Iterator[House]:
    """A new home with these cameras, or without them one that was furnished before; its processes end with it."""
    made = House(home, settings, segment_s, pre_roll_s)
    try:
        if urls is not None:
            made.furnish(urls)
        yield made
    finally:
        made.close()
