"""The drivers that the contract suites run on."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from archiver.adapters.catalogue import schema
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from tests.catalogue_facts import new_id

POSTGRESQL = os.environ.get("ARCHIVER_TEST_POSTGRESQL")
"""SQLAlchemy URL of a server on which databases may be made; the suites run on it too where it is set."""

_numbers = itertools.count()


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL else [])])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def _place(driver: str, folder: Path) -> Iterator[str]:
    if driver == "sqlite":
        yield f"sqlite:///{folder / 'catalogue.db'}"
        return
    name = f"archiver_test_{os.getpid()}_{next(_numbers)}"
    server = sa.create_engine(POSTGRESQL or "", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.dispose()


@pytest.fixture
def empty_url(driver: str, tmp_path: Path) -> Iterator[str]:
    """Where a catalogue may be made: nothing is there yet."""
    with _place(driver, tmp_path / "home") as url:
        yield url


@pytest.fixture
def url(empty_url: str) -> str:
    """A catalogue with its tables and nothing in them."""
    schema.upgrade(empty_url)
    return empty_url


@pytest.fixture
def another(driver: str, tmp_path: Path) -> Iterator[SqlCatalogue]:
    """A second catalogue of the same driver, empty."""
    with _place(driver, tmp_path / "another") as url:
        schema.upgrade(url)
        catalogue = SqlCatalogue(url, new_id)
        yield catalogue
        catalogue.close()


@pytest.fixture
def catalogue(url: str) -> Iterator[SqlCatalogue]:
    catalogue = SqlCatalogue(url, new_id)
    yield catalogue
    catalogue.close()


@pytest.fixture
def sqlite_catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    """For what only SQLite has."""
    url = f"sqlite:///{tmp_path / 'sqlite' / 'catalogue.db'}"
    schema.upgrade(url)
    catalogue = SqlCatalogue(url, new_id)
    yield catalogue
    catalogue.close()
