"""Rows of few words: jobs, tokens, views, idempotency keys and renditions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from archiver.adapters.catalogue import rows, tables
from archiver.adapters.catalogue.engine import inserting, wrote
from archiver.adapters.catalogue.registry import one
from archiver.errors import NotFoundError
from archiver.values import Job, Token, View
from archiver.vocabulary import JobName, JobState


class SqlJobRows:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, job: Job) -> bool:
        statement = inserting(self._connection, tables.job).values(**_of_job(job))
        return wrote(self._connection, statement.on_conflict_do_nothing(index_elements=["id"]))

    def get(self, id: str) -> Job:
        return rows.job(one(self._connection, tables.job, id))

    def in_state(self, state: JobState, limit: int = 100) -> Sequence[Job]:
        table = tables.job
        asked = sa.select(table).where(table.c.state == state).order_by(table.c.created_at.desc()).limit(limit)
        return [rows.job(row) for row in self._connection.execute(asked).mappings()]

    def update(self, job: Job) -> None:
        """NotFoundError if it was never added."""
        table = tables.job
        changed = self._connection.execute(sa.update(table).where(table.c.id == job.id).values(**_of_job(job)))
        if changed.rowcount == 0:
            raise NotFoundError(f"no job {job.id}")

    def forget(self, names: Collection[JobName], before: datetime) -> int:
        table = tables.job
        done = sa.delete(table).where(
            table.c.name.in_(list(names)), table.c.state == JobState.DONE, table.c.created_at < before
        )
        return self._connection.execute(done).rowcount


def _of_job(job: Job) -> Mapping[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "arguments": dict(job.arguments),
        "created_at": job.created_at,
        "done": job.done,
        "total": job.total,
        "attempts": job.attempts,
        "error": job.error,
        "result": None if job.result is None else dict(job.result),
    }


class SqlTokens:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def by_digest(self, digest: str) -> Token | None:
        table = tables.token
        row = self._connection.execute(sa.select(table).where(table.c.digest == digest)).mappings().one_or_none()
        return None if row is None else rows.token(row)

    def all(self, organisation: str) -> Sequence[Token]:
        """In the order in which they were made; revoked ones too."""
        table = tables.token
        query = sa.select(table).where(table.c.organisation == organisation).order_by(table.c.id)
        return [rows.token(row) for row in self._connection.execute(query).mappings()]


class SqlViews:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, principal: str, capture: str, source: str) -> View | None:
        table = tables.view
        query = sa.select(table).where(
            table.c.principal_id == principal, table.c.capture == capture, table.c.source == source
        )
        row = self._connection.execute(query.order_by(table.c.last_at.desc(), table.c.id).limit(1)).mappings().first()
        return None if row is None else rows.view(row)

    def put(self, view: View) -> None:
        values = {
            "principal_id": view.principal.id,
            "principal": rows.of_principal(view.principal),
            "capture": view.capture,
            "source": view.source,
            "opened_at": view.opened_at,
            "last_at": view.last_at,
            "ranges": [list(span) for span in view.ranges],
        }
        statement = inserting(self._connection, tables.view).values(id=view.id, **values)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    def idle(self, before: datetime) -> Sequence[View]:
        """Those last seen at `before` or earlier, the longest idle first."""
        table = tables.view
        query = sa.select(table).where(table.c.last_at <= before).order_by(table.c.last_at, table.c.id)
        return [rows.view(row) for row in self._connection.execute(query).mappings()]

    def remove(self, id: str) -> None:
        """Idempotent."""
        self._connection.execute(sa.delete(tables.view).where(tables.view.c.id == id))


class SqlRequests:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, principal: str, key: str) -> tuple[str, str] | None:
        table = tables.request
        query = sa.select(table.c.digest, table.c.made).where(table.c.principal == principal, table.c.key == key)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (row.digest, row.made)

    def put(self, principal: str, key: str, digest: str, made: str) -> None:
        """ConflictError, at the end of the transaction's block, if the key has its answer already."""
        values = {"principal": principal, "key": key, "digest": digest, "made": made}
        self._connection.execute(sa.insert(tables.request).values(**values))


class SqlRenditions:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, made_of: str, profile: str, path: str, digest: str, size: int) -> None:
        """A newer copy takes the place of the older."""
        made = {"path": path, "digest": digest, "size": size}
        statement = inserting(self._connection, tables.rendition).values(made_of=made_of, profile=profile, **made)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["made_of", "profile"], set_=made))

    def get(self, made_of: str, profile: str) -> tuple[str, str, int] | None:
        table = tables.rendition
        query = sa.select(table.c.path, table.c.digest, table.c.size).where(
            table.c.made_of == made_of, table.c.profile == profile
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (row.path, row.digest, row.size)
