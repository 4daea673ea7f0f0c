"""The schema: migrations from nothing give the tables that the program uses, and nothing else is touched."""

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from archiver.adapters.catalogue import schema, tables
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import CatalogueUnavailableError
from tests import catalogue_facts as facts


def test_migrations_give_the_tables_of_the_program(url: str):
    """After `upgrade` from nothing the migration tool sees no difference to the metadata."""
    assert schema.check(url) == []


def test_the_migrations_make_every_table_and_index(url: str, catalogue: SqlCatalogue):
    """Counted without the migration tool: tables, columns, indexes and foreign keys are the metadata's."""
    inspector = sa.inspect(catalogue.engine)
    made = set(inspector.get_table_names()) - {"alembic_version"}
    assert {name for name in made if not name.startswith("search_index")} == set(tables.metadata.tables)
    for name, table in tables.metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        indexes = {index["name"]: index["column_names"] for index in inspector.get_indexes(name)}
        indexes.pop("search_document_words", None)
        assert indexes == {index.name: [column.name for column in index.columns] for index in table.indexes}
        assert len(inspector.get_foreign_keys(name)) == len(table.foreign_keys)


def test_check_sees_a_difference(url: str, catalogue: SqlCatalogue):
    """A column that somebody added by hand is named."""
    with catalogue.transaction() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE request ADD COLUMN extra TEXT")
    assert any("extra" in difference for difference in schema.check(url))


def test_other_tables_in_the_database_are_left_alone(url: str, catalogue: SqlCatalogue):
    """The job engine's tables lie in the same database; neither `check` nor `upgrade` minds them."""
    with catalogue.transaction() as tx:
        tx.connection.exec_driver_sql("CREATE TABLE workflow_status (workflow_uuid TEXT PRIMARY KEY)")
        tx.connection.exec_driver_sql("CREATE INDEX workflow_status_index ON workflow_status (workflow_uuid)")
    schema.upgrade(url)
    assert schema.check(url) == []
    assert "workflow_status" in sa.inspect(catalogue.engine).get_table_names()


def test_upgrading_again_changes_nothing(url: str, catalogue: SqlCatalogue):
    """`upgrade` of a catalogue in use keeps what is in it."""
    with catalogue.transaction() as tx:
        project = facts.add_project(tx)
    schema.upgrade(url)
    with catalogue.reading() as tx:
        assert tx.registry.project(project)


def test_many_processes_may_upgrade_at_once(empty_url: str):
    """Roles that start together on a fresh home all find the tables made."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=schema.upgrade, args=(empty_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert schema.check(empty_url) == []


def test_the_program_knows_its_last_migration(empty_url: str):
    """What `Catalogue.check` expects is the newest migration in the package."""
    assert ScriptDirectory.from_config(schema.configuration()).get_heads() == [tables.REVISION]


def test_check_wants_the_program_s_schema(url: str, catalogue: SqlCatalogue):
    """An older or newer schema, or none, is unavailable and says what to do; the right one passes."""
    catalogue.check()
    with catalogue.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueUnavailableError, match="9999"):
        catalogue.check()
    with pytest.raises(CatalogueUnavailableError, match="9999"):
        schema.upgrade(url)
    with catalogue.transaction() as tx:
        tx.connection.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(CatalogueUnavailableError, match="db upgrade"):
        catalogue.check()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    """Bytes of something else are neither read as a catalogue nor overwritten."""
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(CatalogueUnavailableError):
        schema.upgrade(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database at all" * 1000


def test_a_place_where_nothing_can_be_made_is_unavailable(tmp_path: Path):
    """A file where the folder should be, for one."""
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(CatalogueUnavailableError, match="can't be made"):
        schema.upgrade(f"sqlite:///{tmp_path / 'home' / 'catalogue.db'}")


def test_the_database_file_is_its_owner_s_alone(tmp_path: Path):
    """Token digests and sealed addresses are not for other users of the machine; odd names of folders are fine."""
    path = tmp_path / "odd % näme #1" / "catalogue.db"
    schema.upgrade(f"sqlite:///{path}")
    SqlCatalogue(f"sqlite:///{path}", facts.new_id).check()
    assert path.stat().st_mode & 0o077 == 0
