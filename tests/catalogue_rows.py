"""Compares two catalogues by the rows that follow from the vault."""

from collections.abc import Mapping

import sqlalchemy as sa

from archiver.adapters.catalogue import tables
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.vocabulary import EventType

FACTS = (
    tables.project,
    tables.location,
    tables.source,
    tables.policy,
    tables.capture,
    tables.capture_source,
    tables.outage,
    tables.seal,
    tables.token,
    tables.batch,
    tables.checkpoint,
    tables.event,
    tables.segment,
    tables.fragment_index,
    tables.seal_segment,
)

NOT_IN_THE_VAULT = {"segment": {"deposited_at"}, "event": {"position", "urgent"}}
"""When a row was written, and how soon an event was to leave."""

MADE_BY_REBUILDING = (EventType.CHAIN_RESUMED, EventType.CATALOGUE_REBUILT)

Rows = Mapping[str, list[tuple[object, ...]]]


def fact_rows(catalogue: SqlCatalogue) -> Rows:
    """Table -> its rows in a fixed order, without what a rebuild adds."""
    with catalogue.engine.connect() as connection:
        return {table.name: _rows(connection, table) for table in FACTS}


def _rows(connection: sa.Connection, table: sa.Table) -> list[tuple[object, ...]]:
    skipped = NOT_IN_THE_VAULT.get(table.name, set())
    query = sa.select(*(column for column in table.columns if column.name not in skipped))
    if table is tables.event:
        query = query.where(table.c.type.not_in(MADE_BY_REBUILDING))
    return sorted((tuple(row) for row in connection.execute(query)), key=repr)
