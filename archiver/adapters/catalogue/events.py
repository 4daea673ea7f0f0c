"""Chains of facts, and the batches in which they leave for the vault."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from archiver import events
from archiver.adapters.catalogue import tables
from archiver.adapters.catalogue.columns import YES
from archiver.adapters.catalogue.engine import inserting, one_at_a_time, telling
from archiver.adapters.catalogue.projection import project
from archiver.errors import ConflictError, NotFoundError, TamperError
from archiver.ids import NewId
from archiver.values import Batch, Draft, Event
from archiver.vocabulary import EventType

_BATCHES = "batches"


class SqlEvents:
    def __init__(self, connection: sa.Connection, new_id: NewId) -> None:
        self._connection = connection
        self._new_id = new_id

    # -------------------------------------------------------------- chains

    def append(self, draft: Draft) -> Event:
        """StateError, NotFoundError, ConflictError or FormatError, and neither event nor rows stand, if the fact
        doesn't fit what is there.
        """
        one_at_a_time(self._connection, f"chain {draft.subject}")
        seq, previous = self._head(draft.subject)
        event = events.chain(draft, self._new_id(), seq + 1, previous)
        self._keep(event, urgent=draft.urgent)
        return event

    def chain(self, subject: str, after: int = -1) -> Sequence[Event]:
        table = tables.event
        query = sa.select(table.c.document).where(table.c.subject == subject, table.c.seq > after)
        return self._all(query.order_by(table.c.seq))

    def heads(self) -> Mapping[str, tuple[int, str]]:
        table = tables.chain_head
        query = sa.select(table.c.subject, table.c.seq, table.c.hash).order_by(table.c.subject)
        return {subject: (seq, hash) for subject, seq, hash in self._connection.execute(query)}

    def heads_after(self, batch: str) -> Mapping[str, tuple[int, str]]:
        """NotFoundError for an unknown batch."""
        table, batches = tables.event, tables.batch
        number = self._connection.execute(sa.select(batches.c.number).where(batches.c.id == batch)).scalar()
        if number is None:
            raise NotFoundError(f"no batch {batch}")
        until = sa.select(batches.c.id).where(batches.c.number <= number)
        last = (
            sa.select(table.c.subject, sa.func.max(table.c.seq).label("seq"))
            .where(table.c.batch.in_(until))
            .group_by(table.c.subject)
            .subquery()
        )
        there = sa.and_(table.c.subject == last.c.subject, table.c.seq == last.c.seq)
        query = sa.select(table.c.subject, table.c.seq, table.c.hash).join(last, there)
        return {subject: (seq, hash) for subject, seq, hash in self._connection.execute(query)}

    def _head(self, subject: str) -> tuple[int, str]:
        table = tables.chain_head
        query = sa.select(table.c.seq, table.c.hash).where(table.c.subject == subject)
        row = self._connection.execute(query).one_or_none()
        return (-1, events.FIRST_PREVIOUS) if row is None else (row.seq, row.hash)

    def _keep(self, event: Event, *, urgent: bool = False, batch: str | None = None) -> None:
        """Event and projection together or neither, also when the caller goes on after the error."""
        with telling(), self._connection.begin_nested():
            self._add(event, urgent, batch)
            project(self._connection, event)

    def _add(self, event: Event, urgent: bool, batch: str | None) -> None:
        values = {
            "id": event.id,
            "subject": event.subject,
            "seq": event.seq,
            "type": event.type,
            "time": event.time,
            "hash": event.hash,
            "document": events.to_document(event),
        }
        self._connection.execute(sa.insert(tables.event).values(**values, urgent=urgent, batch=batch))
        head = {"seq": event.seq, "hash": event.hash}
        statement = inserting(self._connection, tables.chain_head).values(subject=event.subject, **head)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=head))

    def _all(self, query: sa.Select[tuple[object]]) -> list[Event]:
        return [events.from_document(document) for document in self._connection.execute(query).scalars()]

    # -------------------------------------------------------------- batches

    def replay(self, batch: Batch, digest: str) -> int:
        """TamperError, and nothing stands, if an event doesn't fit its hash or the chain before it."""
        one_at_a_time(self._connection, _BATCHES)
        self._know(batch, digest)
        known = self._hashes([event.id for event in batch.events])
        new = [event for event in batch.events if not _is_known(event, known)]
        for event in new:
            self._check(event)
            self._keep(event, batch=batch.id)
        return len(new)

    def _know(self, batch: Batch, digest: str) -> None:
        table = tables.batch
        known = self._connection.execute(sa.select(table).where(table.c.id == batch.id)).mappings().one_or_none()
        if known is None:
            self._add_batch(batch.id, batch.previous, digest)
        elif known["digest"] is None:
            self.batch_stored(batch.id, digest)
        elif known["digest"] != digest:
            raise TamperError(f"batch {batch.id} is known as {known['digest']}, and now comes as {digest}")

    def _hashes(self, ids: Sequence[str]) -> Mapping[str, str]:
        table = tables.event
        query = sa.select(table.c.id, table.c.hash).where(table.c.id.in_(ids))
        return {row.id: row.hash for row in self._connection.execute(query)}

    def _check(self, event: Event) -> None:
        seq, previous = self._head(event.subject)
        hashed = events.hash_of(event)
        if event.hash != hashed:
            raise TamperError(f"event {event.id} has hash {event.hash}; its content gives {hashed}")
        anew = event.type == EventType.CHAIN_RESUMED and event.previous == events.FIRST_PREVIOUS and event.seq > seq
        if (event.seq, event.previous) != (seq + 1, previous) and not anew:
            raise TamperError(
                f"event {event.id} is number {event.seq} of {event.subject} after {event.previous}; the chain "
                f"stands at number {seq}, {previous}"
            )

    def waiting(self) -> tuple[datetime | None, datetime | None]:
        table = tables.event
        oldest = sa.select(sa.func.min(table.c.time)).where(table.c.batch.is_(None))
        urgent = oldest.where(table.c.urgent == YES)
        return self._connection.execute(oldest).scalar(), self._connection.execute(urgent).scalar()

    def take_batch(self, id: str) -> Batch | None:
        """ConflictError while the batch before is not stored: its digest belongs into this one."""
        one_at_a_time(self._connection, _BATCHES)
        table = tables.batch
        known = self._connection.execute(sa.select(table.c.previous).where(table.c.id == id)).one_or_none()
        if known is not None:
            return Batch(id, known.previous, self._of_batch(id))
        if self.waiting() == (None, None):
            return None
        previous = self._last_digest()
        self._add_batch(id, previous, None)
        event = tables.event
        self._connection.execute(sa.update(event).where(event.c.batch.is_(None)).values(batch=id))
        return Batch(id, previous, self._of_batch(id))

    def _of_batch(self, id: str) -> tuple[Event, ...]:
        table = tables.event
        return tuple(self._all(sa.select(table.c.document).where(table.c.batch == id).order_by(table.c.position)))

    def _last_digest(self) -> str | None:
        table = tables.batch
        query = sa.select(table.c.id, table.c.digest).order_by(table.c.number.desc()).limit(1)
        last = self._connection.execute(query).one_or_none()
        if last is None:
            return None
        if last.digest is None:
            raise ConflictError(f"batch {last.id} is not in the vault yet; store it first")
        return str(last.digest)

    def _add_batch(self, id: str, previous: str | None, digest: str | None) -> None:
        table = tables.batch
        last = self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.number), 0))).scalar_one()
        self._connection.execute(sa.insert(table).values(id=id, number=last + 1, previous=previous, digest=digest))

    def unstored_batches(self) -> Sequence[str]:
        table = tables.batch
        query = sa.select(table.c.id).where(table.c.digest.is_(None)).order_by(table.c.number)
        return self._connection.execute(query).scalars().all()

    def batch_stored(self, id: str, digest: str) -> None:
        """Idempotent. NotFoundError for an unknown batch, TamperError if it was stored with another digest."""
        table = tables.batch
        known = self._connection.execute(sa.select(table.c.digest).where(table.c.id == id)).one_or_none()
        if known is None:
            raise NotFoundError(f"no batch {id}")
        if known.digest not in (None, digest):
            raise TamperError(f"batch {id} was stored as {known.digest}, and now comes as {digest}")
        self._connection.execute(sa.update(table).where(table.c.id == id).values(digest=digest))

    # -------------------------------------------------------------- checkpoints

    def last_checkpoint(self) -> tuple[int, str | None]:
        table = tables.checkpoint
        query = sa.select(table.c.number, table.c.digest).order_by(table.c.number.desc()).limit(1)
        last = self._connection.execute(query).one_or_none()
        return (0, None) if last is None else (last.number, last.digest)

    def checkpoint_stored(self, number: int, digest: str) -> None:
        """Idempotent. TamperError if this number was stored with another digest."""
        table = tables.checkpoint
        statement = inserting(self._connection, table).values(number=number, digest=digest)
        self._connection.execute(statement.on_conflict_do_nothing(index_elements=["number"]))
        known = self._connection.execute(sa.select(table.c.digest).where(table.c.number == number)).scalar_one()
        if known != digest:
            raise TamperError(f"checkpoint {number} was stored as {known}, and now comes as {digest}")


def _is_known(event: Event, known: Mapping[str, str]) -> bool:
    hash = known.get(event.id)
    if hash is not None and hash != event.hash:
        raise TamperError(f"event {event.id} is known with hash {hash}, and now comes with {event.hash}")
    return hash is not None
