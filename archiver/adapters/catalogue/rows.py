"""Values of the archive out of rows, and rows out of values."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from archiver.timeline import Interval
from archiver.values import (
    Capture,
    Duty,
    Job,
    Location,
    Outage,
    Policy,
    Principal,
    Project,
    ProjectEnd,
    RecordingRow,
    SealRow,
    Segment,
    Source,
    Token,
    View,
)
from archiver.vocabulary import CaptureState, Container, DutyState, GapCause, JobName, JobState, Role

Row = sa.RowMapping
Values = Mapping[str, Any]


def _span(row: Row) -> Interval:
    return Interval(row["start_at"], row["end_at"])


def project(row: Row) -> Project:
    end = None
    if row["end_day"] is not None:
        end = ProjectEnd(date.fromisoformat(row["end_day"]), row["end_basis"], row["end_document"], row["end_signer"])
    return Project(
        row["id"],
        row["organisation"],
        row["number"],
        row["title"],
        row["buyer"],
        row["method"],
        tuple(row["lots"]),
        end,
    )


def location(row: Row) -> Location:
    return Location(row["id"], row["organisation"], row["site"], row["name"])


def source(row: Row) -> Source:
    return Source(
        row["id"],
        row["organisation"],
        row["site"],
        row["location"],
        row["name"],
        row["address"],
        row["removed"],
    )


def policy(row: Row) -> Policy:
    return Policy(row["id"], row["organisation"], row["version"], row["years"], row["basis"], row["effective_from"])


def capture(row: Row, sources: tuple[str, ...]) -> Capture:
    return Capture(
        id=row["id"],
        organisation=row["organisation"],
        site=row["site"],
        project=row["project"],
        location=row["location"],
        sources=sources,
        window=_span(row),
        state=CaptureState(row["state"]),
        title=row["title"],
        stopped_at=row["stopped_at"],
        revision=row["revision"],
        retain_until=row["retain_until"],
        retain_reason=row["retain_reason"],
    )


def outage(row: Row) -> Outage:
    return Outage(row["source"], _span(row), GapCause(row["cause"]), row["evidence"], row["worker"], row["epoch"])


def seal(row: Row) -> SealRow:
    return SealRow(
        row["capture"],
        row["revision"],
        row["key"],
        row["digest"],
        row["merkle_root"],
        row["signer"],
        row["sealed_at"],
        row["recorded_us"],
        row["missing_us"],
    )


def token(row: Row) -> Token:
    return Token(
        row["id"],
        row["organisation"],
        row["name"],
        Role(row["role"]),
        row["digest"],
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
    )


_SEGMENT_FIELDS = (
    "key", "version", "size", "digest", "sidecar_digest", "organisation", "site", "location", "source", "recording",
    "seq", "worker", "epoch", "codecs", "init_size", "init_digest", "media_start", "media_end", "timescale",
    "end_cause", "derived", "retain_until", "deposited_at",
)  # fmt: skip


def segment(row: Row) -> Segment:
    plain = {name: row[name] for name in _SEGMENT_FIELDS}
    return Segment(**plain, container=Container(row["container"]), span=_span(row))


def of_segment(value: Segment) -> Values:
    plain = {name: getattr(value, name) for name in _SEGMENT_FIELDS}
    length_us = round(value.span.length.total_seconds() * 1_000_000)
    return plain | {
        "container": value.container,
        "start_at": value.span.start,
        "end_at": value.span.end,
        "length_us": length_us,
    }


def recording(row: Row) -> RecordingRow:
    return RecordingRow(
        row["id"],
        row["organisation"],
        row["site"],
        row["source"],
        row["duty"],
        row["worker"],
        row["epoch"],
        row["opened_at"],
        row["segments"],
        row["deposited"],
    )


def duty(row: Row) -> Duty:
    return Duty(
        row["id"],
        row["organisation"],
        row["site"],
        row["location"],
        row["source"],
        _span(row),
        DutyState(row["state"]),
        row["epoch"],
        row["worker"],
        row["lease_until"],
    )


def job(row: Row) -> Job:
    return Job(
        row["id"],
        JobName(row["name"]),
        JobState(row["state"]),
        row["arguments"],
        row["created_at"],
        row["done"],
        row["total"],
        row["attempts"],
        row["error"],
        row["result"],
    )


def principal(document: Values) -> Principal:
    return Principal(document["id"], document["kind"], Role(document["role"]), document["purpose"])


def of_principal(value: Principal) -> Values:
    return {"id": value.id, "kind": value.kind, "role": value.role, "purpose": value.purpose}


def view(row: Row) -> View:
    ranges = tuple((start, end) for start, end in row["ranges"])
    return View(
        row["id"],
        principal(row["principal"]),
        row["capture"],
        row["source"],
        row["opened_at"],
        row["last_at"],
        ranges,
    )
