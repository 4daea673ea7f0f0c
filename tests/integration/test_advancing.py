"""Captures begin and end by time alone, over a real catalogue."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archiver.adapters.catalogue import schema
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.timeline import Interval
from archiver.vocabulary import CaptureState, EventType
from ingest.advancing import Advancing
from ingest.scheduling import Replanner, due_jobs
from tests.catalogue_facts import book, book_one, move
from tests.doubles import START, ManualClock
from tests.recorder_process import catalogue_of, new_id

MINUTE = timedelta(minutes=1)
ROLL = timedelta(seconds=5)
WINDOW = Interval(START + MINUTE, START + 2 * MINUTE)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    schema.upgrade(f"sqlite:///{tmp_path / 'catalogue.db'}")
    catalogue = catalogue_of(tmp_path)
    yield catalogue
    catalogue.close()


def test_a_capture_goes_on_as_its_jobs_fall_due(catalogue: SqlCatalogue) -> None:
    """Booked, recording, sealing: each job when the tick names it, and running it again changes nothing."""
    clock = ManualClock(START)
    advancing = Advancing(catalogue, clock, ROLL)
    with catalogue.transaction() as tx:
        capture = book_one(tx, WINDOW)
    seen = []
    for _ in range(26):
        with catalogue.reading() as tx:
            keys = [key for _, key, _ in due_jobs(tx, clock.now(), ROLL, lambda *_: False) if capture in key]
        for step in (advancing.start, advancing.end, advancing.start, advancing.end):
            step(capture)
        with catalogue.reading() as tx:
            seen.append((keys, tx.captures.get(capture).state))
        clock.pass_s(5)
    assert seen[11] == ([], CaptureState.BOOKED)
    assert seen[12] == ([f"start:{capture}"], CaptureState.RECORDING)
    assert seen[24] == ([], CaptureState.RECORDING)
    assert seen[25] == ([f"end:{capture}"], CaptureState.SEALING)
    with catalogue.reading() as tx:
        types = [event.type for event in tx.events.chain(capture)]
    assert types == [EventType.CAPTURE_BOOKED, EventType.CAPTURE_STARTED, EventType.CAPTURE_ENDED]


def test_a_duty_follows_its_captures(catalogue: SqlCatalogue) -> None:
    """Two windows share one; a cancelled one gives back what only it needed."""
    replan = Replanner(ROLL, ROLL, new_id)
    with catalogue.transaction() as tx:
        first = tx.captures.get(book_one(tx, WINDOW))
        source = first.sources[0]
        later = Interval(WINDOW.start + MINUTE / 2, WINDOW.end + MINUTE)
        second = book(tx, first.project, first.location, [source], later)
        replan(tx, source, START)
        (duty,) = tx.duties.of_source(source, Interval(START, START + 60 * MINUTE))
        assert duty.span == Interval(WINDOW.start - ROLL, later.end + ROLL)
        move(tx, second, EventType.CAPTURE_CANCELLED)
        replan(tx, source, START)
        (again,) = tx.duties.of_source(source, Interval(START, START + 60 * MINUTE))
        assert (again.id, again.span) == (duty.id, WINDOW.widened(ROLL, ROLL))
        move(tx, first.id, EventType.CAPTURE_CANCELLED)
        replan(tx, source, START)
        assert tx.duties.of_source(source, Interval(START, START + 60 * MINUTE)) == []
