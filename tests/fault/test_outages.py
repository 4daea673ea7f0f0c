"""The vault, the catalogue or the disk of the spool away in mid-recording: nothing that came is lost, and what did not
come says why (I5).
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.vocabulary import GapCause
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec
from tests.installation import SMALL, House, house, kill, until


@pytest.fixture
def farm() -> Iterator[BackgroundFarm]:
    with BackgroundFarm([CameraSpec("one", VideoCodec.H264, AudioCodec.AAC, SMALL)]) as farm:
        yield farm


@pytest.fixture
def home(tmp_path: Path, farm: BackgroundFarm) -> Iterator[House]:
    with house(tmp_path / "home", farm.urls) as made:
        yield made


def complete(home: House, capture: str, limit_s: float = 90) -> None:
    """Sealed without a gap, every picture there, and proved."""
    (judgement,) = home.judged(home.sealed(capture, limit_s))
    judgement.judge()
    assert judgement.stated.gaps == ()
    until(lambda: not home.spooled())
    home.verified()


def away(path: Path) -> Path:
    """Take a file or folder out of its place."""
    elsewhere = path.with_name(path.name + ".away")
    path.rename(elsewhere)
    return elsewhere


@contextmanager
def blocked(catalogue: Path) -> Iterator[None]:
    """A catalogue that lets nobody write."""
    with closing(sqlite3.connect(catalogue, isolation_level=None)) as lock:
        lock.execute("PRAGMA busy_timeout = 30000")
        lock.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def missing(catalogue: Path) -> Iterator[None]:
    """A catalogue whose files are gone for who opens it now (who had it open goes on)."""
    gone = [(path, away(path)) for path in catalogue.parent.glob(catalogue.name + "*")]
    try:
        yield
    finally:
        for path, elsewhere in gone:
            elsewhere.rename(path)


def test_a_vault_that_is_away_delays_the_deposit_only(home: House) -> None:
    """Its folder is gone in mid-window, with a file in its place: nothing is missing afterwards."""
    home.start()
    capture = home.book(16)
    until(lambda: len(home.segments()) >= 2)
    vault = home.home / "vault"
    elsewhere = away(vault)
    vault.touch()
    spooled = len(home.spooled())
    until(lambda: len(home.spooled()) >= spooled + 4, 20)
    vault.unlink()
    elsewhere.rename(vault)
    complete(home, capture.id)


def test_a_catalogue_that_is_away_stops_no_recording(home: House) -> None:
    """It takes nothing for longer than a lease: nothing is missing afterwards."""
    home.start()
    capture = home.book(24)
    until(lambda: len(home.segments()) >= 1)
    with blocked(home.home / "catalogue.db"):
        gone_until = datetime.now(UTC) + timedelta(seconds=13)
        until(lambda: datetime.now(UTC) > gone_until)
    complete(home, capture.id)


def test_a_planned_start_needs_no_catalogue(home: House) -> None:
    """Booked while the catalogue answered; its files are gone and the recorder is a new process when the window comes:
    it begins from the plan on disk, and is committed when the catalogue is back.
    """
    home.start()
    capture = home.book(12, lead_s=14)
    plan = until(lambda: list(home.home.glob("spool/*/plan.json")))[0]
    until(lambda: capture.sources[0] in plan.read_text())
    home.one("tick")
    home.one("keeper")
    with missing(home.home / "catalogue.db"):
        kill(*home.role("recorder"))
        assert datetime.now(UTC) < capture.window.start - home.ready.rolls.pre
        until(lambda: datetime.now(UTC) > capture.window.start + timedelta(seconds=4))
        assert home.recording()
    assert not list(home.home.glob("*.away"))
    complete(home, capture.id)


def test_a_disk_that_refuses_is_a_gap_that_says_so(home: House) -> None:
    """What was written is kept, the recording is salvaged by the same process once the disk takes bytes again, and the
    seal waits for that.
    """
    home.start()
    capture = home.book(26)
    until(lambda: len(home.segments()) >= 1)
    recorder = home.one("recorder")
    with refusing_disk(recorder):
        refused_until = datetime.now(UTC) + timedelta(seconds=5)
        until(lambda: datetime.now(UTC) > refused_until)
    sealed = home.sealed(capture.id, 60)
    assert home.role("recorder") == [recorder]
    (judgement,) = home.judged(sealed)
    judgement.judge()
    assert {gap.cause for gap in judgement.stated.gaps} == {GapCause.SPOOL_FULL}
    assert 3 < judgement.missing_s < 14
    until(lambda: not home.spooled())
    home.verified()


@contextmanager
def refusing_disk(pid: int) -> Iterator[None]:
    """No file of a process grows any more: to it, that is a full disk."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
