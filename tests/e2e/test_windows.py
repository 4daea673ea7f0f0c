"""Windows that overlap, two installations on one home, and one that is told to leave in mid-window."""

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from archiver.times import to_text
from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from tests.installation import SMALL, House, house, until
from tests.running import api_of, asked

STOP_S = 15
AWAY = timedelta(seconds=8)
"""Between the order to leave and the first picture after a new start."""


@pytest.fixture
def farm() -> Iterator[BackgroundFarm]:
    with BackgroundFarm([CameraSpec("one", VideoCodec.H264, AudioCodec.AAC, SMALL)]) as farm:
        yield farm


@pytest.fixture
def home(tmp_path: Path, farm: BackgroundFarm) -> Iterator[House]:
    with house(tmp_path / "home", farm.urls) as made:
        yield made


def booked(client: httpx.Client, home: House, start: datetime, seconds: float) -> str:
    """A window booked as a user's program does it."""
    end = start + timedelta(seconds=seconds)
    window = {"start": to_text(start), "end": to_text(end)}
    answer = client.post("/captures", json={"project": home.project, "location": home.location, **window})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def listed(client: httpx.Client, capture: str) -> set[str]:
    """Keys of the segments that a capture's seal lists."""
    answer = client.get(f"/captures/{capture}/seal")
    manifest: dict[str, Any] = answer.json()["manifest"]
    return {entry["key"] for source in manifest["sources"] for entry in source["segments"]}


def test_overlapping_windows_share_one_recording(home: House, farm: BackgroundFarm) -> None:
    """Of two installations on one home one records, by one connection, for both windows. Each capture is complete and
    verifies by itself; the segments of the common time are listed by both seals, and lie in the vault once.
    """
    first, second = home.start(), home.start()
    home.one("tick")
    with api_of(home) as client:
        start = datetime.now(UTC) + home.ready.rolls.pre + timedelta(seconds=2)
        early = booked(client, home, start, 12)
        late = booked(client, home, start + timedelta(seconds=6), 14)
        captures = [home.sealed(id, 70) for id in (early, late)]
        one, other = (listed(client, id) for id in (early, late))
    for capture in captures:
        (judgement,) = home.judged(capture)
        judgement.judge()
        assert judgement.gaps == []
    assert farm.accepted("one") == 1
    assert one & other and one - other and other - one
    stored = {segment.key for segment in home.segments()}
    assert stored == one | other and len({segment.recording for segment in home.segments()}) == 1
    assert first.poll() is None and second.poll() is None
    until(lambda: not home.spooled())
    for what in (early, late, "--all"):
        assert asked("verify", what, home=home.home)["findings"] == []


def test_a_restart_in_mid_window_goes_on(home: House) -> None:
    """Told to leave, it hands in all that it has and ends without complaint; started again it resumes the window, and
    the seal states the short gap and its cause.
    """
    home.start()
    home.one("tick")
    capture = home.book(26)
    until(lambda: datetime.now(UTC) > capture.window.start + timedelta(seconds=8), 30)
    told = datetime.now(UTC)
    running = home.processes[-1]
    running.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert running.wait(STOP_S) == 0
    assert time.monotonic() - began < STOP_S and not home.role("ffmpeg")
    home.start()
    back = datetime.now(UTC)
    (judgement,) = home.judged(home.sealed(capture.id, 90))
    judgement.judge()
    (gap,) = judgement.stated.gaps
    assert gap.cause is GapCause.RESTARTED and gap.evidence
    assert told - timedelta(seconds=1) < gap.span.start < told + timedelta(seconds=2)
    assert gap.span.end < back + AWAY
    until(lambda: not home.spooled())
    home.verified()
