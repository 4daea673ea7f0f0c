"""Verifies what the vault holds, by the vault alone: the catalogue may be gone, the home may be a copy.

The numbered checks are those of `CHECKS`. Every byte of every listed segment is read again. One fault gives one
finding: what follows from a fault that is reported is not reported too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver import coverage, keys, sidecar
from archiver.claims import Rolls
from archiver.errors import NotFoundError
from archiver.ledger import Ledger, error, read_ledger
from archiver.masters import Master, MasterReader
from archiver.ports import Catalogue, Progress, SignatureChecker, Vault
from archiver.seals import SealReader, Seals, check_completeness, check_root
from archiver.strays import find_strays
from archiver.times import to_text
from archiver.values import Check, Draft, Finding, Principal, Stored, Verification
from archiver.vocabulary import EventType, FindingCode, Severity

CHECKS: tuple[tuple[str, frozenset[FindingCode]], ...] = (
    ("the manifest is there", frozenset({FindingCode.MANIFEST_MISSING})),
    ("the manifest is what was signed", frozenset({FindingCode.MANIFEST_EDITED})),
    ("the signature is valid", frozenset({FindingCode.SIGNATURE_INVALID})),
    ("the signer is trusted", frozenset({FindingCode.SIGNER_UNTRUSTED})),
    ("every segment is there, whole", frozenset({FindingCode.SEGMENT_MISSING, FindingCode.SEGMENT_TRUNCATED})),
    ("every segment has its digest", frozenset({FindingCode.SEGMENT_DIGEST})),
    ("nothing is there that no seal lists", frozenset({FindingCode.SEGMENT_UNLISTED})),
    ("every segment is the media it claims", frozenset({FindingCode.SEGMENT_UNREADABLE})),
    ("the Merkle root is that of the segments", frozenset({FindingCode.MERKLE_ROOT})),
    ("every second is accounted for", frozenset({FindingCode.COMPLETENESS})),
    ("the chain of custody is unbroken", frozenset({FindingCode.CUSTODY_BROKEN})),
    ("the chain of custody is whole", frozenset({FindingCode.CUSTODY_TRUNCATED})),
    ("the locks last as long as they must", frozenset({FindingCode.RETENTION_SHORT, FindingCode.LOCK_ABSENT})),
)
"""What is checked, in the order of its numbers (from 1), and the findings that each can give."""

NO_ROOTS = "the signer is not checked against a root that you hold"


@dataclass(frozen=True, slots=True)
class Verifying:
    """Verifies captures. `roots` are PEM certificates that the caller trusts, None for no check of the signer.

    With a `catalogue`, events that haven't left for the vault yet count too, and a vault that lost its newest
    checkpoint is noticed.
    """

    vault: Vault
    checker: SignatureChecker
    rolls: Rolls
    roots: bytes | None = None
    catalogue: Catalogue | None = None

    def verify(self, capture: str, progress: Progress | None = None) -> Verification:
        """Verify one sealed capture. NotFoundError if the vault knows no such seal."""
        ledger = self._ledger()
        site = _site(ledger, capture) or self._lying().get(capture)
        seals = self._reader().read(site, capture, ledger) if site else None
        if seals is None or not seals.exist:
            raise NotFoundError(f"the vault holds no seal of capture {capture}")
        return self._verify(ledger, [seals], progress, within=_places(seals))

    def verify_all(self, progress: Progress | None = None) -> Verification:
        """Verify every sealed capture, and that nothing else lies in the vault."""
        ledger = self._ledger()
        sealed = {event.subject for event in ledger.of_type(EventType.CAPTURE_SEALED)}
        stated = {capture: site for capture in sealed if (site := _site(ledger, capture))}
        reader = self._reader()
        captures = sorted((self._lying() | stated).items())
        seals = [reader.read(site, capture, ledger) for capture, site in captures]
        return self._verify(ledger, seals, progress, within=None)

    def _ledger(self) -> Ledger:
        return read_ledger(self.vault, self.checker, self.roots, self.catalogue)

    def _reader(self) -> SealReader:
        return SealReader(self.vault, self.checker, self.roots)

    def _lying(self) -> dict[str, str]:
        """Captures of which a seal lies in the vault, whatever the events say, and their sites."""
        return {key.capture: key.site for stored in self.vault.list() if (key := keys.parse_seal(stored.key))}

    def _verify(
        self, ledger: Ledger, seals: Sequence[Seals], progress: Progress | None, *, within: Sequence[str] | None
    ) -> Verification:
        sizes = (entry.size for each in seals for entry in each.entries.values())
        reader = MasterReader(self.vault, _Counter(progress, sum(sizes)))
        findings = [*ledger.findings]
        for each in seals:
            findings += self._capture(each, ledger, reader)
        findings += find_strays(self.vault, ledger, seals, self.rolls, within)
        return _verification(findings, self.roots)

    def _capture(self, seals: Seals, ledger: Ledger, reader: MasterReader) -> list[Finding]:
        masters = {key: reader.read(entry) for key, entry in sorted(seals.entries.items())}
        findings = [*seals.findings, *(master.finding for master in masters.values() if master.finding)]
        if seals.sound:
            findings += self._contents(seals, masters)
        reported = {finding.object for finding in findings}
        locks = self._locks(seals, ledger, masters)
        return findings + [finding for finding in locks if finding.object not in reported]

    def _contents(self, seals: Seals, masters: dict[str, Master]) -> Iterator[Finding]:
        """What the current manifest states of its segments."""
        sealed = seals.current
        if sealed is None:
            return
        key = keys.seal(sealed.booking.site, sealed.booking.id, sealed.revision)
        if root := check_root(key, sealed):
            yield root
        pieces = {
            statement.source: _pieces([masters[entry.key] for entry in statement.segments])
            for statement in sealed.sources
        }
        yield from check_completeness(key, sealed, pieces)

    def _locks(self, seals: Seals, ledger: Ledger, masters: dict[str, Master]) -> Iterator[Finding]:
        """Every object of a capture is locked at least until the date that it was bound to (evidence rule 11)."""
        until = ledger.kept_until(seals.capture)
        if until is None:
            return
        media = [masters[key].stored for key in seals.entries]
        there = [stored for stored in media if stored]
        others = [*seals.objects, *(keys.sidecar(stored.key) for stored in there)]
        for stored in [*there, *self._present(others)]:
            if stored.retain_until is None:
                yield error(FindingCode.LOCK_ABSENT, stored.key, f"a lock until {to_text(until)}", "no lock")
            elif stored.retain_until < until:
                expected, found = to_text(until), to_text(stored.retain_until)
                yield error(FindingCode.RETENTION_SHORT, stored.key, f"a lock until {expected}", f"until {found}")

    def _present(self, objects: Iterable[str]) -> Iterator[Stored]:
        for key in objects:
            try:
                yield self.vault.stat(key)
            except NotFoundError:
                continue  # its absence is a finding of its own


@dataclass(slots=True)
class _Counter:
    """Adds up the bytes read."""

    progress: Progress | None
    total: int
    done: int = 0

    def __call__(self, size: int) -> None:
        self.done += size
        if self.progress:
            self.progress(min(self.done, self.total), self.total)


def _site(ledger: Ledger, capture: str) -> str | None:
    """Where a capture was booked, as its events say."""
    booked = (event for event in ledger.chain(capture) if event.type == EventType.CAPTURE_BOOKED)
    return next((str(event.payload["site"]) for event in booked), None)


def _places(seals: Seals) -> list[str]:
    """Where a capture's media lies in the vault."""
    booking = seals.current.booking if seals.current else None
    return [f"{booking.site}/{source}" for source in booking.sources] if booking else []


