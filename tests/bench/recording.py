"""What recording costs beside plain `ffmpeg -c copy -f segment`: the same binary, the same cameras, one run."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.adapters.ffmpeg import find_ffmpeg
from tests.bench.meters import Cost, cost
from tests.installation import CHECKOUT, House, family, house, until

SETTLE_S = 8.0
ROLES = ("recorder", "keeper", "serve", "tick")


@dataclass(frozen=True, slots=True)
class Sample:
    """A steady stretch of `seconds` with `cameras` running."""

    name: str
    cameras: int
    seconds: float
    cost: Cost

    @property
    def cpu_per_minute(self) -> float:
        """CPU-seconds per camera-minute."""
        return self.cost.cpu_s * 60 / self.seconds / self.cameras


@contextmanager
def cameras(count: int) -> Iterator[Mapping[str, str]]:
    """1080p25, 4.2 Mbit/s, AAC, in a process of their own: name -> address."""
    command = [sys.executable, "-m", "api", "cameras", "--count", str(count), "--profile", "bench"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = [json.loads(process.stdout.readline()) for _ in range(count)]
            yield {one["name"]: one["url"] for one in told}
        finally:
            process.terminate()


def plain(urls: Mapping[str, str], folder: Path, seconds: float) -> Sample:
    """One ffmpeg for each camera, segments of 60 s."""
    children = [subprocess.Popen(_segmenting(url, folder / name)) for name, url in urls.items()]
    try:
        until(lambda: all(list((folder / name).glob("*.mp4")) for name in urls), 60)
        return _steady("ffmpeg -f segment", len(urls), seconds, [child.pid for child in children])
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def _segmenting(url: str, folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    words = ["-rtsp_transport", "tcp", "-i", url, "-map", "0", "-c", "copy", "-f", "segment", "-segment_time", "60"]
    return [find_ffmpeg(), "-nostdin", "-v", "error", *words, "-segment_format", "mp4", str(folder / "%05d.mp4")]


def _steady(name: str, count: int, seconds: float, pids: Sequence[int]) -> Sample:
    time.sleep(SETTLE_S)
    before, began = cost(pids), time.monotonic()
    time.sleep(seconds)
    after, ended = cost(pids), time.monotonic()
    return Sample(name, count, ended - began, Cost(after.cpu_s - before.cpu_s, after.pss))


def ours(urls: Mapping[str, str], home: Path, seconds: float) -> tuple[list[Sample], House, str]:
    """`archiver up` with one booked window over all cameras: a sample of each role, and the sealed capture."""
    with house(home, urls, segment_s=60) as made:
        made.start()
        made.one("recorder")
        capture = made.book(seconds + 2 * SETTLE_S, lead_s=1)
        until(lambda: len(made.role("ffmpeg")) == len(urls), 60)
        until(lambda: len(made.recording()) == len(urls), 60)
        groups = {role: made.role(role) for role in ROLES}
        groups["recorder"] += made.role("ffmpeg")
        everyone = [pid for each in made.processes for pid in [each.pid, *family(each.pid)]]
        time.sleep(SETTLE_S)
        before, began = {name: cost(pids) for name, pids in groups.items()}, time.monotonic()
        all_before = cost(everyone)
        time.sleep(seconds)
        lasted = time.monotonic() - began
        samples = [Sample(name, len(urls), lasted, _since(before[name], cost(pids))) for name, pids in groups.items()]
        samples.append(Sample("archiver up", len(urls), lasted, _since(all_before, cost(everyone))))
        made.sealed(capture.id, seconds + 180)
        return samples, made, capture.id


def _since(before: Cost, after: Cost) -> Cost:
    return Cost(after.cpu_s - before.cpu_s, after.pss)
