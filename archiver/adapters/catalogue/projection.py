"""How a fact changes the rows: the only writer of fact rows, for a new event and for a replayed one alike (I9).

Payload keys are those of the events; FormatError for a payload of another shape.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from archiver.adapters.catalogue import rows, tables
from archiver.adapters.catalogue.registry import one
from archiver.adapters.catalogue.texts import reindex
from archiver.documents import Fields
from archiver.errors import FormatError, NotFoundError
from archiver.lifecycle import after
from archiver.timeline import Interval
from archiver.values import Event
from archiver.vocabulary import CaptureState, EventType, GapCause, Role

Values = Mapping[str, Any]


def project(connection: sa.Connection, event: Event) -> None:
    """Change the rows as `event` says. Types that state nothing about rows, and unknown ones, change none."""
    write = _WRITERS.get(event.type)
    if write is not None:
        write(connection, event, Fields.of(f"{event.type} {event.id}", event.payload))


def _insert(connection: sa.Connection, table: sa.Table, values: Values) -> None:
    connection.execute(sa.insert(table).values(**values))


def _update(connection: sa.Connection, table: sa.Table, id: str, values: Values) -> None:
    changed = connection.execute(sa.update(table).where(table.c.id == id).values(**values))
    if changed.rowcount == 0:
        raise NotFoundError(f"no {table.name} {id}")


def _changes(fields: Fields, readers: Mapping[str, Callable[[Fields, str], Any]]) -> dict[str, Any]:
    """What a `.changed` event sets, read field by field; FormatError for a field that can't change."""
    changes = fields.inner("changes")
    if unknown := changes.others(readers):
        raise FormatError(f"{fields.name} changes {', '.join(sorted(unknown))}, which this program doesn't know")
    return {key: readers[key](changes, key) for key in changes.values}


# ------------------------------------------------------------------ registry


