"""How complete a capture is: per source what was recorded and what is missing, from the catalogue's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver import completeness, coverage, sidecar
from archiver.booking import owned
from archiver.completeness import Completeness
from archiver.ports import Catalogue, Clock, Transaction
from archiver.timeline import Interval
from archiver.values import Capture, Project, SourceCoverage
from archiver.vocabulary import CaptureState


@dataclass(frozen=True, slots=True)
class Survey:
    """A capture with the coverage of each source, and the names that a person knows them by."""

    capture: Capture
    project: Project
    location: str
    names: tuple[str, ...]
    coverages: tuple[SourceCoverage, ...]

    @property
    def total(self) -> Completeness:
        return completeness.together(self.coverages)


def survey(tx: Transaction, capture: Capture, until: datetime) -> tuple[SourceCoverage, ...]:
    """The coverage of each source, in the capture's order. What lies after `until` is not counted at all: it is neither
    recorded nor missing yet.
    """
    window = coverage.elapsed(capture.window, min(until, capture.window.end))
    return () if window is None else tuple(_source(tx, capture, source, window) for source in capture.sources)


def _source(tx: Transaction, capture: Capture, source: str, window: Interval) -> SourceCoverage:
    """A segment's place on the host's clock depends on the one after it: the neighbours outside are read too."""
    beside = window.widened(timedelta(seconds=1), timedelta(minutes=2))
    pieces = [
        coverage.piece(segment, sidecar.unpack(tx.segments.fragments(segment.key)))
        for segment in tx.segments.touching(source, beside)
    ]
    return coverage.coverage(source, window, pieces, tx.outages.touching(source, window), capture.stopped_at)


@dataclass(frozen=True, slots=True)
class Surveying:
    """What the faces show of captures."""

    catalogue: Catalogue
    clock: Clock

    def one(self, organisation: str, id: str) -> Survey:
        """NotFoundError for another organisation's, as for none."""
        with self.catalogue.reading() as tx:
            return self._survey(tx, owned(tx, organisation, id))

    def several(self, captures: Sequence[Capture]) -> list[Survey]:
        with self.catalogue.reading() as tx:
            return [self._survey(tx, capture) for capture in captures]

    def _survey(self, tx: Transaction, capture: Capture) -> Survey:
        return Survey(
            capture,
            tx.registry.project(capture.project),
            tx.registry.location(capture.location).name,
            tuple(tx.registry.source(source).name for source in capture.sources),
            survey(tx, capture, self._settled(tx, capture)),
        )

    def _settled(self, tx: Transaction, capture: Capture) -> datetime:
        """Until when it is known what was recorded: of a recording that is still under way, or not wholly deposited,
        more may come. A seal speaks of the whole window, also where a stop brought it early.
        """
        if capture.state is CaptureState.SEALED:
            return capture.window.end
        if capture.state not in (CaptureState.RECORDING, CaptureState.SEALING):
            return self.clock.now()
        under_way = [
            max((segment.span.end for segment in tx.segments.of_recording(row.id)), default=row.opened_at)
            for source in capture.sources
            for row in tx.recordings.touching(source, capture.window)
            if row.segments is None or row.deposited < row.segments
        ]
        return min([self.clock.now(), *under_way])