def _pieces(masters: Sequence[Master]) -> list[coverage.Piece] | None:
    """The segments of one source for its coverage; None where one of them can't be relied on."""
    pieces: list[coverage.Piece] = []
    for master in masters:
        if master.side is None or master.stored is None or master.stored.retain_until is None:
            return None
        segment = sidecar.segment_of(master.side, master.entry.sidecar_digest, master.stored, master.side.anchor.time)
        pieces.append(coverage.piece(segment, master.side.fragments))
    return pieces


def _verification(findings: Iterable[Finding], roots: bytes | None) -> Verification:
    """The findings, each once, in the order of the checks."""
    order = list(FindingCode)
    each = sorted(set(findings), key=lambda finding: (order.index(finding.code), finding.object))
    failed = {finding.code for finding in each if finding.severity is Severity.ERROR}
    checks = tuple(
        Check(number, _name(codes, name, roots), not codes & failed) for number, (name, codes) in enumerate(CHECKS, 1)
    )
    return Verification(not failed, checks, tuple(each))


def _name(codes: frozenset[FindingCode], name: str, roots: bytes | None) -> str:
    return NO_ROOTS if roots is None and FindingCode.SIGNER_UNTRUSTED in codes else name


def verification_run(capture: str | None, outcome: Verification, principal: Principal, now: datetime) -> Draft:
    """States that a verification was run (I11); `capture` is None for one of the whole archive."""
    findings = [{"code": finding.code, "object": finding.object} for finding in outcome.findings]
    payload = {"capture": capture, "ok": outcome.ok, "findings": findings}
    return Draft(capture or "system", EventType.VERIFICATION_RUN, now, principal, payload)
