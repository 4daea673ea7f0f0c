"""`make bench`: what it costs, beside the alternatives, in one run. Exit code 1 if recording costs more than it may."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from archiver.times import to_text
from ingest.adapters.ffmpeg import find_ffmpeg
from tests.bench import reading
from tests.bench.hour import Hour, an_hour
from tests.bench.meters import MIB, Cost, load, machine
from tests.bench.recording import Sample, cameras, ours, plain

MORE_CPU = 1.35
MORE_PSS, MORE_PSS_PER_CAMERA = 60 * MIB, 1 * MIB
NAMES = {
    "ffmpeg -f segment": "plain ffmpeg -c copy -f segment",
    "recorder": "recorder with its ffmpeg children",
    "keeper": "keeper (deposits and jobs)",
    "serve": "API and page, idle",
    "tick": "clock",
    "archiver up": "all of archiver up",
}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="archiver-bench-") as folder:
        lines = list(_measured(Path(folder), options.cameras, options.seconds, options.rounds))
    text = "\n".join(lines)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return 1 if "FAIL" in text else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=40.0, help="of each steady stretch")
    parser.add_argument("--rounds", type=int, default=2, help="plain and ours, one after the other, so often")
    parser.add_argument("--full", action="store_true", help="three rounds of two minutes")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    options = parser.parse_args()
    if options.full:
        options.seconds, options.rounds = 120.0, 3
    return options


def _measured(folder: Path, count: int, seconds: float, rounds: int) -> Iterator[str]:
    yield "# Benchmarks\n"
    yield f"{to_text(datetime.now(UTC))[:16]}Z, {machine()}, {find_ffmpeg()}; {count} cameras, 1080p25 H.264 at"
    yield f"4.2 Mbit/s and AAC over RTSP/TCP; {rounds} x {seconds:.0f} s; load at the start {load():.1f}.\n"
    samples: list[Sample] = []
    with cameras(count) as urls:
        for number in range(rounds):
            samples.append(plain(urls, folder / f"plain-{number}", seconds))
            found, house, capture = ours(urls, folder / f"home-{number}", seconds)
            samples += found
    yield from _recording(samples, count)
    hour = an_hour(house)
    yield from _reading(
        hour, reading.first_bytes(house, hour), reading.export(house, hour, folder), reading.verify(house, capture)
    )
    house.close()


def _recording(samples: Sequence[Sample], count: int) -> Iterator[str]:
    yield "| recording | CPU-s per camera-minute | PSS, MiB | MiB per camera |\n|---|---|---|---|"
    means = {name: _mean([each for each in samples if each.name == name]) for name in NAMES}
    for name, mean in means.items():
        mib = mean.cost.pss / MIB
        yield f"| {NAMES[name]} | {mean.cpu_per_minute:.3f} | {mib:.0f} | {mib / count:.1f} |"
    base, mine = means["ffmpeg -f segment"], means["recorder"]
    ratio = mine.cpu_per_minute / base.cpu_per_minute
    more = mine.cost.pss - base.cost.pss
    allowed = MORE_PSS + MORE_PSS_PER_CAMERA * count
    yield f"\n{_verdict(ratio <= MORE_CPU)}: the recorder takes {ratio - 1:+.0%} CPU (at most +35 %)"
    yield f"{_verdict(more <= allowed)}: and {more / MIB:+.0f} MiB (at most +{allowed / MIB:.0f})\n"


def _mean(samples: Sequence[Sample]) -> Sample:
    first = samples[0]
    seconds = sum(each.seconds for each in samples)
    cost = sum((each.cost for each in samples), Cost(0.0, 0))
    return Sample(first.name, first.cameras, seconds, Cost(cost.cpu_s, cost.pss // len(samples)))


def _verdict(good: bool) -> str:
    return "PASS" if good else "FAIL"


def _reading(
    hour: Hour, first: tuple[float, float, float], export: tuple[float, float, int], verify: tuple[float, float, int]
) -> Iterator[str]:
    yield "The hour is one recorded minute, deposited again and again with sidecars of its own.\n"
    yield "| depositing and reading | ours | beside |\n|---|---|---|"
    rate, speed = len(hour.keys) / hour.seconds, hour.size / MIB / hour.seconds
    yield f"| deposit an hour of one camera, segments/s and MiB/s | {rate:.1f} and {speed:.0f} | - |"
    times = " / ".join(f"{each:.1f}" for each in first)
    yield f"| first byte of a random 4 s stretch of the hour, ms (p50 / p95 / p99) | {times} | - |"
    for what, (mine, theirs, size), other in (("export", export, "ffmpeg concat"), ("verify", verify, "sha256sum")):
        yield f"| {what} {size / MIB:.0f} MiB, s (the program's start included) | {mine:.2f} | {other} {theirs:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
