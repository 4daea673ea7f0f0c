"""Makes the catalogue again from the vault alone (I9): facts from the events, footage from the sidecars, what a seal
lists from its manifest, duties from the windows still open. What the vault doesn't hold is named.

A rebuild that was cut off is simply run again: everything but its last transaction may be repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from archiver import keys, manifest, sidecar
from archiver.canonical import digest_of
from archiver.errors import ConflictError, FormatError, NotFoundError
from archiver.ledger import stored_batches, stored_checkpoints
from archiver.ports import Catalogue, Clock, Transaction, Vault
from archiver.times import to_text
from archiver.values import ARCHIVE, Assignment, Batch, Draft, Stored
from archiver.vocabulary import CaptureState, EventType

TOGETHER = 200
"""Segments that are added in one transaction."""

NEVER_KEPT = ("sessions", "open views", "jobs and their results", "idempotency keys", "browser copies")
"""What is in no vault, and is lost with every catalogue."""

Replan = Callable[[Transaction, str, datetime], None]
"""Brings the duties of a source in step with its captures."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made again, and what is gone. Events after `last_event_at` may be lost (None: there were none)."""

    batches: int
    events: int
    segments: int
    seals: int
    last_event_at: datetime | None
    gone: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Rebuilds into a catalogue that has its tables and nothing of its own in them."""

    catalogue: Catalogue
    vault: Vault
    clock: Clock
    replan: Replan

    def rebuild(self, plans: Sequence[Assignment] = ()) -> Rebuilt:
        """`plans` are the workers' plans found on disk: source addresses, still sealed, that are in no vault.

        ConflictError if the catalogue knows facts that the vault doesn't. TamperError if the vault's events are not
        what they were.
        """
        batches = stored_batches(self.vault)
        self._refuse_newer([batch for batch, _ in batches])
        events = self._replay(batches)
        segments, damaged = self._segments()
        seals, unread = self._seals()
        gone = [*damaged, *unread]
        last = max((event.time for batch, _ in batches for event in batch.events), default=None)
        with self.catalogue.transaction() as tx:
            gone += self._addresses(tx, _sources(batches), plans)
            result = Rebuilt(len(batches), events, segments, seals, last, (*gone, *NEVER_KEPT))
            self._resume(tx, result)
        return result

    def _refuse_newer(self, batches: Sequence[Batch]) -> None:
        known = {event.id for batch in batches for event in batch.events}
        with self.catalogue.reading() as tx:
            for subject, (seq, _) in tx.events.heads().items():
                if any(event.id not in known for event in tx.events.chain(subject, after=seq - 1)):
                    raise ConflictError(
                        f"the catalogue knows events of {subject} that the vault doesn't; rebuild into an empty one"
                    )

    def _replay(self, batches: Sequence[tuple[Batch, str]]) -> int:
        new = 0
        for batch, digest in batches:
            with self.catalogue.transaction() as tx:
                new += tx.events.replay(batch, digest)
        with self.catalogue.transaction() as tx:
            for number, digest in stored_checkpoints(self.vault).items():
                tx.events.checkpoint_stored(number, digest)
        return new

    def _segments(self) -> tuple[int, list[str]]:
        """How many segments the vault holds, and those that can't be placed for want of a sidecar."""
        count, damaged = 0, []
        masters = (stored for stored in self.vault.list() if _is_master(stored.key))
        while some := list(islice(masters, TOGETHER)):
            with self.catalogue.transaction() as tx:
                for stored in some:
                    problem = self._segment(tx, stored)
                    damaged += [problem] if problem else []
            count += len(some)
        return count - len(damaged), damaged

    def _segment(self, tx: Transaction, stored: Stored) -> str | None:
        """Add a segment's row with its index; in words why it can't be."""
        try:
            data = b"".join(self.vault.read(keys.sidecar(stored.key)))
            side = sidecar.parse(data)
            segment = sidecar.segment_of(side, digest_of(data), stored, self.clock.now())
        except (FormatError, NotFoundError) as problem:
            return f"the place in time of segment {stored.key}: {problem}"
        tx.segments.add(segment, sidecar.pack(side.fragments))
        return None

    def _seals(self) -> tuple[int, list[str]]:
        """How many revisions there are, and those whose manifests can't be read."""
        with self.catalogue.reading() as tx:
            sealed = tx.captures.in_states([CaptureState.SEALED, CaptureState.DISPOSED])
            rows = [row for capture in sealed for row in tx.seals.of_capture(capture.id)]
        unread = []
        for row in rows:
            try:
                listed = manifest.parse(b"".join(self.vault.read(row.key))).segments
            except (FormatError, NotFoundError) as problem:
                unread.append(f"what seal {row.key} lists: {problem}")
                continue
            with self.catalogue.transaction() as tx:
                tx.seals.list_segments(row.capture, row.revision, [entry.key for entry in listed])
        return len(rows), unread

    def _addresses(self, tx: Transaction, sources: Sequence[str], plans: Sequence[Assignment]) -> list[str]:
        """Give sources their sealed addresses from the plans, and their duties; name those that have none."""
        sealed = {plan.duty.source: plan.sealed_address for plan in plans}
        gone = []
        for source in map(tx.registry.source, sources):
            if source.id in sealed:
                tx.registry.set_sealed_address(source.id, sealed[source.id])
            elif not source.removed:
                gone.append(f"the address of source {source.id} ({source.name}): enter it again")
            self.replan(tx, source.id, self.clock.now())
        return gone

    def _resume(self, tx: Transaction, result: Rebuilt) -> None:
        """Every chain says that what came after its last event may be lost."""
        now = self.clock.now()
        for subject, (seq, _) in tx.events.heads().items():
            tx.events.append(Draft(subject, EventType.CHAIN_RESUMED, now, ARCHIVE, {"after": seq}))
        payload = {
            "batches": result.batches,
            "events": result.events,
            "segments": result.segments,
            "seals": result.seals,
            "last_event_at": to_text(result.last_event_at) if result.last_event_at else None,
            "gone": list(result.gone),
        }
        tx.events.append(Draft("system", EventType.CATALOGUE_REBUILT, now, ARCHIVE, payload, urgent=True))


def _is_master(key: str) -> bool:
    segment = keys.parse_segment(key)
    return segment is not None and segment.kind == "mp4"


def _sources(batches: Sequence[tuple[Batch, str]]) -> list[str]:
    return [event.subject for batch, _ in batches for event in batch.events if event.type == EventType.SOURCE_ADDED]
