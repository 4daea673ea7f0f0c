"""Checks a capture's seals: that every revision that was stated is there, is what was signed, by whom, and says what
its own segments say. Nothing here reads a master's bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archiver import completeness, coverage, keys, manifest
from archiver.canonical import digest_of
from archiver.coverage import Piece
from archiver.errors import FormatError, NotFoundError
from archiver.ledger import Ledger, are_sound, error, untrusted
from archiver.manifest import Manifest, SegmentEntry, SourceStatement
from archiver.ports import SignatureChecker, Vault
from archiver.timeline import total
from archiver.times import MICROSECOND
from archiver.values import Event, Finding
from archiver.vocabulary import EventType, FindingCode


@dataclass(frozen=True, slots=True)
class Seals:
    """A capture's seals as they are found. `current` is the manifest of the highest revision, `sound` says that every
    revision that was stated is what it was, whoever signed it."""

    capture: str
    current: Manifest | None
    entries: Mapping[str, SegmentEntry]
    objects: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def exist(self) -> bool:
        """Whether a seal was stated or lies there at all."""
        return bool(self.objects or self.findings)

    @property
    def sound(self) -> bool:
        return are_sound(self.findings)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a manifest lies, and the digest of the revision before it (None if none is known)."""

    key: str
    site: str
    capture: str
    revision: int
    previous: str | None

    def problem(self, sealed: Manifest) -> tuple[str, str] | None:
        """What was expected and what is there, if the manifest is of another place: true, but not here."""
        there = (sealed.booking.site, sealed.booking.id, sealed.revision)
        if there != (self.site, self.capture, self.revision):
            return "the manifest of this capture and revision", keys.seal(*there)
        before = (self.revision - 1, self.previous) if self.previous else None
        if before and sealed.previous != before:
            return f"a manifest after {self.previous}", f"one after {sealed.previous}"
        return None


@dataclass(frozen=True, slots=True)
class SealReader:
    """Reads and checks seals. `roots` are PEM certificates that the caller trusts, None for no check of the signer."""

    vault: Vault
    checker: SignatureChecker
    roots: bytes | None

    def read(self, site: str, capture: str, ledger: Ledger) -> Seals:
        """Every stated revision of a capture, and one that lies there and isn't stated yet."""
        stated = _stated(ledger, capture)
        files = self._files(site, capture)
        present = [revision for revision, found in files.items() if keys.seal(site, capture, revision) in found]
        manifests: list[Manifest] = []
        findings: list[Finding] = []
        digests = {revision: str(event.payload["sha256"]) for revision, event in stated.items()}
        for revision in sorted({*stated, *present}):
            key = keys.seal(site, capture, revision)
            if revision not in present:
                findings.append(_missing(key, revision, present, stated.get(revision)))
                continue
            data = b"".join(self.vault.read(key))
            digests.setdefault(revision, digest_of(data))
            place = _Place(key, site, capture, revision, digests.get(revision - 1))
            sealed, found = self._revision(place, data, stated.get(revision), ledger)
            findings += found
            if sealed:
                manifests.append(sealed)
        entries = {entry.key: entry for sealed in manifests for entry in sealed.segments}
        objects = tuple(key for revision in {*stated, *present} for key in files.get(revision, ()))
        return Seals(capture, manifests[-1] if manifests else None, entries, objects, tuple(findings))

    def _files(self, site: str, capture: str) -> dict[int, list[str]]:
        """Revision -> the keys of its files."""
        found: dict[int, list[str]] = {}
        for stored in self.vault.list(f"{site}/{keys.CAPTURES}/{capture}"):
            key = keys.parse_seal(stored.key)
            if key:
                found.setdefault(key.revision, []).append(stored.key)
        return found

    def _revision(
        self, place: _Place, data: bytes, event: Event | None, ledger: Ledger
    ) -> tuple[Manifest | None, list[Finding]]:
        """One manifest, None where it isn't what was signed. The first thing that is wrong is the one reported."""
        key = place.key
        stated = str(event.payload["sha256"]) if event else None
        if stated not in (None, digest_of(data)):
            return None, [error(FindingCode.MANIFEST_EDITED, key, str(stated), digest_of(data))]
        try:
            sealed = manifest.parse(data)
        except FormatError as problem:
            return None, [error(FindingCode.MANIFEST_EDITED, key, "a manifest", str(problem))]
        try:
            signature = b"".join(self.vault.read(_signature_key(key)))
        except NotFoundError:
            missing = error(FindingCode.SIGNATURE_INVALID, _signature_key(key), "a signature", "nothing")
            # Neither signed nor stated: an unfinished seal, which counts for nothing until the next run finishes it.
            return (sealed, [missing]) if event else (None, [])
        if misplaced := place.problem(sealed):
            return None, [error(FindingCode.MANIFEST_EDITED, key, *misplaced)]
        unsound = self._signature(key, data, signature) or _head(sealed, ledger)
        return sealed, [unsound] if unsound else []

    def _signature(self, key: str, data: bytes, signature: bytes) -> Finding | None:
        check = self.checker.check(data, signature, self.roots)
        if not check.intact:
            expected = f"a signature over {digest_of(data)}"
            return error(FindingCode.SIGNATURE_INVALID, _signature_key(key), expected, check.reason)
        if check.trusted is False:
            return untrusted(check)
        return None


