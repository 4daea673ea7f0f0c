"""Transactions of the catalogue: all or nothing, reading beside writing, many processes at once."""

import itertools
import multiprocessing
import sqlite3
import threading
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from archiver.adapters.catalogue import engine
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import (
    CatalogueUnavailableError,
    ConflictError,
    FormatError,
    InputError,
    NotFoundError,
    SettingsError,
    StateError,
)
from archiver.vocabulary import EventType
from tests import catalogue_facts as facts


def test_a_block_that_raises_leaves_nothing(catalogue: SqlCatalogue):
    """Rows and events of a transaction stand together or not at all."""
    with pytest.raises(RuntimeError), catalogue.transaction() as tx:
        project = facts.add_project(tx)
        assert tx.registry.project(project).number == "CG-2026-001"
        raise RuntimeError
    with catalogue.reading() as tx:
        assert tx.registry.projects("centre", 10).items == ()
        assert tx.events.heads() == {}


def test_a_fact_that_does_not_fit_leaves_nothing(catalogue: SqlCatalogue):
    """A refused state change takes the whole transaction with it, also what came before."""
    with catalogue.transaction() as tx:
        capture = facts.book_one(tx)
    with catalogue.reading() as tx:
        before = tx.events.heads()
    with pytest.raises(StateError), catalogue.transaction() as tx:
        facts.add_project(tx)
        facts.seal(tx, capture)
    with catalogue.reading() as tx:
        assert tx.events.heads() == before
        assert tx.seals.of_capture(capture) == []


def test_a_refused_fact_leaves_nothing_of_itself(catalogue: SqlCatalogue):
    """A caller that goes on after a refusal commits neither the event nor a part of its rows, and the chain goes on."""
    with catalogue.transaction() as tx:
        location, project = facts.add_location(tx), facts.add_project(tx)
        capture = facts.book(tx, project, location, [])
        before = tx.events.heads()
        with pytest.raises(StateError):
            facts.seal(tx, capture)
        with pytest.raises(ConflictError):
            facts.book(tx, project, location, [facts.new_id()])
        assert tx.events.heads() == before
        facts.move(tx, capture, EventType.CAPTURE_STARTED)
    with catalogue.reading() as tx:
        assert [event.seq for event in tx.events.chain(capture)] == [0, 1]
        assert [found.id for found in tx.captures.of_project(project)] == [capture]
        assert tx.seals.of_capture(capture) == []


def test_reading_can_not_write(catalogue: SqlCatalogue):
    """Writing inside `reading` fails, and is not told as an outage that would go away."""
    with pytest.raises(DBAPIError), catalogue.reading() as tx:
        tx.requests.put("clerk", "key", facts.DIGEST, "made")
    with catalogue.transaction() as tx:
        assert tx.requests.find("clerk", "key") is None


def test_a_writer_does_not_block_a_reader(catalogue: SqlCatalogue):
    """A read during a write answers at once with what was committed before, and goes on seeing just that."""
    with catalogue.transaction() as tx:
        project = facts.add_project(tx)
    with catalogue.reading() as reader:
        with catalogue.transaction() as writer:
            another = facts.add_project(writer)
            assert [found.id for found in reader.registry.projects("centre", 10).items] == [project]
        with pytest.raises(NotFoundError):
            reader.registry.project(another)
    with catalogue.reading() as reader:
        assert reader.registry.project(another)


def test_writers_wait_for_each_other(catalogue: SqlCatalogue):
    """A write that begins during another one waits and then sees it."""
    entered, seen = threading.Event(), []

    def second() -> None:
        entered.set()
        with catalogue.transaction() as tx:
            facts.append(tx, EventType.CLOCK_STEPPED, "system", {"worker": "w", "offset_s": 2.5})
            seen.extend(tx.events.chain("system"))

    thread = threading.Thread(target=second)
    with catalogue.transaction() as tx:
        facts.append(tx, EventType.CLOCK_STEPPED, "system", {"worker": "w", "offset_s": 1.5})
        thread.start()
        assert entered.wait(10)
    thread.join(20)
    assert [event.seq for event in seen] == [0, 1]


def test_the_same_row_twice_is_a_conflict(catalogue: SqlCatalogue):
    """A key that is there already comes out as ConflictError, not as a driver's error."""
    with catalogue.transaction() as tx:
        tx.requests.put("clerk", "key", facts.DIGEST, "made")
    with pytest.raises(ConflictError), catalogue.transaction() as tx:
        tx.requests.put("clerk", "key", facts.OTHER_DIGEST, "other")


