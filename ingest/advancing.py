"""What time alone does to a capture: it begins, and it ends. Jobs; each may run again."""

from dataclasses import dataclass
from datetime import timedelta

from archiver.ports import Catalogue, Clock, Transaction
from archiver.times import to_text
from archiver.values import ARCHIVE, Capture, Draft
from archiver.vocabulary import CaptureState, EventType
from ingest.scheduling import last_moment


@dataclass(frozen=True, slots=True)
class Advancing:
    """A capture ends when its post-roll is over, so that it can be extended until then."""

    catalogue: Catalogue
    clock: Clock
    post_roll: timedelta

    def start(self, id: str) -> None:
        """State that a booked capture's window has begun. Nothing for one that has not, or is further already."""
        with self.catalogue.transaction() as tx:
            capture = tx.captures.get(id)
            if capture.state is CaptureState.BOOKED and capture.window.start <= self.clock.now():
                self._state(tx, capture, EventType.CAPTURE_STARTED)

    def end(self, id: str) -> None:
        """State that a capture's window is over: it waits for its seal. Nothing for one that is still recorded."""
        with self.catalogue.transaction() as tx:
            capture = tx.captures.get(id)
            if capture.state is CaptureState.RECORDING and last_moment(capture, self.post_roll) <= self.clock.now():
                self._state(tx, capture, EventType.CAPTURE_ENDED)

    def _state(self, tx: Transaction, capture: Capture, type: EventType) -> None:
        now = self.clock.now()
        tx.events.append(Draft(capture.id, type, now, ARCHIVE, {"id": capture.id, "at": to_text(now)}))
