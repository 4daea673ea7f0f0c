"""Makes and upgrades the catalogue's tables, and says where a database differs from them.

Apart from catalogue.py, so that a process that only uses the tables doesn't load the migration tool.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from archiver.adapters.catalogue.engine import BUSY_MS, connected, engines, one_at_a_time, parse
from archiver.adapters.catalogue.tables import metadata
from archiver.errors import CatalogueUnavailableError

MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(url: str) -> None:
    """Bring the database of a SQLAlchemy URL to this program's schema; an SQLite file is made if there is none.

    Any number of processes may do so at once. CatalogueUnavailableError if the database doesn't answer, or was made by
    a newer program.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        _make_file(Path(parsed.database or ""))
    with _writing(url) as connection:
        one_at_a_time(connection, "upgrade")
        try:
            command.upgrade(configuration(connection), "head")
        except CommandError as error:
            raise CatalogueUnavailableError(f"the catalogue can't be upgraded by this program: {error}") from error


def is_lost(url: str) -> bool:
    """Whether the SQLite file of a catalogue that was made before is not there."""
    parsed = parse(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


def check(url: str) -> list[str]:
    """How the tables of a database differ from this program's, in words; empty if they don't."""
    with _writing(url) as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours, "compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def configuration(connection: sa.Connection | None = None) -> Config:
    """The migration tool's configuration, without an ini file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def is_ours(_object: object, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
    """Whether the migrations look at a thing of the database: the job engine has tables of its own there, and the
    text index is made by hand.
    """
    if reflected and compared is None:
        return kind != "table" and name not in _BY_HAND
    return True


_BY_HAND = {"search_document_words"}


@contextmanager
def _writing(url: str) -> Iterator[sa.Connection]:
    both = engines(url)
    try:
        with connected(both.writer) as connection:
            yield connection
    finally:
        both.close()


def _make_file(path: Path) -> None:
    """A database file in WAL mode, readable by its owner only; what is there already stays."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise CatalogueUnavailableError(f"{path} can't be made: {error.strerror}") from error
    deadline = time.monotonic() + BUSY_MS / 1000
    while not _set_wal(path):
        if time.monotonic() > deadline:
            raise CatalogueUnavailableError(f"{path} is in use; try again")
        time.sleep(0.05)


def _set_wal(path: Path) -> bool:
    """False while another process has the file: this one pragma doesn't wait."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise CatalogueUnavailableError(f"{path} can't be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise CatalogueUnavailableError(f"{path} is no catalogue: {error}") from error
