"""What a capture claims of its sources' recordings: its window, up to where a person stopped it, with the rolls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver.ports import Transaction
from archiver.timeline import Interval
from archiver.values import Capture, Segment


@dataclass(frozen=True, slots=True)
class Rolls:
    """How far a claim reaches before and beyond a window."""

    pre: timedelta
    post: timedelta

    def claim(self, window: Interval, stopped_at: datetime | None = None) -> Interval | None:
        """The claimed time; None if the capture was stopped before it began."""
        end = window.end if stopped_at is None else min(window.end, stopped_at)
        return Interval(window.start, end).widened(self.pre, self.post) if end > window.start else None

    def segments(self, tx: Transaction, capture: Capture, source: str) -> Sequence[Segment]:
        """The deposited segments of `source` that touch a capture's claim: those that its seal lists."""
        claim = self.claim(capture.window, capture.stopped_at)
        return tx.segments.touching(source, claim) if claim else ()

    def captures(self, tx: Transaction, source: str, span: Interval) -> list[Capture]:
        """The captures whose claim touches `span` of `source`."""
        near = tx.captures.touching(source, span.widened(self.post, self.pre))
        claims = ((capture, self.claim(capture.window, capture.stopped_at)) for capture in near)
        return [capture for capture, claim in claims if claim and claim.overlaps(span)]
