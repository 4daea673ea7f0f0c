"""Duties as leased rows. Leases are measured by the database's clock alone, and a lapsed one changes hands with a new
epoch (I6).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa

from archiver.adapters.catalogue import rows, tables
from archiver.adapters.catalogue.engine import database_now, inserting, wrote
from archiver.errors import ConflictError
from archiver.timeline import Interval
from archiver.values import Assignment, Duty
from archiver.vocabulary import DutyState


class SqlDuties:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def of_source(self, source: str, span: Interval) -> Sequence[Duty]:
        table = tables.duty
        query = sa.select(table).where(
            table.c.source == source, table.c.start_at < span.end, table.c.end_at > span.start
        )
        return self._all(query.order_by(table.c.start_at, table.c.id))

    def put(self, duty: Duty) -> None:
        """ConflictError if it would move a duty that has ended: nobody would record the difference."""
        table = tables.duty
        span = {"start_at": duty.span.start, "end_at": duty.span.end}
        statement = inserting(self._connection, table).values(
            id=duty.id,
            organisation=duty.organisation,
            site=duty.site,
            location=duty.location,
            source=duty.source,
            state=DutyState.PLANNED,
            epoch=0,
            **span,
        )
        open_or_same = sa.or_(
            table.c.state != DutyState.ENDED,
            sa.and_(table.c.start_at == duty.span.start, table.c.end_at == duty.span.end),
        )
        put = statement.on_conflict_do_update(index_elements=["id"], set_=span, where=open_or_same)
        if not wrote(self._connection, put):
            raise ConflictError(f"duty {duty.id} has ended; plan another for what is left")

    def remove(self, id: str) -> None:
        """Idempotent for a duty that isn't there."""
        table = tables.duty
        gone = self._connection.execute(sa.delete(table).where(table.c.id == id, table.c.epoch == 0))
        there = self._connection.execute(sa.select(table.c.id).where(table.c.id == id)).one_or_none()
        if gone.rowcount == 0 and there is not None:
            raise ConflictError(f"duty {id} was claimed once; it can only be finished")

    def plan(self, site: str, horizon: timedelta) -> Sequence[Assignment]:
        """In time order; a source whose address isn't known here has none."""
        table = tables.duty
        latest = database_now(self._connection) + horizon
        return self._assignments(table.c.site == site, table.c.state != DutyState.ENDED, table.c.start_at <= latest)

    def claim(self, worker: str, site: str, lease: timedelta, capacity: int, lead: timedelta) -> Sequence[Assignment]:
        """The earliest first; a source whose address isn't known here is left."""
        table, now = tables.duty, database_now(self._connection)
        free = self._connection.execute(_claimable(site, now + lead, now, capacity)).scalars().all()
        if not free:
            return []
        taken = sa.update(table).where(table.c.id.in_(free))
        self._connection.execute(
            taken.values(state=DutyState.HELD, worker=worker, epoch=table.c.epoch + 1, lease_until=now + lease)
        )
        return self._assignments(table.c.id.in_(free))

    def renew(self, worker: str, held: Mapping[str, int], lease: timedelta) -> Sequence[Duty]:
        """A lapsed lease that nobody took over is still the worker's."""
        table = tables.duty
        until = database_now(self._connection) + lease
        mine = sa.or_(*(sa.and_(table.c.id == id, table.c.epoch == epoch) for id, epoch in held.items()), sa.false())
        still = sa.and_(mine, table.c.worker == worker, table.c.state == DutyState.HELD)
        self._connection.execute(sa.update(table).where(still).values(lease_until=until))
        return self._all(sa.select(table).where(still).order_by(table.c.start_at, table.c.id))

    def finish(self, id: str, epoch: int) -> bool:
        """Idempotent under the same epoch."""
        table = tables.duty
        ended = sa.update(table).where(table.c.id == id, table.c.epoch == epoch)
        return self._connection.execute(ended.values(state=DutyState.ENDED, lease_until=None)).rowcount == 1

    def _assignments(self, *conditions: sa.ColumnElement[bool]) -> list[Assignment]:
        table, address = tables.duty, tables.sealed_address
        query = (
            sa.select(table, address.c.sealed)
            .join_from(table, address, address.c.source == table.c.source)
            .where(*conditions)
            .order_by(table.c.start_at, table.c.id)
        )
        found = self._connection.execute(query).mappings()
        return [Assignment(rows.duty(row), bytes(row["sealed"])) for row in found]

    def _all(self, query: sa.Select[tuple[object]]) -> list[Duty]:
        return [rows.duty(row) for row in self._connection.execute(query).mappings()]


def _claimable(site: str, latest: object, now: object, capacity: int) -> sa.Select[tuple[str]]:
    """Duties to take, passing over those that another worker is taking at this moment."""
    table, address = tables.duty, tables.sealed_address
    lapsed = sa.and_(table.c.state == DutyState.HELD, table.c.lease_until <= now)
    return (
        sa.select(table.c.id)
        .join_from(table, address, address.c.source == table.c.source)
        .where(table.c.site == site, table.c.start_at <= latest)
        .where(sa.or_(table.c.state == DutyState.PLANNED, lapsed))
        .order_by(table.c.start_at, table.c.id)
        .limit(max(capacity, 0))
        .with_for_update(of=table, skip_locked=True)
    )
