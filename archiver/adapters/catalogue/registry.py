"""Projects, locations, sources and policies."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from archiver.adapters.catalogue import paging, rows, tables
from archiver.adapters.catalogue.columns import NO
from archiver.adapters.catalogue.engine import inserting
from archiver.errors import NotFoundError
from archiver.values import Location, Page, Policy, Project, Source

T = TypeVar("T")


def one(connection: sa.Connection, table: sa.Table, id: str) -> sa.RowMapping:
    """The row of an id; NotFoundError."""
    row = connection.execute(sa.select(table).where(table.c.id == id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no {table.name} {id}")
    return row


class SqlRegistry:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def project(self, id: str) -> Project:
        return rows.project(one(self._connection, tables.project, id))

    def projects(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Project]:
        """Newest first."""
        table = tables.project
        mine = sa.select(table).where(table.c.organisation == organisation).order_by(table.c.id.desc())
        last = paging.after_id(cursor)
        return self._page(mine if last is None else mine.where(table.c.id < last), limit, rows.project)

    def location(self, id: str) -> Location:
        return rows.location(one(self._connection, tables.location, id))

    def locations(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Location]:
        """In the order in which they were added."""
        table = tables.location
        mine = sa.select(table).where(table.c.organisation == organisation).order_by(table.c.id)
        last = paging.after_id(cursor)
        return self._page(mine if last is None else mine.where(table.c.id > last), limit, rows.location)

    def source(self, id: str) -> Source:
        return rows.source(one(self._connection, tables.source, id))

    def sources(
        self, organisation: str, limit: int, cursor: str | None = None, location: str | None = None
    ) -> Page[Source]:
        """In the order in which they were added."""
        table = tables.source
        mine = sa.select(table).where(table.c.organisation == organisation, table.c.removed == NO)
        if location is not None:
            mine = mine.where(table.c.location == location)
        last = paging.after_id(cursor)
        mine = (mine if last is None else mine.where(table.c.id > last)).order_by(table.c.id)
        return self._page(mine, limit, rows.source)

    def sealed_address(self, source: str) -> bytes:
        table = tables.sealed_address
        sealed = self._connection.execute(sa.select(table.c.sealed).where(table.c.source == source)).scalar()
        if sealed is None:
            raise NotFoundError(f"the address of source {source} is not known here; enter it again")
        return bytes(sealed)

    def set_sealed_address(self, source: str, sealed: bytes) -> None:
        statement = inserting(self._connection, tables.sealed_address).values(source=source, sealed=sealed)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["source"], set_={"sealed": sealed}))

    def policies(self, organisation: str) -> Sequence[Policy]:
        table = tables.policy
        mine = sa.select(table).where(table.c.organisation == organisation)
        ordered = mine.order_by(table.c.effective_from, table.c.version, table.c.id)
        return [rows.policy(row) for row in self._connection.execute(ordered).mappings()]

    def _page(self, query: sa.Select[tuple[object]], limit: int, read: Callable[[sa.RowMapping], T]) -> Page[T]:
        limited = query.limit(paging.checked_limit(limit) + 1)
        found = paging.page(
            self._connection.execute(limited).mappings().all(), limit, lambda row: paging.id_cursor(row["id"])
        )
        return Page(tuple(read(row) for row in found.items), found.next)
