"""Says of every record until when it is kept, why, and whether it could be appraised for disposal."""

from dataclasses import dataclass
from datetime import date, datetime

from archiver.ports import Catalogue, Clock, Transaction
from archiver.values import Capture
from archiver.vocabulary import CaptureState
from retention.binding import Binding

PAGE = 500
KEPT_NO_MORE = frozenset({CaptureState.CANCELLED, CaptureState.DISPOSED})


@dataclass(frozen=True, slots=True)
class DueItem:
    """`due` is the last day of keeping, None while the procurement's end is not known; `until` is what the locks
    must reach at least. The reason is in English and in Chinese."""

    capture: str
    eligible: bool
    due: date | None
    until: datetime
    reason: str
    reason_zh: str


@dataclass(frozen=True, slots=True)
class DueDates:
    """Reads dates; changes nothing."""

    catalogue: Catalogue
    binding: Binding
    clock: Clock

    def items(self, organisation: str) -> list[DueItem]:
        """Every capture that is kept, newest window first."""
        now = self.clock.now()
        with self.catalogue.reading() as tx:
            return [
                self._item(tx, capture, now)
                for capture in _every(tx, organisation)
                if capture.state not in KEPT_NO_MORE
            ]

    def explain(self, capture: str) -> DueItem:
        """One capture's date and its reason. NotFoundError."""
        with self.catalogue.reading() as tx:
            return self._item(tx, tx.captures.get(capture), self.clock.now())

    def _item(self, tx: Transaction, capture: Capture, now: datetime) -> DueItem:
        _, keeping = self.binding.decide(tx, capture, now)
        reason = keeping.reason
        return DueItem(capture.id, keeping.eligible, keeping.due, keeping.until, reason.en, reason.zh)


def _every(tx: Transaction, organisation: str) -> list[Capture]:
    captures: list[Capture] = []
    cursor: str | None = None
    while True:
        page = tx.captures.page(organisation, PAGE, cursor)
        captures.extend(page.items)
        cursor = page.next
        if cursor is None:
            return captures
