"""Deposited segments with their fragment indexes, and the recordings they belong to."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from archiver.adapters.catalogue import rows, tables
from archiver.adapters.catalogue.engine import inserting, wrote
from archiver.errors import NotFoundError, TamperError
from archiver.timeline import Interval
from archiver.times import MICROSECOND
from archiver.values import RecordingRow, Segment


def settle(connection: sa.Connection, recording: str) -> None:
    """Note when a recording ended, once it is closed and every segment of it is here."""
    table, parts = tables.recording, tables.segment
    there = sa.select(sa.func.count()).where(parts.c.recording == recording).scalar_subquery()
    last = sa.select(sa.func.max(parts.c.end_at)).where(parts.c.recording == recording).scalar_subquery()
    complete = sa.update(table).where(table.c.id == recording, table.c.segments <= there)
    connection.execute(complete.values(ended_at=sa.func.coalesce(last, table.c.opened_at)))


class SqlSegments:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, segment: Segment, fragments: bytes) -> bool:
        insert = inserting(self._connection, tables.segment).values(**rows.of_segment(segment))
        if not wrote(self._connection, insert.on_conflict_do_nothing(index_elements=["key"])):
            return self._same(segment)
        self._connection.execute(sa.insert(tables.fragment_index).values(segment=segment.key, packed=fragments))
        settle(self._connection, segment.recording)
        return True

    def _same(self, segment: Segment) -> bool:
        known = self.get(segment.key)
        if known.digest != segment.digest:
            raise TamperError(
                f"segment {segment.key} is catalogued as {known.digest}, and now comes as {segment.digest}; keep both "
                "and find out which one was changed"
            )
        return False

    def get(self, key: str) -> Segment:
        table = tables.segment
        row = self._connection.execute(sa.select(table).where(table.c.key == key)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"no segment {key}")
        return rows.segment(row)

    def fragments(self, key: str) -> bytes:
        table = tables.fragment_index
        packed = self._connection.execute(sa.select(table.c.packed).where(table.c.segment == key)).scalar()
        if packed is None:
            raise NotFoundError(f"no segment {key}")
        return bytes(packed)

    def touching(self, source: str, span: Interval) -> Sequence[Segment]:
        table = tables.segment
        longest = self._connection.execute(
            sa.select(sa.func.max(table.c.length_us)).where(table.c.source == source)
        ).scalar()
        if longest is None:
            return []
        query = sa.select(table).where(
            table.c.source == source,
            table.c.start_at >= span.start - longest * MICROSECOND,  # no segment of this source reaches further
            table.c.start_at < span.end,
            table.c.end_at > span.start,
        )
        return self._all(query.order_by(table.c.recording, table.c.seq))

    def of_recording(self, recording: str) -> Sequence[Segment]:
        table = tables.segment
        return self._all(sa.select(table).where(table.c.recording == recording).order_by(table.c.seq))

    def extend(self, key: str, retain_until: datetime) -> None:
        """NotFoundError if there is no such segment."""
        table = tables.segment
        known = self._connection.execute(sa.select(table.c.retain_until).where(table.c.key == key)).scalar()
        if known is None:
            raise NotFoundError(f"no segment {key}")
        later = sa.update(table).where(table.c.key == key, table.c.retain_until < retain_until)
        self._connection.execute(later.values(retain_until=retain_until))

    def each(self, after: str = "", limit: int = 1000) -> Sequence[Segment]:
        table = tables.segment
        return self._all(sa.select(table).where(table.c.key > after).order_by(table.c.key).limit(limit))

    def _all(self, query: sa.Select[tuple[object]]) -> list[Segment]:
        return [rows.segment(row) for row in self._connection.execute(query).mappings()]


class SqlRecordings:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def open(self, row: RecordingRow) -> None:
        values = {
            "id": row.id,
            "organisation": row.organisation,
            "site": row.site,
            "source": row.source,
            "duty": row.duty,
            "worker": row.worker,
            "epoch": row.epoch,
            "opened_at": row.opened_at,
            "segments": row.segments,
        }
        statement = inserting(self._connection, tables.recording).values(**values)
        self._connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
        settle(self._connection, row.id)

    def close(self, id: str, segments: int) -> None:
        """NotFoundError if it was never opened."""
        table = tables.recording
        closed = self._connection.execute(sa.update(table).where(table.c.id == id).values(segments=segments))
        if closed.rowcount == 0:
            raise NotFoundError(f"no recording {id}")
        settle(self._connection, id)

    def touching(self, source: str, span: Interval) -> Sequence[RecordingRow]:
        table, parts = tables.recording, tables.segment
        deposited = sa.select(sa.func.count()).where(parts.c.recording == table.c.id).scalar_subquery()
        query = sa.select(table, deposited.label("deposited")).where(
            table.c.source == source,
            table.c.opened_at < span.end,
            sa.or_(table.c.ended_at.is_(None), table.c.ended_at >= span.start),
        )
        ordered = query.order_by(table.c.opened_at, table.c.id)
        return [rows.recording(row) for row in self._connection.execute(ordered).mappings()]
