"""What reading costs: a range's first byte, an export beside `ffmpeg -f concat`, a verification beside sha256sum."""

import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from api.client import Client, wait_for
from archiver.errors import UnavailableError
from archiver.times import to_text
from ingest.adapters.ffmpeg import find_ffmpeg
from tests.bench.hour import Hour
from tests.installation import House

ASKED = 200
SEED = 20261124


def first_bytes(house: House, hour: Hour) -> tuple[float, float, float]:
    """Milliseconds (p50, p95, p99) from the request to the first byte of a random stretch."""
    process = house.start("up")
    try:
        address = wait_for("the API", 30, lambda: _address(house))
        token = (house.home / "token").read_text().strip()
        wait_for("an answer", 30, lambda: _answers(Client(address, token)))
        chance, took = random.Random(SEED), []
        window = house.capture(hour.capture).window
        for _ in range(ASKED):
            start = window.start + chance.random() * (window.length - timedelta(seconds=5))
            span = f"from={_quoted(start)}&to={_quoted(start + timedelta(seconds=4))}"
            url = f"{address}/api/v1/captures/{hour.capture}/sources/{hour.source}/media.mp4?{span}"
            took.append(_first_byte(url, token))
        took.sort()
        return took[len(took) // 2], took[int(len(took) * 0.95)], took[int(len(took) * 0.99)]
    finally:
        process.terminate()
        process.wait()


def _address(house: House) -> str:
    try:
        return (house.home / "api").read_text().strip()
    except FileNotFoundError:
        return ""


def _answers(client: Client) -> bool:
    try:
        client.get("/projects?limit=1")
    except UnavailableError:
        return False
    return True


def _quoted(moment: datetime) -> str:
    return to_text(moment).replace("+", "%2B")


def _first_byte(url: str, token: str) -> float:
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}", "Range": "bytes=0-65535"})  # noqa: S310
    began = time.perf_counter()
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
        answer.read(1)
        return (time.perf_counter() - began) * 1000


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def export(house: House, hour: Hour, folder: Path) -> tuple[float, float, int]:
    """Seconds to write the hour as one file, by us and by `ffmpeg -f concat`; its bytes."""
    out = folder / "ours.mp4"
    words = ["export", hour.capture, "--source", hour.source, "--out", str(out), "--home", str(house.home), "--json"]
    mine = timed(lambda: _run([sys.executable, "-m", "api", *words]))
    listing = folder / "list.txt"
    objects = house.home / "vault" / "objects"
    listing.write_text("".join(f"file '{objects / key}'\n" for key in hour.keys))
    concat = ["-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy"]
    theirs = timed(lambda: _run([find_ffmpeg(), *concat, str(folder / "theirs.mp4")]))
    return mine, theirs, out.stat().st_size


def verify(house: House, capture: str) -> tuple[float, float, int]:
    """Seconds to verify a capture, and for sha256sum to read the same segments; their bytes."""
    mine = timed(lambda: _run([sys.executable, "-m", "api", "verify", capture, "--home", str(house.home), "--json"]))
    objects = house.home / "vault" / "objects"
    paths = [objects / each.key for source in house.sources.values() for each in house.segments(source)]
    theirs = timed(lambda: _run([shutil.which("sha256sum") or "sha256sum", *map(str, paths)]))
    return mine, theirs, sum(path.stat().st_size for path in paths)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
