"""Captures, their seals and the outages of their sources: what the events projected."""

from collections.abc import Sequence

import sqlalchemy as sa

from archiver.adapters.catalogue import paging, rows, tables
from archiver.adapters.catalogue.engine import inserting
from archiver.adapters.catalogue.registry import one
from archiver.timeline import Interval
from archiver.values import Capture, Outage, Page, SealRow
from archiver.vocabulary import CaptureState


def with_sources(connection: sa.Connection, found: Sequence[sa.RowMapping]) -> list[Capture]:
    """Captures of rows, with their sources in the order in which they were booked."""
    if not found:
        return []
    table = tables.capture_source
    booked = sa.select(table.c.capture, table.c.source).where(table.c.capture.in_([row["id"] for row in found]))
    sources: dict[str, tuple[str, ...]] = {}
    for capture, source in connection.execute(booked.order_by(table.c.capture, table.c.place)):
        sources[capture] = (*sources.get(capture, ()), source)
    return [rows.capture(row, sources.get(row["id"], ())) for row in found]


class SqlCaptures:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, id: str) -> Capture:
        return with_sources(self._connection, [one(self._connection, tables.capture, id)])[0]

    def page(
        self, organisation: str, limit: int, cursor: str | None = None, state: CaptureState | None = None
    ) -> Page[Capture]:
        table = tables.capture
        mine = sa.select(table).where(table.c.organisation == organisation)
        if state is not None:
            mine = mine.where(table.c.state == state)
        mine = mine.where(paging.older_than(cursor, table.c.start_at, table.c.id))
        mine = mine.order_by(table.c.start_at.desc(), table.c.id.desc()).limit(paging.checked_limit(limit) + 1)
        found = paging.page(self._connection.execute(mine).mappings().all(), limit, paging.window_cursor)
        return Page(tuple(with_sources(self._connection, found.items)), found.next)

    def in_states(self, states: Sequence[CaptureState]) -> Sequence[Capture]:
        """In the order of their windows."""
        return self._all(tables.capture.c.state.in_(list(states)))

    def touching(self, source: str, span: Interval) -> Sequence[Capture]:
        link = tables.capture_source
        touched = sa.select(link.c.capture).where(
            link.c.source == source, link.c.start_at < span.end, link.c.end_at > span.start
        )
        table = tables.capture
        return self._all(table.c.id.in_(touched), table.c.state != CaptureState.CANCELLED)

    def of_project(self, project: str) -> Sequence[Capture]:
        """In the order of their windows."""
        return self._all(tables.capture.c.project == project)

    def _all(self, *conditions: sa.ColumnElement[bool]) -> list[Capture]:
        table = tables.capture
        query = sa.select(table).where(*conditions).order_by(table.c.start_at, table.c.id)
        return with_sources(self._connection, self._connection.execute(query).mappings().all())


class SqlOutages:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def touching(self, source: str, span: Interval) -> Sequence[Outage]:
        """In time order."""
        table = tables.outage
        query = sa.select(table).where(
            table.c.source == source, table.c.start_at < span.end, table.c.end_at > span.start
        )
        ordered = query.order_by(table.c.start_at, table.c.event)
        return [rows.outage(row) for row in self._connection.execute(ordered).mappings()]


class SqlSeals:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def of_capture(self, capture: str) -> Sequence[SealRow]:
        table = tables.seal
        query = sa.select(table).where(table.c.capture == capture).order_by(table.c.revision)
        return [rows.seal(row) for row in self._connection.execute(query).mappings()]

    def listing(self, segment: str) -> Sequence[str]:
        table = tables.seal_segment
        query = sa.select(table.c.capture).distinct().where(table.c.segment == segment).order_by(table.c.capture)
        return self._connection.execute(query).scalars().all()

    def list_segments(self, capture: str, revision: int, keys: Sequence[str]) -> None:
        """Idempotent."""
        if keys:
            listed = [{"segment": key, "capture": capture, "revision": revision} for key in keys]
            self._connection.execute(inserting(self._connection, tables.seal_segment).on_conflict_do_nothing(), listed)
