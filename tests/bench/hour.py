"""An hour of footage to read from: one real minute, deposited again and again, each time with an honest sidecar."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from archiver import keys
from archiver.booking import NewCapture
from archiver.sidecar import Sidecar, parse, to_bytes
from archiver.values import RecordingRow
from tests.installation import House

HOUR = timedelta(hours=1)
APART = timedelta(seconds=1)
"""Between two recordings: as after a cut, the sound of one ends before the next begins."""


@dataclass(frozen=True, slots=True)
class Hour:
    """A booked window that is full of footage of one source, and what depositing it took."""

    capture: str
    source: str
    keys: tuple[str, ...]
    size: int
    seconds: float


def an_hour(house: House) -> Hour:
    """Each minute is a recording of its own. It lies days ahead, where nothing else is recorded."""
    source = next(iter(house.sources.values()))
    longest = max(house.segments(source), key=lambda each: each.span.length)
    media = house.home / "vault" / "objects" / longest.key
    original = parse(b"".join(house.ready.vault.read(keys.sidecar(longest.key))))
    start = datetime.now(UTC) + timedelta(days=3)
    booked = NewCapture(house.project, house.location, start, start + HOUR, sources=(source,))
    capture = house.ready.booking.book(house.request, booked)
    made = list(_moved(house, original, start))
    _open(house, made)
    began = time.perf_counter()
    deposited = [house.ready.depositing.deposit(media, to_bytes(each)) for each in made]
    seconds = time.perf_counter() - began
    return Hour(
        capture.id, source, tuple(each.key for each in deposited), sum(each.size for each in deposited), seconds
    )


def _moved(house: House, original: Sidecar, start: datetime) -> Iterator[Sidecar]:
    at = start
    while at < start + HOUR:
        place = replace(original.place, recording=house.ready.new_id(), seq=0)
        yield replace(original, place=place, anchor=replace(original.anchor, time=at))
        at += original.span.length + APART


def _open(house: House, made: list[Sidecar]) -> None:
    with house.ready.catalogue.transaction() as tx:
        for each in made:
            place = each.place
            tx.recordings.open(
                RecordingRow(
                    id=place.recording,
                    organisation=place.organisation,
                    site=place.site,
                    source=place.source,
                    duty=place.recording,
                    worker=place.worker,
                    epoch=place.epoch,
                    opened_at=each.anchor.time,
                    segments=1,
                )
            )
