"""Finding captures: every filter narrows, and each hit says what matched."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from archiver.adapters.catalogue import paging, rows, tables
from archiver.adapters.catalogue.captures import with_sources
from archiver.adapters.catalogue.texts import texts_of
from archiver.adapters.catalogue.words import Phrase, fields_with, phrases
from archiver.values import Capture, Hit, Page, Query


class SqlSearch:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, query: Query, limit: int, cursor: str | None = None) -> Page[Hit]:
        """`why` names the filters that were asked for (project, location, source, time, state) and the texts that
        hold a part of the asked text (`text:project.title`, ...). Text without a letter or digit finds nothing.
        """
        table = tables.capture
        wanted = phrases(query.text or "")
        found = sa.select(table).where(*_filters(query)).where(paging.older_than(cursor, table.c.start_at, table.c.id))
        if (query.text or "").strip():
            found = found.where(self._holding(wanted))
        ordered = found.order_by(table.c.start_at.desc(), table.c.id.desc()).limit(paging.checked_limit(limit) + 1)
        page = paging.page(self._connection.execute(ordered).mappings().all(), limit, paging.window_cursor)
        captures = with_sources(self._connection, page.items)
        return Page(tuple(self._hits(captures, query, wanted)), page.next)

    def _holding(self, wanted: Sequence[Phrase]) -> sa.ColumnElement[bool]:
        """The captures whose texts hold all of `wanted`."""
        if not wanted:
            return sa.false()
        document = tables.search_document
        if self._connection.dialect.name == "sqlite":
            matches = sa.text("number IN (SELECT rowid FROM search_index WHERE search_index MATCH :wanted)")
            held = matches.bindparams(wanted=_fts5(wanted))
        else:
            matches = sa.text("to_tsvector('simple', body) @@ to_tsquery('simple', :wanted)")
            held = matches.bindparams(wanted=_tsquery(wanted))
        return tables.capture.c.id.in_(sa.select(document.c.capture).where(held))

    def _hits(self, captures: Sequence[Capture], query: Query, wanted: Sequence[Phrase]) -> list[Hit]:
        asked = _asked(query)
        projects = self._by_id(tables.project, [capture.project for capture in captures])
        locations = self._by_id(tables.location, [capture.location for capture in captures])
        texts = texts_of(self._connection, tables.capture.c.id.in_([capture.id for capture in captures]))
        return [
            Hit(
                capture,
                rows.project(projects[capture.project]),
                rows.location(locations[capture.location]),
                (query.span and capture.window.common(query.span)) or capture.window,
                (*asked, *(f"text:{name}" for name in fields_with(wanted, texts[capture.id]))),
            )
            for capture in captures
        ]

    def _by_id(self, table: sa.Table, ids: Sequence[str]) -> dict[str, sa.RowMapping]:
        found = self._connection.execute(sa.select(table).where(table.c.id.in_(set(ids)))).mappings()
        return {row["id"]: row for row in found}


def _filters(query: Query) -> list[sa.ColumnElement[bool]]:
    table, booked = tables.capture, tables.capture_source
    filters: list[sa.ColumnElement[bool]] = [table.c.organisation == query.organisation]
    for column, value in ((table.c.project, query.project), (table.c.location, query.location)):
        if value is not None:
            filters.append(column == value)
    if query.state is not None:
        filters.append(table.c.state == query.state)
    if query.source is not None:
        filters.append(table.c.id.in_(sa.select(booked.c.capture).where(booked.c.source == query.source)))
    if query.span is not None:
        filters += [table.c.start_at < query.span.end, table.c.end_at > query.span.start]
    return filters


def _asked(query: Query) -> list[str]:
    filters: dict[str, Any] = {
        "project": query.project,
        "location": query.location,
        "source": query.source,
        "time": query.span,
        "state": query.state,
    }
    return [name for name, value in filters.items() if value is not None]


def _fts5(wanted: Sequence[Phrase]) -> str:
    """As an FTS5 query. Words hold letters and digits alone, so quotes are all the escaping there is to do."""
    return " AND ".join(f'"{" ".join(phrase.words)}" *' for phrase in wanted)


def _tsquery(wanted: Sequence[Phrase]) -> str:
    """As a PostgreSQL tsquery, quoted for the same reason."""
    return " & ".join("(" + " <-> ".join(f"'{word}'" for word in phrase.words) + ":*)" for phrase in wanted)
