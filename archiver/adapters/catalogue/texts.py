"""The texts by which a capture is found, and the rows that the text index is made of."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from archiver.adapters.catalogue import tables, words
from archiver.adapters.catalogue.engine import inserting

Texts = Mapping[str, Sequence[str]]
"""Field -> its texts."""


def reindex(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Index the captures that `which` (a condition on the capture table) picks as they are now."""
    for id, texts in texts_of(connection, which).items():
        body = words.body(text for field in texts.values() for text in field)
        statement = inserting(connection, tables.search_document).values(capture=id, body=body)
        connection.execute(statement.on_conflict_do_update(index_elements=["capture"], set_={"body": body}))


def texts_of(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[str, Texts]:
    """The searched texts of each capture that `which` picks, by capture id."""
    capture, project, location = tables.capture, tables.project, tables.location
    query = (
        sa.select(capture.c.id, project.c.number, project.c.title, location.c.name, capture.c.title.label("own"))
        .join_from(capture, project, project.c.id == capture.c.project)
        .join(location, location.c.id == capture.c.location)
        .where(which)
        .order_by(capture.c.id)
    )
    sources = _source_names(connection, which)
    return {
        row.id: {
            "project.number": (row.number,),
            "project.title": (row.title,),
            "location.name": (row.name,),
            "source.name": sources.get(row.id, ()),
            "capture.title": (row.own,) if row.own else (),
        }
        for row in connection.execute(query)
    }


def _source_names(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[str, tuple[str, ...]]:
    capture, booked, source = tables.capture, tables.capture_source, tables.source
    query = (
        sa.select(booked.c.capture, source.c.name)
        .join_from(capture, booked, booked.c.capture == capture.c.id)
        .join(source, source.c.id == booked.c.source)
        .where(which)
        .order_by(booked.c.capture, booked.c.place)
    )
    names: dict[str, tuple[str, ...]] = {}
    for id, name in connection.execute(query):
        names[id] = (*names.get(id, ()), name)
    return names
