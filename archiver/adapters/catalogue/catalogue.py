"""The Catalogue port on a SQL database."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc

from archiver.adapters.catalogue.captures import SqlCaptures, SqlOutages, SqlSeals
from archiver.adapters.catalogue.duties import SqlDuties
from archiver.adapters.catalogue.engine import connected, engines
from archiver.adapters.catalogue.events import SqlEvents
from archiver.adapters.catalogue.registry import SqlRegistry
from archiver.adapters.catalogue.search import SqlSearch
from archiver.adapters.catalogue.segments import SqlRecordings, SqlSegments
from archiver.adapters.catalogue.small import SqlJobRows, SqlRenditions, SqlRequests, SqlTokens, SqlViews
from archiver.adapters.catalogue.tables import REVISION
from archiver.errors import CatalogueUnavailableError
from archiver.ids import NewId


class SqlTransaction:
    """One transaction on `connection`, which is shown so that the job engine's enqueue can be part of it."""

    def __init__(self, connection: sa.Connection, new_id: NewId) -> None:
        self.connection = connection
        self.registry = SqlRegistry(connection)
        self.captures = SqlCaptures(connection)
        self.segments = SqlSegments(connection)
        self.recordings = SqlRecordings(connection)
        self.outages = SqlOutages(connection)
        self.seals = SqlSeals(connection)
        self.events = SqlEvents(connection, new_id)
        self.duties = SqlDuties(connection)
        self.jobs = SqlJobRows(connection)
        self.tokens = SqlTokens(connection)
        self.views = SqlViews(connection)
        self.requests = SqlRequests(connection)
        self.renditions = SqlRenditions(connection)
        self.search = SqlSearch(connection)


class SqlCatalogue:
    """A catalogue whose tables are there (`schema.upgrade`). Safe to use from many threads; not across a fork."""

    def __init__(self, url: str, new_id: NewId) -> None:
        self._engines = engines(url)
        self._new_id = new_id

    @property
    def engine(self) -> sa.Engine:
        """The engine that writes; every transaction on it holds the write lock from its start."""
        return self._engines.writer

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """ConflictError if a row that it adds is already there."""
        with connected(self._engines.writer) as connection:
            yield SqlTransaction(connection, self._new_id)

    @contextmanager
    def reading(self) -> Iterator[SqlTransaction]:
        with connected(self._engines.reader) as connection:
            yield SqlTransaction(connection, self._new_id)

    def check(self) -> None:
        try:
            with connected(self._engines.reader) as connection:
                found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
        except exc.DBAPIError as error:
            raise CatalogueUnavailableError("the catalogue has no tables; run `archiver db upgrade`") from error
        if list(found) != [REVISION]:
            raise CatalogueUnavailableError(
                f"the catalogue's schema is {', '.join(found) or 'empty'}, this program's is {REVISION}; run `archiver "
                "db upgrade` with the newest program"
            )

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        self._engines.close()