def _project_added(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    values = {
        "id": fields.text("id"),
        "organisation": fields.text("organisation"),
        "number": fields.text("number"),
        "title": fields.text("title"),
        "buyer": fields.optional_text("buyer"),
        "method": fields.optional_text("method"),
        "lots": list(fields.texts("lots")),
    }
    _insert(connection, tables.project, values)


_PROJECT_CHANGES: Mapping[str, Callable[[Fields, str], Any]] = {
    "number": Fields.text,
    "title": Fields.text,
    "buyer": Fields.optional_text,
    "method": Fields.optional_text,
    "lots": lambda changes, key: list(changes.texts(key)),
}


def _project_changed(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    id = fields.text("id")
    _update(connection, tables.project, id, _changes(fields, _PROJECT_CHANGES))
    reindex(connection, tables.capture.c.project == id)


def _project_ended(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    """The newest statement counts; the earlier ones stay in the chain (evidence rule 2)."""
    values = {f"end_{key}": fields.text(key) for key in ("day", "basis", "document", "signer")}
    _update(connection, tables.project, fields.text("id"), values)


def _location_added(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    _insert(connection, tables.location, {key: fields.text(key) for key in ("id", "organisation", "site", "name")})


def _location_changed(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    id = fields.text("id")
    _update(connection, tables.location, id, _changes(fields, {"name": Fields.text}))
    reindex(connection, tables.capture.c.location == id)


def _source_added(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    values = {key: fields.text(key) for key in ("id", "organisation", "site", "location", "name", "address")}
    _insert(connection, tables.source, values | {"removed": False})


def _source_changed(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    id = fields.text("id")
    readers = {"name": Fields.text, "address": Fields.text, "removed": Fields.flag}
    _update(connection, tables.source, id, _changes(fields, readers))
    booked = tables.capture_source
    reindex(connection, tables.capture.c.id.in_(sa.select(booked.c.capture).where(booked.c.source == id)))


def _policy_set(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    values = {
        "id": fields.text("id"),
        "organisation": fields.text("organisation"),
        "version": fields.count("version"),
        "years": fields.count("years"),
        "basis": fields.text("basis"),
        "effective_from": fields.moment("effective_from"),
    }
    _insert(connection, tables.policy, values)


# ------------------------------------------------------------------ captures


def _capture_booked(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    id, window = fields.text("id"), _window(fields, "start", "end")
    values = {key: fields.text(key) for key in ("id", "organisation", "site", "project", "location")}
    booked = {"state": CaptureState.BOOKED, "title": fields.optional_text("title"), "revision": 0}
    _insert(connection, tables.capture, values | booked | window)
    for place, source in enumerate(fields.texts("sources")):
        _insert(connection, tables.capture_source, {"capture": id, "source": source, "place": place} | window)
    reindex(connection, tables.capture.c.id == id)


def _capture_changed(connection: sa.Connection, event: Event, fields: Fields) -> None:
    id = fields.text("id")
    row = one(connection, tables.capture, id)
    start = fields.moment("start") if "start" in fields.values else row["start_at"]
    end = fields.moment("end") if "end" in fields.values else row["end_at"]
    window = _checked_window(fields, start, end)
    title = {"title": fields.optional_text("title")} if "title" in fields.values else {}
    _move(connection, event, row, window | title)
    booked = tables.capture_source
    connection.execute(sa.update(booked).where(booked.c.capture == id).values(**window))
    reindex(connection, tables.capture.c.id == id)


def _capture_moved(connection: sa.Connection, event: Event, fields: Fields) -> None:
    _move(connection, event, one(connection, tables.capture, fields.text("id")), {})


def _capture_stopped(connection: sa.Connection, event: Event, fields: Fields) -> None:
    """The first stop counts: nothing is recorded after it."""
    row = one(connection, tables.capture, fields.text("id"))
    _move(connection, event, row, {"stopped_at": row["stopped_at"] or fields.moment("at")})


def _capture_sealed(connection: sa.Connection, event: Event, fields: Fields) -> None:
    row = one(connection, tables.capture, fields.text("id"))
    revision = fields.count("revision")
    _move(connection, event, row, {"revision": max(revision, row["revision"])})
    values = {
        "capture": row["id"],
        "revision": revision,
        "key": fields.text("key"),
        "digest": fields.digest("sha256"),
        "merkle_root": fields.text("merkle_root"),
        "signer": fields.text("signer"),
        "sealed_at": fields.moment("sealed_at"),
        "recorded_us": fields.count("recorded_us"),
        "missing_us": fields.count("missing_us"),
    }
    _insert(connection, tables.seal, values)


def _retention_raised(connection: sa.Connection, _event: Event, fields: Fields) -> None:
    """Dates only rise (evidence rule 6): one that is not later changes nothing."""
    table = tables.capture
    row = one(connection, table, fields.text("capture"))
    until = fields.moment("until")
    if row["retain_until"] is None or row["retain_until"] < until:
        _update(connection, table, row["id"], {"retain_until": until, "retain_reason": fields.text("reason")})


def _move(connection: sa.Connection, event: Event, row: sa.RowMapping, values: Values) -> None:
    """Take a capture along the lifecycle's table; StateError if it doesn't have this step."""
    state = after(CaptureState(row["state"]), EventType(event.type))
    _update(connection, tables.capture, row["id"], {"state": state, **values})


def _window(fields: Fields, start: str, end: str) -> dict[str, Any]:
    return _checked_window(fields, fields.moment(start), fields.moment(end))


def _checked_window(fields: Fields, start: datetime, end: datetime) -> dict[str, Any]:
    try:
        window = Interval(start, end)
    except ValueError as problem:
        raise FormatError(f"{fields.name}: {problem}") from None
    return {"start_at": window.start, "end_at": window.end}


# ------------------------------------------------------------------ the rest


def _gap_stated(connection: sa.Connection, event: Event, fields: Fields) -> None:
    values = {
        "event": event.id,
        "source": fields.text("source"),
        "cause": fields.word("cause", GapCause),
        "evidence": fields.text("evidence"),
        "worker": fields.text("worker"),
        "epoch": fields.count("epoch"),
    }
    _insert(connection, tables.outage, values | _window(fields, "start", "end"))


def _token_created(connection: sa.Connection, event: Event, fields: Fields) -> None:
    values = {
        "id": fields.text("id"),
        "organisation": fields.text("organisation"),
        "name": fields.text("name"),
        "role": fields.word("role", Role),
        "digest": fields.text("digest"),
        "created_at": event.time,
        "expires_at": None if fields.any("expires_at") is None else fields.moment("expires_at"),
    }
    _insert(connection, tables.token, values)


def _token_revoked(connection: sa.Connection, event: Event, fields: Fields) -> None:
    """The first revocation counts."""
    row = rows.token(one(connection, tables.token, fields.text("id")))
    _update(connection, tables.token, row.id, {"revoked_at": row.revoked_at or event.time})


_WRITERS: Mapping[str, Callable[[sa.Connection, Event, Fields], None]] = {
    EventType.PROJECT_ADDED: _project_added,
    EventType.PROJECT_CHANGED: _project_changed,
    EventType.PROJECT_ENDED: _project_ended,
    EventType.LOCATION_ADDED: _location_added,
    EventType.LOCATION_CHANGED: _location_changed,
    EventType.SOURCE_ADDED: _source_added,
    EventType.SOURCE_CHANGED: _source_changed,
    EventType.POLICY_SET: _policy_set,
    EventType.CAPTURE_BOOKED: _capture_booked,
    EventType.CAPTURE_CHANGED: _capture_changed,
    EventType.CAPTURE_STARTED: _capture_moved,
    EventType.CAPTURE_STOPPED: _capture_stopped,
    EventType.CAPTURE_CANCELLED: _capture_moved,
    EventType.CAPTURE_ENDED: _capture_moved,
    EventType.CAPTURE_SEALED: _capture_sealed,
    EventType.RETENTION_BOUND: _retention_raised,
    EventType.RETENTION_EXTENDED: _retention_raised,
    EventType.GAP_STATED: _gap_stated,
    EventType.TOKEN_CREATED: _token_created,
    EventType.TOKEN_REVOKED: _token_revoked,
}
