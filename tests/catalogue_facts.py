"""Facts to put into a catalogue under test: each is an event of the shape that the use cases append."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from archiver.ids import make_id
from archiver.ports import Transaction
from archiver.timeline import Interval
from archiver.times import to_text
from archiver.values import Draft, Duty, Event, Principal, RecordingRow, Segment
from archiver.vocabulary import Container, DutyState, EventType, Role

START = datetime(2026, 11, 23, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32
CLERK = Principal("clerk", "person", Role.ADMINISTRATOR, "opening of bids")


def new_id() -> str:
    return make_id(datetime.now(UTC), os.urandom(10))


def span(start_s: float, end_s: float) -> Interval:
    """Seconds after START."""
    return Interval(START + start_s * SECOND, START + end_s * SECOND)


AN_HOUR, A_MINUTE = span(0, 3600), span(0, 60)


def append(tx: Transaction, type: EventType, subject: str, payload: dict[str, Any], **more: Any) -> Event:
    return tx.events.append(Draft(subject, type, more.pop("time", START), CLERK, payload, **more))


def add_project(tx: Transaction, number: str = "CG-2026-001", title: str = "视频会议系统采购", **more: Any) -> str:
    id = new_id()
    payload = {"id": id, "organisation": "centre", "number": number, "title": title}
    payload |= {"buyer": None, "method": "公开招标", "lots": ["1", "2"]} | more
    append(tx, EventType.PROJECT_ADDED, id, payload)
    return id


def add_location(tx: Transaction, name: str = "开标室A", organisation: str = "centre") -> str:
    id = new_id()
    payload = {"id": id, "organisation": organisation, "site": "main", "name": name}
    append(tx, EventType.LOCATION_ADDED, id, payload)
    return id


def add_source(tx: Transaction, location: str, name: str = "全景摄像机", *, address: bool = True) -> str:
    id = new_id()
    payload = {"id": id, "organisation": "centre", "site": "main", "location": location, "name": name}
    append(tx, EventType.SOURCE_ADDED, id, payload | {"address": "rtsp://10.0.0.9:554/…"})
    if address:
        tx.registry.set_sealed_address(id, b"sealed")
    return id


def book(
    tx: Transaction,
    project: str,
    location: str,
    sources: Sequence[str],
    window: Interval = AN_HOUR,
    title: str | None = None,
    organisation: str = "centre",
) -> str:
    id = new_id()
    payload = {
        "id": id,
        "organisation": organisation,
        "site": "main",
        "project": project,
        "location": location,
        "sources": list(sources),
        "start": to_text(window.start),
        "end": to_text(window.end),
        "title": title,
    }
    append(tx, EventType.CAPTURE_BOOKED, id, payload, about=(project, location, *sources), urgent=True)
    return id


def book_one(tx: Transaction, window: Interval = AN_HOUR) -> str:
    """A capture with a project, a location and two sources of its own."""
    location = add_location(tx)
    sources = [add_source(tx, location), add_source(tx, location, "特写摄像机")]
    return book(tx, add_project(tx), location, sources, window)


def move(tx: Transaction, capture: str, type: EventType) -> Event:
    return append(tx, type, capture, {"id": capture, "at": to_text(START)})


def seal(tx: Transaction, capture: str, revision: int = 1) -> Event:
    payload = {
        "id": capture,
        "revision": revision,
        "sha256": DIGEST,
        "key": f"main/_captures/{capture}/seal-{revision}.json",
        "merkle_root": DIGEST,
        "signer": "f" * 64,
        "recorded_us": 3_599_000_000,
        "missing_us": 1_000_000,
        "sealed_at": to_text(START + 2 * HOUR),
    }
    return append(tx, EventType.CAPTURE_SEALED, capture, payload, urgent=True)


def to_sealed(tx: Transaction, capture: str) -> None:
    for type in (EventType.CAPTURE_STARTED, EventType.CAPTURE_ENDED):
        move(tx, capture, type)
    seal(tx, capture)


def a_segment(source: str, recording: str, seq: int = 0, at: Interval = A_MINUTE) -> Segment:
    return Segment(
        key=f"main/{source}/{recording}/{seq:08d}.mp4",
        version="1",
        size=5_000_000,
        digest=DIGEST,
        sidecar_digest=DIGEST,
        organisation="centre",
        site="main",
        location="room",
        source=source,
        recording=recording,
        seq=seq,
        worker="worker",
        epoch=1,
        container=Container.MP4,
        codecs="avc1.64001f,mp4a.40.2",
        init_size=1340,
        init_digest=DIGEST,
        span=at,
        media_start=0,
        media_end=5_400_000,
        timescale=90_000,
        end_cause="length",
        derived=False,
        retain_until=START + 15 * 366 * 24 * HOUR,
        deposited_at=START + HOUR,
    )


def a_recording(source: str, id: str | None = None, opened_at: datetime = START) -> RecordingRow:
    return RecordingRow(id or new_id(), "centre", "main", source, "duty", "worker", 1, opened_at)


def a_duty(source: str, at: Interval = AN_HOUR, site: str = "main") -> Duty:
    return Duty(new_id(), "centre", site, "room", source, at, DutyState.PLANNED)


def moved(duty: Duty, at: Interval) -> Duty:
    return replace(duty, span=at)


def event_listener(connection: sa.Connection, listener: Any) -> None:
    """Call `listener` before each statement of a connection, with its cursor."""
    sa.event.listen(connection, "before_cursor_execute", listener)
