"""What is known of a capture: how complete it is, its seal, its chain of custody, what the last verification found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver import coverage, keys, sidecar
from archiver.booking import owned
from archiver.errors import NotFoundError
from archiver.ports import Catalogue, Clock, Transaction, Vault
from archiver.timeline import Interval, subtract, total
from archiver.times import MICROSECOND
from archiver.values import Capture, Event, Gap, Job, Location, Page, Project, SealRow, Source, SourceCoverage
from archiver.vocabulary import CaptureState, EventType

UNDER_WAY = frozenset({CaptureState.BOOKED, CaptureState.RECORDING, CaptureState.SEALING})


@dataclass(frozen=True, slots=True)
class SourceOverview:
    """One source of a capture. `pending` is what can't be told yet: time to come, and media not yet deposited.
    recorded + gaps + pending = window.
    """

    source: Source
    coverage: SourceCoverage
    pending: tuple[Interval, ...]

    @property
    def gaps(self) -> Sequence[Gap]:
        return self.coverage.gaps

    @property
    def expected_us(self) -> int:
        return self.coverage.window.length // MICROSECOND

    @property
    def recorded_us(self) -> int:
        return total(self.coverage.recorded) // MICROSECOND

    @property
    def missing_us(self) -> int:
        return total(gap.span for gap in self.gaps) // MICROSECOND

    @property
    def pending_us(self) -> int:
        return total(self.pending) // MICROSECOND


@dataclass(frozen=True, slots=True)
class Overview:
    """A capture with its place and how complete it is, source by source."""

    capture: Capture
    project: Project
    location: Location
    sources: tuple[SourceOverview, ...]


@dataclass(frozen=True, slots=True)
class SealDocuments:
    """A seal as it lies in the vault: the exact bytes that were signed, the signature (CMS, DER) and the signer's chain
    (PEM).
    """

    row: SealRow
    manifest: bytes
    signature: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Inspecting:
    catalogue: Catalogue
    vault: Vault
    clock: Clock

    def overview(self, organisation: str, id: str) -> Overview:
        with self.catalogue.reading() as tx:
            return self._overview(tx, owned(tx, organisation, id))

    def overviews(
        self, organisation: str, limit: int, cursor: str | None = None, state: CaptureState | None = None
    ) -> Page[Overview]:
        """Newest window first."""
        with self.catalogue.reading() as tx:
            page = tx.captures.page(organisation, limit, cursor, state)
            return Page(tuple(self._overview(tx, capture) for capture in page.items), page.next)

    def overviews_of(self, organisation: str, captures: Sequence[Capture]) -> tuple[Overview, ...]:
        """The same for captures at hand, such as a search found."""
        with self.catalogue.reading() as tx:
            return tuple(self._overview(tx, one) for one in captures if one.organisation == organisation)

    def custody(self, organisation: str, id: str) -> Sequence[Event]:
        """The capture's own chain of events, in order."""
        with self.catalogue.reading() as tx:
            return tx.events.chain(owned(tx, organisation, id).id)

    def verified(self, organisation: str, id: str) -> Event | None:
        """What the last verification of the capture found, None if there was none."""
        events = self.custody(organisation, id)
        return next((event for event in reversed(events) if event.type == EventType.VERIFICATION_RUN), None)

    def seal(self, organisation: str, id: str) -> SealDocuments:
        """The current seal; NotFoundError before the first."""
        with self.catalogue.reading() as tx:
            rows = tx.seals.of_capture(owned(tx, organisation, id).id)
        if not rows:
            raise NotFoundError(f"capture {id} is not sealed yet")
        row = rows[-1]
        return SealDocuments(
            row,
            b"".join(self.vault.read(row.key)),
            b"".join(self.vault.read(row.key.removesuffix(".json") + ".p7s")),
            b"".join(self.vault.read(keys.certificate(row.signer))),
        )

    def job(self, organisation: str, id: str) -> Job:
        """A job that somebody of the organisation asked for."""
        with self.catalogue.reading() as tx:
            job = tx.jobs.get(id)
        if job.arguments.get("organisation") != organisation:
            raise NotFoundError(f"there is no job {id}")
        return job

    def _overview(self, tx: Transaction, capture: Capture) -> Overview:
        sources = tuple(self._source(tx, capture, source) for source in capture.sources)
        return Overview(capture, tx.registry.project(capture.project), tx.registry.location(capture.location), sources)

    def _source(self, tx: Transaction, capture: Capture, source: str) -> SourceOverview:
        window = capture.window
        segments = tx.segments.touching(source, window)
        pieces = [coverage.piece(one, sidecar.unpack(tx.segments.fragments(one.key))) for one in segments]
        outages = tx.outages.touching(source, window)
        known = coverage.coverage(source, window, pieces, outages, capture.stopped_at)
        pending = _pending(capture, self._settled(tx, capture, source), known)
        gaps = tuple(Gap(part, gap.cause, gap.evidence) for gap in known.gaps for part in subtract(gap.span, pending))
        shown = SourceCoverage(source, window, known.recorded, gaps)
        return SourceOverview(tx.registry.source(source), shown, tuple(pending))

    def _settled(self, tx: Transaction, capture: Capture, source: str) -> datetime:
        """Until when it is known what was recorded: a recording that is not wholly deposited may still bring more."""
        now = self.clock.now()
        open_ones = [
            max((one.span.end for one in tx.segments.of_recording(row.id)), default=row.opened_at)
            for row in tx.recordings.touching(source, capture.window)
            if row.segments is None or row.deposited < row.segments
        ]
        return min([now, *open_ones])


def _pending(capture: Capture, settled: datetime, known: SourceCoverage) -> list[Interval]:
    """What is neither recorded nor a gap yet; nothing once a seal has settled it, all of it when it never began."""
    window = capture.window
    if capture.state is CaptureState.CANCELLED:
        return [window]
    if capture.state not in UNDER_WAY or settled >= window.end:
        return []
    begin = max(settled, window.start)
    stopped = [gap.span for gap in known.gaps if capture.stopped_at and gap.span.start >= capture.stopped_at]
    return subtract(Interval(begin, window.end), [*known.recorded, *stopped])
