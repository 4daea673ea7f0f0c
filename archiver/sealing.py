"""Seals a capture: one signed manifest over every segment, with what is complete and what is missing (I13).

Order: bind the date, raise the locks of all that is listed, put the manifest, put its signature, state it as an
event. A manifest without a signature or an event is an unfinished seal, and is finished from its own bytes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver import coverage, keys, manifest, sidecar
from archiver.canonical import digest_of
from archiver.claims import Rolls
from archiver.coverage import Piece
from archiver.depositing import footage_late
from archiver.errors import FormatError, NotFoundError, StateError, TamperError
from archiver.manifest import Booking, Manifest, SegmentEntry, SourceStatement
from archiver.ports import Catalogue, Clock, Retention, Signer, Transaction, Vault
from archiver.readiness import Readiness, waiting
from archiver.seals import check_completeness, check_root
from archiver.times import to_text
from archiver.values import ARCHIVE, Capture, Draft, SealRow, Segment
from archiver.vocabulary import CaptureState, EventType

log = logging.getLogger(__name__)

SEALABLE = (CaptureState.SEALING, CaptureState.SEALED)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who seals: the archive's name and the program's name and version, as every manifest states them."""

    archive: str
    software: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """Seals captures whose time has come."""

    catalogue: Catalogue
    vault: Vault
    retention: Retention
    signer: Signer
    clock: Clock
    readiness: Readiness
    maker: Maker

    @property
    def _rolls(self) -> Rolls:
        return self.readiness.rolls

    def seal(self, capture: str) -> SealRow:
        """The capture's seal: a first revision, a further one if footage came since the last, else the last again.

        StateError while it is not ready. UnavailableError: try again.
        """
        known, until = self._begin(capture)
        key = keys.seal(known.site, known.id, known.revision + 1)
        data = self._unfinished(key, known) or self._new(known)
        if data is None:
            return self._last(known)
        sealed = manifest.parse(data)
        self._lock(sealed, until)
        self._put(key, data, until)
        self._sign(key, data, until)
        return self._state(sealed, key, data, until)

    def _begin(self, capture: str) -> tuple[Capture, datetime]:
        """The capture, in a state to be sealed, and the date that all it lists is locked until."""
        now = self.clock.now()
        with self.catalogue.transaction() as tx:
            known = tx.captures.get(capture)
            if known.state not in SEALABLE:
                raise StateError(f"capture {capture} is {known.state}; only a recorded one is sealed")
            if known.state is CaptureState.SEALING and not self.readiness(tx, known, now):
                missing = "; ".join(waiting(tx, known, self._rolls))
                raise StateError(f"capture {capture} isn't ready to be sealed: {missing}")
            return known, self.retention.bind(tx, [known], now)

    def _unfinished(self, key: str, capture: Capture) -> bytes | None:
        """A manifest that a run which was cut off left; None if there is none. TamperError for one that is not ours:
        whoever can write the vault must get no signature for it.
        """
        try:
            data = b"".join(self.vault.read(key))
        except NotFoundError:
            return None
        with self.catalogue.reading() as tx:
            problem = self._untrue(tx, key, capture, data)
        if problem:
            raise TamperError(f"{key} is no seal of this archive's making: {problem}; it is not signed")
        return data

    def _untrue(self, tx: Transaction, key: str, capture: Capture, data: bytes) -> str | None:
        """Why a manifest can't be one that was made of the catalogue's rows, footage that came since left aside."""
        try:
            sealed = manifest.parse(data)
            rows = {entry.key: tx.segments.get(entry.key) for entry in sealed.segments}
        except (FormatError, NotFoundError) as problem:
            return problem.message
        head = {event.seq: event.hash for event in tx.events.chain(capture.id)}.get(sealed.head[0])
        for is_so, words in (
            (sealed.booking == Booking.of(capture), "another booking"),
            (sealed.revision == capture.revision + 1, f"revision {sealed.revision}"),
            (sealed.previous == _before(tx, capture), "it follows another seal"),
            (sealed.head[1] == head, "another chain of events"),
            (all(SegmentEntry.of(rows[entry.key]) == entry for entry in sealed.segments), "other segments"),
        ):
            if not is_so:
                return words
        pieces = {
            statement.source: self._pieces(tx, [rows[entry.key] for entry in statement.segments])
            for statement in sealed.sources
        }
        findings = [check_root(key, sealed), *check_completeness(key, sealed, pieces)]
        return next((f"{finding.code} {finding.found}" for finding in findings if finding), None)

    def _new(self, capture: Capture) -> bytes | None:
        """The bytes of the next revision; None if the last one lists all that is there."""
        with self.catalogue.reading() as tx:
            last = next(reversed(tx.seals.of_capture(capture.id)), None)
            made = self._manifest(tx, capture)
        if last is not None and not self._is_news(made, last):
            return None
        return manifest.to_bytes(made)

    def _is_news(self, made: Manifest, last: SealRow) -> bool:
        sealed = manifest.parse(b"".join(self.vault.read(last.key)))
        return not {entry.key for entry in made.segments} <= {entry.key for entry in sealed.segments}

    def _manifest(self, tx: Transaction, capture: Capture) -> Manifest:
        head = tx.events.chain(capture.id)[-1]
        return Manifest(
            archive=self.maker.archive,
            booking=Booking.of(capture),
            revision=capture.revision + 1,
            previous=_before(tx, capture),
            sources=tuple(self._statement(tx, capture, source) for source in capture.sources),
            head=(head.seq, head.hash),
            vault=self.vault.label,
            sealed_at=self.clock.now(),
            ntp=self.clock.ntp_state(),
            software=self.maker.software,
            signer=self.signer.fingerprint,
            outstanding=tuple(waiting(tx, capture, self._rolls)),
        )

    def _statement(self, tx: Transaction, capture: Capture, source: str) -> SourceStatement:
        segments = self._rolls.segments(tx, capture, source)
        pieces = self._pieces(tx, segments)
        outages = tx.outages.touching(source, capture.window)
        covered = coverage.coverage(source, capture.window, pieces, outages, capture.stopped_at)
        return manifest.statement(covered, segments)

    def _pieces(self, tx: Transaction, segments: Sequence[Segment]) -> list[Piece]:
        return [coverage.piece(each, sidecar.unpack(tx.segments.fragments(each.key))) for each in segments]

    def _lock(self, sealed: Manifest, until: datetime) -> None:
        """Two captures may list one segment: its date is the latest of theirs."""
        for entry in sealed.segments:
            self.vault.extend(entry.key, entry.version, until)
            side = self.vault.stat(keys.sidecar(entry.key))
            self.vault.extend(side.key, side.version, until)

    def _put(self, key: str, data: bytes, until: datetime) -> None:
        self.vault.put(key, data, digest=digest_of(data), retain_until=until)

    def _sign(self, key: str, data: bytes, until: datetime) -> None:
        """A signature that is there already stays: a second one over the same bytes would differ."""
        signature = key.removesuffix("json") + "p7s"
        try:
            self.vault.stat(signature)
        except NotFoundError:
            self._put(signature, self.signer.sign(data), until)

    def _state(self, sealed: Manifest, key: str, data: bytes, until: datetime) -> SealRow:
        stated = sealed.completeness
        row = SealRow(
            capture=sealed.booking.id,
            revision=sealed.revision,
            key=key,
            digest=digest_of(data),
            merkle_root=sealed.merkle_root,
            signer=sealed.signer,
            sealed_at=sealed.sealed_at,
            recorded_us=stated.recorded_us,
            missing_us=stated.missing_us,
        )
        listed = [entry.key for entry in sealed.segments]
        with self.catalogue.transaction() as tx:
            tx.events.append(_sealed(row, self.clock.now()))
            tx.seals.list_segments(row.capture, row.revision, listed)
            for segment in listed:
                tx.segments.extend(segment, until)
            self._state_late(tx, tx.captures.get(row.capture), listed)
        if not row.recorded_us:
            log.error("capture %s caught nothing of its window; it is sealed with completeness 0", row.capture)
        return row

    def _state_late(self, tx: Transaction, capture: Capture, listed: Sequence[str]) -> None:
        """What was deposited while the manifest was being made asks for the next revision."""
        claimed = (self._rolls.segments(tx, capture, source) for source in capture.sources)
        for segment in (segment for segments in claimed for segment in segments if segment.key not in set(listed)):
            why = "it arrived while the capture was being sealed"
            tx.events.append(footage_late(segment, capture.id, why, self.clock.now()))

    def _last(self, capture: Capture) -> SealRow:
        with self.catalogue.reading() as tx:
            return tx.seals.of_capture(capture.id)[-1]


def _before(tx: Transaction, capture: Capture) -> tuple[int, str] | None:
    """Revision and digest of a capture's last seal."""
    last = next(reversed(tx.seals.of_capture(capture.id)), None)
    return (last.revision, last.digest) if last else None


def _sealed(row: SealRow, now: datetime) -> Draft:
    payload = {
        "id": row.capture,
        "revision": row.revision,
        "sha256": row.digest,
        "key": row.key,
        "merkle_root": row.merkle_root,
        "signer": row.signer,
        "recorded_us": row.recorded_us,
        "missing_us": row.missing_us,
        "sealed_at": to_text(row.sealed_at),
    }
    return Draft(row.capture, EventType.CAPTURE_SEALED, now, ARCHIVE, payload, urgent=True)