def _signature_key(key: str) -> str:
    return key.removesuffix("json") + "p7s"


def _stated(ledger: Ledger, capture: str) -> dict[int, Event]:
    sealed = (event for event in ledger.chain(capture) if event.type == EventType.CAPTURE_SEALED)
    return {int(event.payload["revision"]): event for event in sealed}


def _missing(key: str, revision: int, present: Sequence[int], event: Event | None) -> Finding:
    """A removed last revision would leave an older seal looking current: the chain of events knows better."""
    earlier = present and revision > max(present)
    code = FindingCode.CUSTODY_TRUNCATED if earlier else FindingCode.MANIFEST_MISSING
    expected = str(event.payload["sha256"]) if event else "a manifest"
    return error(code, key, expected, "nothing")


def _head(sealed: Manifest, ledger: Ledger) -> Finding | None:
    """The capture's chain must reach as far as it did when it was sealed (unless custody is reported already)."""
    seq, hash = sealed.head
    chain = {event.seq: event.hash for event in ledger.chain(sealed.booking.id)}
    if not ledger.sound or chain.get(seq) == hash:
        return None
    code = FindingCode.CUSTODY_BROKEN if seq in chain else FindingCode.CUSTODY_TRUNCATED
    return error(code, f"{sealed.booking.id}#{seq}", f"hash {hash}", f"hash {chain.get(seq, 'of no event')}")


def check_root(key: str, sealed: Manifest) -> Finding | None:
    """The Merkle root must be that of the segments listed."""
    if sealed.computed_root == sealed.merkle_root:
        return None
    return error(FindingCode.MERKLE_ROOT, key, sealed.computed_root, sealed.merkle_root)


def check_completeness(key: str, sealed: Manifest, pieces: Mapping[str, Sequence[Piece] | None]) -> list[Finding]:
    """What is stated must add up and be what the segments show. `pieces`: per source, None where a segment can't be
    read (that is reported by itself)."""
    stated = {statement.source for statement in sealed.sources}
    problems = [f"source {source}: no statement" for source in sealed.booking.sources if source not in stated]
    for statement in sealed.sources:
        problem = _incomplete(sealed, statement, pieces.get(statement.source))
        problems += [f"source {statement.source}: {problem}"] if problem else []
    expected = "recorded + missing = expected, as the segments show"
    return [error(FindingCode.COMPLETENESS, key, expected, "; ".join(problems))] if problems else []


def _incomplete(sealed: Manifest, statement: SourceStatement, pieces: Sequence[Piece] | None) -> str | None:
    window = sealed.booking.window
    if problem := completeness.problem(window, statement.completeness, statement.gaps):
        return problem
    if pieces is None:
        return None
    shown = coverage.coverage(statement.source, window, pieces, (), sealed.booking.stopped_at)
    recorded, claimed = total(shown.recorded) // MICROSECOND, statement.completeness.recorded_us
    if recorded != claimed:
        return f"{claimed} us recorded are stated; the segments show {recorded} us"
    holes = completeness.unstated(shown, statement.gaps)
    return f"{len(holes)} holes are not stated, the first from {holes[0].start}" if holes else None
