"""Who watched what (I11): one event before a view's first byte, one at its close with the stretches served."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from archiver.ids import NewId
from archiver.ports import Catalogue, Clock, Transaction
from archiver.timeline import Interval, union
from archiver.times import from_us, to_text, to_us
from archiver.values import Draft, Principal, View
from archiver.vocabulary import EventType

IDLE = timedelta(minutes=5)
"""A view that asked for nothing this long is over."""

Phase = Literal["opened", "closed", "unknown_end"]


@dataclass(frozen=True, slots=True)
class Viewing:
    """Call `watch` before bytes are sent, `close_idle` on a tick, `close_interrupted` when the server starts."""

    catalogue: Catalogue
    clock: Clock
    new_id: NewId

    def watch(self, principal: Principal, capture: str, source: str, span: Interval) -> None:
        """State that `principal` is about to be sent `span` of a source: opens a view, or goes on with one."""
        now = self.clock.now()
        with self.catalogue.transaction() as tx:
            view = tx.views.find(principal.id, capture, source)
            if view is not None and now - view.last_at > IDLE:
                self._close(tx, view, "closed")
                view = None
            if view is None:
                view = View(self.new_id(), principal, capture, source, now, now)
                self._state(tx, view, "opened")
            tx.views.put(replace(view, last_at=max(now, view.last_at), ranges=_with(view.ranges, span)))

    def close_idle(self) -> int:
        """Close every view that has been idle; how many."""
        with self.catalogue.transaction() as tx:
            return self._close_all(tx, tx.views.idle(self.clock.now() - IDLE), "closed")

    def close_interrupted(self) -> int:
        """Close the views that a server which died left open; how many. Their last ranges may be incomplete."""
        with self.catalogue.transaction() as tx:
            return self._close_all(tx, tx.views.idle(self.clock.now()), "unknown_end")

    def _close_all(self, tx: Transaction, views: Sequence[View], phase: Phase) -> int:
        for view in views:
            self._close(tx, view, phase)
        return len(views)

    def _close(self, tx: Transaction, view: View, phase: Phase) -> None:
        self._state(tx, view, phase)
        tx.views.remove(view.id)

    def _state(self, tx: Transaction, view: View, phase: Phase) -> None:
        payload: dict[str, object] = {"view": view.id, "capture": view.capture, "source": view.source, "phase": phase}
        if phase != "opened":
            payload["ranges"] = [[to_text(from_us(start)), to_text(from_us(end))] for start, end in view.ranges]
        type = EventType.SEGMENT_VIEWED
        about = (view.source,)
        tx.events.append(Draft(view.capture, type, self.clock.now(), view.principal, payload, about))


def _with(ranges: Sequence[tuple[int, int]], span: Interval) -> tuple[tuple[int, int], ...]:
    """Ranges (microseconds since 1970) and one more, joined where they touch."""
    spans = [Interval(from_us(start), from_us(end)) for start, end in ranges]
    return tuple((to_us(one.start), to_us(one.end)) for one in union([*spans, span]))
