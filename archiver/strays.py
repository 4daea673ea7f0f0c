"""Finds what lies in the vault and belongs to nothing: keys of no known form, and media that no seal lists."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver import keys, sidecar
from archiver.claims import Rolls
from archiver.errors import FormatError, NotFoundError
from archiver.ledger import Ledger, error
from archiver.ports import Vault
from archiver.seals import Seals
from archiver.timeline import Interval
from archiver.times import from_text
from archiver.values import Event, Finding
from archiver.vocabulary import EventType, FindingCode


@dataclass(frozen=True, slots=True)
class _Claim:
    """A time of some sources that a capture asks for."""

    capture: str
    sources: frozenset[str]
    span: Interval


def find_strays(
    vault: Vault, ledger: Ledger, seals: Sequence[Seals], rolls: Rolls, within: Sequence[str] | None = None
) -> Iterator[Finding]:
    """What no seal of `seals` lists and nothing excuses: an unsealed capture's window, a `footage.late` event, or a
    seal or custody that can't be read (that is reported by itself).

    With `within` (prefixes of keys), only media under them that lies in a claim of one of `seals` counts.
    """
    listed = {key for each in seals for key in each.entries} | set(_late(ledger))
    claims = list(_claims(ledger, rolls))
    judged = {each.capture for each in seals if each.sound}
    whole = within is None
    prefixes = [""] if within is None else within
    for stored in (stored for prefix in prefixes for stored in vault.list(prefix)):
        key = keys.parse_segment(stored.key)
        if key is None:
            if whole and not (keys.is_known(stored.key) and _is_stated(stored.key, seals)):
                yield _unlisted(stored.key, "a key of the archive's form")
            continue
        media = keys.segment(key.site, key.source, key.recording, key.seq)
        if not ledger.sound or media in listed or (key.kind == "json" and _exists(vault, media)):
            continue
        span = _span(vault, media)
        asking = {claim.capture for claim in claims if _asks(claim, key.source, span)}
        if (whole and asking <= judged) or (not whole and asking and asking <= judged):
            yield _unlisted(stored.key, "a seal that lists it")


def _unlisted(key: str, expected: str) -> Finding:
    return error(FindingCode.SEGMENT_UNLISTED, key, expected, "an object that belongs to nothing")


def _is_stated(key: str, seals: Iterable[Seals]) -> bool:
    """A seal's file must be of a revision that was read as a seal."""
    return keys.parse_seal(key) is None or any(key in each.objects for each in seals)


def _late(ledger: Ledger) -> Iterator[str]:
    for event in ledger.of_type(EventType.FOOTAGE_LATE):
        yield from (str(key) for key in event.payload["segments"])


def _claims(ledger: Ledger, rolls: Rolls) -> Iterator[_Claim]:
    """What each capture that wasn't cancelled asks for, as its events left it."""
    for booked in ledger.of_type(EventType.CAPTURE_BOOKED):
        chain = ledger.chain(booked.subject)
        if any(event.type == EventType.CAPTURE_CANCELLED for event in chain):
            continue
        window, stopped_at = _window(booked, chain)
        span = window and rolls.claim(window, stopped_at)
        if span:
            yield _Claim(booked.subject, frozenset(map(str, booked.payload["sources"])), span)


def _window(booked: Event, chain: Sequence[Event]) -> tuple[Interval | None, datetime | None]:
    """A capture's window after its changes (None if it has no length), and when it was first stopped."""
    stated = {"start": booked.payload["start"], "end": booked.payload["end"]}
    stopped_at: datetime | None = None
    for event in chain:
        if event.type == EventType.CAPTURE_CHANGED:
            stated |= {name: event.payload[name] for name in stated if name in event.payload}
        elif event.type == EventType.CAPTURE_STOPPED and stopped_at is None:
            stopped_at = from_text(str(event.payload["at"]))
    start, end = from_text(str(stated["start"])), from_text(str(stated["end"]))
    return Interval(start, end) if start < end else None, stopped_at


def _span(vault: Vault, media: str) -> Interval | None:
    """Where a segment lies by its own sidecar; None if that can't be read."""
    try:
        return sidecar.parse(b"".join(vault.read(keys.sidecar(media)))).span
    except (FormatError, NotFoundError):
        return None


def _asks(claim: _Claim, source: str, span: Interval | None) -> bool:
    return span is not None and source in claim.sources and claim.span.overlaps(span)


def _exists(vault: Vault, key: str) -> bool:
    try:
        vault.stat(key)
    except NotFoundError:
        return False
    return True
