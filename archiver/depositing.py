"""Takes a finished segment from a spool into the vault and the catalogue (I1 to I3).

Put segment, put sidecar, read the locks back, then one transaction. Any step may be repeated: the keys follow from
the recording and the sequence number alone. The caller removes its spool file only after `deposit` has returned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from archiver import keys, sidecar
from archiver.canonical import digest_of
from archiver.claims import Rolls
from archiver.errors import FormatError, TamperError, VaultUnavailableError
from archiver.ports import Catalogue, Clock, Retention, Transaction, Vault
from archiver.sidecar import Sidecar
from archiver.values import ARCHIVE, Capture, Draft, Segment, Stored
from archiver.vocabulary import CaptureState, EventType

LISTS_NO_MORE = frozenset({CaptureState.SEALED, CaptureState.DISPOSED})


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A segment on its way: its file, its sidecar as read and as stored, and its two keys."""

    media: Path
    side: Sidecar
    side_bytes: bytes
    key: str
    side_key: str

    @property
    def side_digest(self) -> str:
        return digest_of(self.side_bytes)


@dataclass(frozen=True, slots=True)
class Depositing:
    """Deposits segments. `pre_roll` and `post_roll` are how far a capture's claim reaches beyond its window.

    `on_late` is told, in the same transaction, of each sealed capture that footage arrived for: a further revision of
    its seal is due.
    """

    catalogue: Catalogue
    vault: Vault
    retention: Retention
    clock: Clock
    pre_roll: timedelta
    post_roll: timedelta
    on_late: Callable[[Transaction, Capture], None] = lambda _tx, _capture: None

    def deposit(self, media: Path, sidecar: bytes) -> Segment:
        """The row of the segment, committed; a repetition gives the same row.

        `media` is the segment's file, `sidecar` its sidecar's exact bytes. FormatError for a sidecar that can't be
        read; TamperError when the bytes differ from the sidecar or from what lies under the key already;
        UnavailableError: try again.
        """
        parcel = _parcel(media, sidecar)
        stored: Stored | None = None
        while True:
            with self.catalogue.transaction() as tx:
                captures = self._captures(tx, parcel.side)
                until = self._until(tx, captures)
                # A booking may have come in since the lock was set: then the lock is raised first, the row comes after.
                if stored is not None and _locked(stored, until):
                    return self._record(tx, parcel, stored, captures)
            stored = self._store(parcel, until)

    def _captures(self, tx: Transaction, side: Sidecar) -> Sequence[Capture]:
        """Those whose claim touches the segment."""
        return Rolls(self.pre_roll, self.post_roll).captures(tx, side.place.source, side.span)

    def _until(self, tx: Transaction, captures: Sequence[Capture]) -> datetime:
        now = self.clock.now()
        return self.retention.bind(tx, captures, now) if captures else self.retention.archive_lock(tx, now)

    def _store(self, parcel: _Parcel, until: datetime) -> Stored:
        stored = self._put(parcel.key, parcel.media, parcel.side.digest, until)
        self._put(parcel.side_key, parcel.side_bytes, parcel.side_digest, until)
        return stored

    def _put(self, key: str, data: bytes | Path, digest: str, until: datetime) -> Stored:
        """Put, then read back what the vault says of it (evidence rule 9)."""
        version = self.vault.put(key, data, digest=digest, retain_until=until).version
        stored = self.vault.stat(key, version)
        if stored.digest != digest:
            raise TamperError(f"{key} was put as {digest} and is {stored.digest}; the spool keeps its copy")
        if not _locked(stored, until):
            raise VaultUnavailableError(f"the vault locked {key} until {stored.retain_until}, not {until}; try again")
        return stored

    def _record(self, tx: Transaction, parcel: _Parcel, stored: Stored, captures: Sequence[Capture]) -> Segment:
        now = self.clock.now()
        segment = sidecar.segment_of(parcel.side, parcel.side_digest, stored, now)
        if not tx.segments.add(segment, sidecar.pack(parcel.side.fragments)):
            return tx.segments.get(parcel.key)
        over = [capture for capture in captures if capture.state in LISTS_NO_MORE]
        for capture in over:
            tx.events.append(footage_late(segment, capture.id, "it arrived after the capture was sealed", now))
            self.on_late(tx, capture)
        if not captures:
            tx.events.append(footage_late(segment, None, "it lies in no booked window", now))
        return segment


def footage_late(segment: Segment, capture: str | None, why: str, now: datetime) -> Draft:
    """States that a segment came for a sealed `capture` and asks for a new revision (I13), or for none at all."""
    payload = {"capture": capture, "segments": [segment.key], "why": why}
    about = (segment.source,) if capture else ()
    return Draft(capture or segment.source, EventType.FOOTAGE_LATE, now, ARCHIVE, payload, about)


def _parcel(media: Path, data: bytes) -> _Parcel:
    side = sidecar.parse(data)
    place = side.place
    key = keys.segment(place.site, place.source, place.recording, place.seq)
    if keys.parse_segment(key) is None:
        raise FormatError(f"the sidecar of {media.name} names a place that makes no key: {key!r}")
    return _Parcel(media, side, data, key, keys.sidecar(key))


def _locked(stored: Stored, until: datetime) -> bool:
    return stored.retain_until is not None and stored.retain_until >= until
