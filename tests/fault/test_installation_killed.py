"""The whole installation, killed at random moments: what the seal then states is judged by the pictures themselves (I2,
I4, I5, I7).
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from tests.installation import SMALL, House, Judgement, family, house, is_alive, kill, until

FRAGMENT = timedelta(seconds=1.5)
NOTICED = timedelta(seconds=1)
RESTART = timedelta(seconds=10)
CAUSES = {GapCause.RESTARTED, GapCause.LOST, GapCause.UNREACHABLE, GapCause.NOT_STARTED}


@pytest.fixture
def farm() -> Iterator[BackgroundFarm]:
    specs = [CameraSpec(name, VideoCodec.H264, AudioCodec.AAC, SMALL) for name in ("one", "two")]
    with BackgroundFarm(specs) as farm:
        yield farm


@pytest.fixture
def home(tmp_path: Path, farm: BackgroundFarm) -> Iterator[House]:
    with house(tmp_path / "home", farm.urls) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Kill:
    """Who was killed, and when."""

    who: str
    at: datetime


class Killer:
    """Kills one after the other, and starts again what nobody else would."""

    def __init__(self, home: House) -> None:
        self.home = home
        self.done: list[Kill] = []

    def kill(self, who: str) -> None:
        supervisor = self.home.processes[-1]
        victims = {
            "supervisor": lambda: [supervisor.pid],
            "everything": lambda: [supervisor.pid, *family(supervisor.pid)],
        }.get(who, lambda: self.home.role(who))()
        before = family(supervisor.pid)
        self.done.append(Kill(who, datetime.now(UTC)))
        kill(*victims)
        if supervisor.pid in victims:
            supervisor.wait()
            until(lambda: not any(map(is_alive, before)), 2)
            self.home.start()


def accounted(judgement: Judgement, kills: list[Kill]) -> None:
    """Every gap begins with a kill, at most one fragment before it, and ends once everything runs again."""
    for gap in judgement.stated.gaps:
        near = [each.at for each in kills if gap.span.start - NOTICED <= each.at <= gap.span.end]
        assert near and gap.cause in CAUSES, f"a gap that no kill explains: {gap}, kills {kills}"
        assert gap.span.start >= min(near) - FRAGMENT, f"more than a fragment is lost: {gap}, kills {kills}"
        assert gap.span.end <= max(near) + RESTART, f"it took too long: {gap}, kills {kills}"
        assert gap.evidence


def ended_well(home: House, capture_id: str, kills: list[Kill]) -> None:
    capture = home.sealed(capture_id, 90)
    judgements = home.judged(capture)
    assert len(judgements) == len(home.sources)
    for each in judgements:
        each.judge()
        accounted(each, kills)
    until(lambda: not home.spooled(), 20)
    home.verified()


def rampage(home: House, chance: random.Random, seconds: float, kills: int, who: tuple[str, ...]) -> None:
    """One window, with so many kills spread over it."""
    home.start()
    home.one("tick")
    capture = home.book(seconds)
    killer = Killer(home)
    moments = sorted(chance.uniform(6, seconds) for _ in range(kills))
    for moment in moments:
        wait_s = (capture.window.start - datetime.now(UTC)).total_seconds() - 5 + moment
        time.sleep(max(0.0, wait_s))
        killer.kill(chance.choice(who))
    for each in killer.done:
        print(each.who, each.at.time())
    ended_well(home, capture.id, killer.done)


VICTIMS = ("recorder", "ffmpeg", "keeper", "everything", "supervisor", "tick", "serve")


def seeded() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns())
    print(f"CHAOS_SEED={seed}")
    return random.Random(seed)


def test_ten_kills_at_random_moments(home: House) -> None:
    """One window with ten kills in it: sealed, proved, every picture outside the stated gaps there exactly once."""
    rampage(home, seeded(), 70, 10, VICTIMS)
