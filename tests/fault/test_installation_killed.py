"""The whole installation, killed at random moments: what the seal then states is judged by the pictures themselves (I2,
I4, I5, I7).
"""

import os
import random
import time
from collections.abc import Iterable, Iterator
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
HARMLESS = {"keeper", "serve", "tick"}
"""Who may die without a picture missing (I5)."""
VICTIMS = ("keeper", "serve", "tick", "ffmpeg", "recorder", "supervisor", "everything")
CHAOS_S = float(os.environ.get("CHAOS_SECONDS", "600"))
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
        before = {child for pid in victims for child in family(pid)}
        self.done.append(Kill(who, datetime.now(UTC)))
        kill(*victims)
        until(lambda: not any(map(is_alive, before)), 2)
        if supervisor.pid in victims:
            supervisor.wait()
            self.home.start()


def accounted(judgement: Judgement, kills: list[Kill]) -> None:
    """Every gap begins with a kill of who records, at most one fragment before it, and ends once that runs again."""
    harmful = [each.at for each in kills if each.who not in HARMLESS]
    for gap in judgement.stated.gaps:
        near = [at for at in harmful if gap.span.start - NOTICED <= at <= gap.span.end]
        assert near and gap.cause in CAUSES, f"a gap that no kill explains: {gap}, kills {kills}"
        assert gap.span.start >= min(near) - FRAGMENT, f"more than a fragment is lost: {gap}, kills {kills}"
        assert gap.span.end <= max(near) + RESTART, f"it took too long: {gap}, kills {kills}"
        assert gap.evidence


def ended_well(home: House, capture_id: str, kills: list[Kill]) -> None:
    """Sealed; every source judged by its pictures; nothing left in the spool; the whole vault proved."""
    capture = home.sealed(capture_id, 90)
    judgements = home.judged(capture)
    assert len(judgements) == len(home.sources)
    for each in judgements:
        each.judge()
        accounted(each, kills)
    until(lambda: not home.spooled(), 20)
    assert not list(home.home.glob("spool/*/.*"))
    home.verified()


def rampage(home: House, moments: Iterable[tuple[float, str]], seconds: float) -> None:
    """One window of so many seconds, with kills at moments (seconds after the recording begins)."""
    home.start()
    home.one("tick")
    capture = home.book(seconds)
    began = capture.window.start - home.ready.rolls.pre
    killer = Killer(home)
    for moment, who in moments:
        time.sleep(max(0.0, (began - datetime.now(UTC)).total_seconds() + moment))
        killer.kill(who)
    print(*(f"{each.at.time()} {each.who}" for each in killer.done), sep="\n")
    ended_well(home, capture.id, killer.done)


def at_random(seconds: float, kills: int) -> list[tuple[float, str]]:
    """So many kills of anybody, spread over a window. The seed is printed; CHAOS_SEED gives it again."""
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns())
    print(f"CHAOS_SEED={seed}")
    chance = random.Random(seed)
    return sorted((chance.uniform(6, seconds), chance.choice(VICTIMS)) for _ in range(kills))


def test_each_process_killed_alone(home: House) -> None:
    """Each once in one window: only the death of who records costs pictures, and then at most a fragment and the time
    of a restart; nobody's child outlives it.
    """
    rampage(home, [(6 + 6 * place, who) for place, who in enumerate(VICTIMS)], 45)


def test_ten_kills_at_random_moments(home: House) -> None:
    """One window with ten kills in it: sealed, proved, every picture outside the stated gaps there exactly once."""
    rampage(home, at_random(60, 10), 60)


@pytest.mark.slow
@pytest.mark.timeout(CHAOS_S + 400)
def test_kills_for_a_long_time(home: House) -> None:
    """The same for ten minutes (CHAOS_SECONDS), one kill in six seconds."""
    rampage(home, at_random(CHAOS_S, int(CHAOS_S / 6)), CHAOS_S)
