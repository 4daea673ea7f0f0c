"""A small archive with one sealed capture, for tests on a real catalogue and a real vault."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive_rig import WINDOW, Archive, Footage, cut
from tests.doubles import ManualClock


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def archive(home: Path) -> Iterator[Archive]:
    """Empty, at the end of the window that the tests book."""
    archive = Archive(home, ManualClock(WINDOW.end))
    archive.custody.store_certificate()
    yield archive
    archive.close()


@pytest.fixture
def capture(archive: Archive) -> str:
    """Booked over two sources."""
    return archive.book()


@pytest.fixture
def segments(archive: Archive, capture: str, tmp_path: Path) -> list[Footage]:
    """The whole window of both sources, in two segments each."""
    return [footage for source in archive.sources(capture) for footage in cut(tmp_path, source)]


@pytest.fixture
def sealed(archive: Archive, capture: str, segments: list[Footage]) -> str:
    """The capture, recorded, sealed, and its events in the vault."""
    archive.deposit(segments)
    archive.finish(capture)
    archive.seal(capture)
    return capture