def test_text_that_no_database_holds_is_the_caller_s_mistake(catalogue: SqlCatalogue):
    """NUL and lone surrogates, read or written, come out as errors of the tree."""
    for text in ("a\x00b", "\ud800"):
        with pytest.raises((InputError, NotFoundError)), catalogue.reading() as tx:
            tx.registry.project(text)
    with pytest.raises(InputError), catalogue.transaction() as tx:
        tx.requests.put("clerk", "\ud800", facts.DIGEST, "made")
    with pytest.raises(FormatError), catalogue.transaction() as tx:
        facts.add_project(tx, title="\ud800")


def test_errors_show_no_values(catalogue: SqlCatalogue):
    """What a statement carried stays out of the error's text (I10)."""
    with pytest.raises(ConflictError) as refusal, catalogue.transaction() as tx:
        for _ in range(2):
            tx.requests.put("clerk", "a-secret-key", facts.DIGEST, "made")
    assert "a-secret-key" not in str(refusal.value)
    with pytest.raises(DBAPIError) as failure, catalogue.reading() as tx:
        tx.requests.put("clerk", "a-secret-key", facts.DIGEST, "made")
    assert "a-secret-key" not in str(failure.value)


def test_the_job_engine_joins_a_transaction_of_the_catalogue(url: str, catalogue: SqlCatalogue):
    """On its own engine it sees what was committed, writes, and waits for a writer like any other."""
    engine_of_jobs = engine.job_engine(url)
    with catalogue.transaction() as tx:
        tx.connection.exec_driver_sql("CREATE TABLE workflow (id INTEGER PRIMARY KEY)")
    with engine_of_jobs.begin() as connection:
        connection.exec_driver_sql("INSERT INTO workflow (id) VALUES (1)")
    with catalogue.reading() as tx:
        assert tx.connection.exec_driver_sql("SELECT id FROM workflow").scalars().all() == [1]
    engine_of_jobs.dispose()


def test_the_database_clock_is_utc_and_fine_enough_for_leases(catalogue: SqlCatalogue):
    """The clock of leases agrees with the host's to a second, here where both are one machine."""
    with catalogue.reading() as tx:
        now = engine.database_now(tx.connection)
    assert abs((now - datetime.now(now.tzinfo)).total_seconds()) < 1


def _append_many(url: str, count: int) -> None:
    catalogue = SqlCatalogue(url, facts.new_id)
    for number in range(count):
        with catalogue.transaction() as tx:
            facts.append(tx, EventType.CLOCK_STEPPED, "system", {"worker": "w", "offset_s": number})
    catalogue.close()


def test_three_processes_write_one_chain(url: str, catalogue: SqlCatalogue):
    """Processes that write the same chain at once never meet a locked database, a lost event or a broken link."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_append_many, args=(url, 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with catalogue.reading() as tx:
        chain = tx.events.chain("system")
    assert [event.seq for event in chain] == list(range(120))
    assert all(later.previous == earlier.hash for earlier, later in itertools.pairwise(chain))


# ------------------------------------------------------------------ SQLite's own ways


def test_sqlite_keeps_what_it_acknowledged(sqlite_catalogue: SqlCatalogue):
    """Write-ahead log, full synchronisation and foreign keys on every connection that writes or reads (I4)."""
    for block in (sqlite_catalogue.transaction, sqlite_catalogue.reading):
        with block() as tx:
            pragmas = [
                tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert pragmas == ["wal", 2, 1]


def test_a_lost_file_is_an_outage_and_makes_no_empty_catalogue(tmp_path: Path):
    """A missing database is told as unavailable; nothing is put in its place."""
    path = tmp_path / "catalogue.db"
    catalogue = SqlCatalogue(f"sqlite:///{path}", facts.new_id)
    with pytest.raises(CatalogueUnavailableError), catalogue.transaction() as tx:
        facts.add_project(tx)
    with pytest.raises(CatalogueUnavailableError):
        catalogue.check()
    assert not path.exists()


def test_a_locked_database_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write lock that another program doesn't give back comes out as CatalogueUnavailableError."""
    path = tmp_path / "catalogue.db"
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN IMMEDIATE")
        catalogue = SqlCatalogue(f"sqlite:///{path}", facts.new_id)
        with pytest.raises(CatalogueUnavailableError), catalogue.transaction():
            pass
        other.execute("ROLLBACK")
    other.close()
    catalogue.close()


@pytest.mark.parametrize("url", ["mysql://host/archive", "sqlite://", "sqlite:///:memory:", "no url at all"])
def test_other_engines_are_refused(url: str):
    """Only a SQLite file and PostgreSQL can hold a catalogue."""
    with pytest.raises(SettingsError):
        SqlCatalogue(url, facts.new_id)


def test_strict_tables_refuse_other_types(catalogue: SqlCatalogue):
    """A text where an integer belongs is refused by the database itself."""
    with pytest.raises((ConflictError, InputError)), catalogue.transaction() as tx:
        tx.connection.execute(
            sa.text("INSERT INTO checkpoint (number, digest) VALUES (:number, 'x')"), {"number": "many"}
        )
