"""Engines of the catalogue: one that writes, one that can only read, and what differs between SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

from archiver.adapters.catalogue.columns import Utc
from archiver.errors import CatalogueUnavailableError, ConflictError, InputError, SettingsError

BUSY_MS = 30_000
_CURABLE = {5, 6, 7, 10, 13, 14, 15}
"""SQLite's primary result codes that trying again may cure: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, PROTOCOL."""


@dataclass(frozen=True)
class Engines:
    """`writer` begins its transactions by taking the write lock; `reader` refuses to write."""

    writer: sa.Engine
    reader: sa.Engine

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def engines(url: str) -> Engines:
    """Engines for a URL that `parse` takes. Nothing is opened yet."""
    parsed = parse(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed)
    return Engines(_sqlite(parsed, "BEGIN IMMEDIATE", "OFF"), _sqlite(parsed, "BEGIN", "ON"))


def parse(url: str) -> sa.URL:
    """A catalogue's SQLAlchemy URL: `sqlite:///file` or `postgresql://...`. SettingsError for another; the message
    doesn't repeat it, since it may hold a password.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise _no_catalogue("it is no URL") from None
    backend, database = parsed.get_backend_name(), parsed.database or ""
    if backend == "postgresql" or (backend == "sqlite" and database and not database.startswith((":", "file:"))):
        return parsed
    raise _no_catalogue(f"it names {backend} without a file" if backend == "sqlite" else f"it names {backend}")


def _no_catalogue(why: str) -> SettingsError:
    allowed = "sqlite:///file or postgresql://server/database"
    return SettingsError(f"the catalogue's URL can't be used: {why}", errors={"catalogue.url": allowed})


def job_engine(url: str) -> sa.Engine:
    """An engine on the same database for the job engine, which counts on the SQLite driver to begin a transaction at
    the first write (and begins others itself).
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed).writer
    return _opened(parsed, "IMMEDIATE", "OFF")


def _sqlite(url: sa.URL, begin: str, query_only: str) -> sa.Engine:
    """`begin` is ours, not the driver's: it would begin nothing before a read."""
    engine = _opened(url, None, query_only)

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _opened(url: sa.URL, isolation_level: str | None, query_only: str) -> sa.Engine:
    engine = sa.create_engine(_existing(url), hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = isolation_level
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {query_only}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _existing(url: sa.URL) -> sa.URL:
    """The same file, which must be there: a lost catalogue is an outage, never an empty new one."""
    name = Path(url.database or "").absolute().as_uri()
    return url.set(database=name, query={"uri": "true", "mode": "rw"})


def _postgresql(url: sa.URL) -> Engines:
    driver = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(driver, pool_pre_ping=True, hide_parameters=True)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(engine, reader)


@contextmanager
def connected(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction on `engine`, its errors as `telling` tells them."""
    with telling(), engine.begin() as connection:
        yield connection


@contextmanager
def telling() -> Iterator[None]:
    """Driver errors told in the archive's own.

    CatalogueUnavailableError when trying again may help; ConflictError when a row is already there, or what it names
    isn't; InputError for a value that a database can't hold.
    """
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError("the catalogue refuses it: it is there already, or what it names is not") from error
    except (exc.DataError, UnicodeEncodeError) as error:
        raise InputError("a value can't be stored: NUL or a lone surrogate in a text, or a number too large") from error
    except exc.TimeoutError as error:
        raise CatalogueUnavailableError("the catalogue is too busy; try again") from error
    except exc.DBAPIError as error:
        if not _curable(error):
            raise
        raise CatalogueUnavailableError(f"the catalogue doesn't answer ({error.orig}); try again") from error


def _curable(error: exc.DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _CURABLE
    return error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)


# ------------------------------------------------------------------ what the dialects say differently


def inserting(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def wrote(connection: sa.Connection, statement: sqlite.Insert | postgresql.Insert) -> bool:
    """Whether an INSERT that may say ON CONFLICT wrote a row (drivers don't agree on an insert's row count)."""
    return connection.execute(statement.returning(sa.literal(1))).first() is not None


def database_now(connection: sa.Connection) -> datetime:
    """The time by the database's own clock (milliseconds on SQLite): the only clock that leases are measured by."""
    if connection.dialect.name == "sqlite":
        sql = "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 AS now"
    else:
        sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
    return connection.execute(sa.text(sql).columns(sa.column("now", Utc()))).scalar_one()  # type: ignore[no-any-return]


def one_at_a_time(connection: sa.Connection, name: str) -> None:
    """Hold the lock called `name` until this transaction ends. On SQLite the transaction is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
