"""Events: facts in chains, one chain per subject, and the batches in which they lie in the vault.

An event's hash is the SHA-256 (hex) of the canonical JSON of its document without `hash`; `previous` is the hash of
the event before it on the same subject. A `chain.resumed` is chained like any other: it says that events after the
one before it may have been lost with a catalogue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from archiver import canonical, times
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError
from archiver.values import Batch, Draft, Event, Principal
from archiver.vocabulary import EventType, Role

FIRST_PREVIOUS = "0" * 64
MAX_EVENT = 2**20
"""An event's line beyond this (bytes) is refused."""

_PRINCIPAL = ("id", "kind", "role", "purpose")
_EVENT = ("v", "id", "subject", "seq", "previous", "type", "time", "principal", "about", "payload", "hash")


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """Where a chain breaks first: the event's id, its place, and what is wrong, with both sides of it."""

    event: str
    seq: int
    expected: str
    found: str


def chain(draft: Draft, id: str, seq: int, previous: str) -> Event:
    """The event that `draft` becomes as number `seq` after the event whose hash is `previous`.

    FormatError if its payload can't be written as canonical JSON or is too large.
    """
    event = Event(
        id=id,
        subject=draft.subject,
        seq=seq,
        previous=previous,
        type=str(draft.type),
        time=times.utc(draft.time),
        principal=draft.principal,
        about=tuple(draft.about),
        payload=canonical.plain(dict(draft.payload)),
        hash="",
    )
    return replace(event, hash=hash_of(event))


def hash_of(event: Event) -> str:
    """The hash that `event` should have by its content."""
    document = to_document(event)
    del document["hash"]
    data = canonical.encode(document)
    if len(data) > MAX_EVENT:
        raise FormatError(f"event {event.id} has {len(data)} bytes; at most {MAX_EVENT} are kept")
    return sha256(data).hexdigest()


def to_document(event: Event) -> dict[str, Any]:
    """The event as a JSON object, with the fields that this program doesn't know where they were."""
    principal = event.principal
    others = event.extra.get("principal", {})
    return {
        **event.extra,
        "v": VERSION,
        "id": event.id,
        "subject": event.subject,
        "seq": event.seq,
        "previous": event.previous,
        "type": event.type,
        "time": times.to_text(event.time),
        "principal": {**others, **{name: getattr(principal, name) for name in _PRINCIPAL}},
        "about": list(event.about),
        "payload": dict(event.payload),
        "hash": event.hash,
    }


def from_document(document: Any) -> Event:
    """Reads `to_document`. FormatError for another shape; whether the hash fits is `check_chain`'s to say."""
    fields = Fields.versioned("event", document)
    principal = fields.inner("principal")
    extra = fields.others(_EVENT)
    if others := principal.others(_PRINCIPAL):
        extra["principal"] = others
    return Event(
        id=fields.text("id"),
        subject=fields.text("subject"),
        seq=fields.count("seq"),
        previous=fields.text("previous"),
        type=fields.text("type"),
        time=fields.moment("time"),
        principal=_principal(principal),
        about=fields.texts("about"),
        payload=dict(fields.inner("payload").values),
        hash=fields.text("hash"),
        extra=extra,
    )


def _principal(fields: Fields) -> Principal:
    role = fields.word("role", Role)
    return Principal(fields.text("id"), fields.text("kind"), role, fields.optional_text("purpose"))


def check_chain(events: Sequence[Event]) -> ChainProblem | None:
    """The first problem of one subject's whole chain, from seq 0, or None if it is unbroken."""
    previous = FIRST_PREVIOUS
    for seq, event in enumerate(events):
        problem = _check_link(event, events[0].subject, seq, previous)
        if problem:
            return problem
        previous = event.hash
    return None


def _check_link(event: Event, subject: str, seq: int, previous: str) -> ChainProblem | None:
    hashed = hash_of(event)
    for expected, found in (
        (f"subject {subject}", f"subject {event.subject}"),
        (f"seq {seq}", f"seq {event.seq}"),
        (f"previous {previous}", f"previous {event.previous}"),
        (f"hash {hashed}", f"hash {event.hash}"),
    ):
        if expected != found:
            return ChainProblem(event.id, event.seq, expected, found)
    return None


def possibly_lost_after(events: Sequence[Event]) -> list[int]:
    """Seqs of the events after which others may have been lost: those before each `chain.resumed`."""
    return [event.seq - 1 for event in events if event.type == EventType.CHAIN_RESUMED]


def batch_bytes(batch: Batch) -> bytes:
    """The batch as JSON lines, each canonical: a header, then its events. The same rows give the same bytes."""
    header = {"v": VERSION, "batch": batch.id, "previous": batch.previous, "events": len(batch.events)}
    lines = [header, *map(to_document, batch.events)]
    return b"".join(canonical.encode(line) + b"\n" for line in lines)


def parse_batch(data: bytes) -> Batch:
    """Reads `batch_bytes`; FormatError for anything else."""
    if len(data) > canonical.MAX_DOCUMENT:
        raise FormatError(f"a batch of {len(data)} bytes; at most {canonical.MAX_DOCUMENT} are read")
    header, *lines = data.split(b"\n")
    if not lines or lines.pop():
        raise FormatError("a batch must end with a line's end; this one is cut off")
    fields = Fields.versioned("batch", canonical.decode(header, MAX_EVENT))
    previous = None if fields.any("previous") is None else fields.digest("previous")
    # A line carries its hash beside what the hash covers, hence a little more than MAX_EVENT.
    events = tuple(from_document(canonical.decode(line, MAX_EVENT + 1024)) for line in lines)
    if len(events) != fields.count("events"):
        raise FormatError(f"a batch of {fields.count('events')} events has {len(events)}")
    return Batch(fields.text("batch"), previous, events)
