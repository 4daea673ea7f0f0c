"""An outage that has not ended yet. It is kept on disk, so that the process that ends it may be another than the one
that saw it begin. Pure.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from archiver.timeline import Interval
from archiver.times import utc
from archiver.values import Duty, Outage
from archiver.vocabulary import GapCause

LONGEST_EVIDENCE = 1000


@dataclass(frozen=True, slots=True)
class OpenOutage:
    """No media of a source since `since` (aware UTC). The first cause stays; what came after it is evidence."""

    since: datetime
    cause: GapCause
    evidence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "since", utc(self.since))

    def noting(self, words: str) -> "OpenOutage":
        """With one more piece of evidence, unless it is known already or there is too much."""
        if words in self.evidence or len(self.evidence) + len(words) > LONGEST_EVIDENCE:
            return self
        return replace(self, evidence=f"{self.evidence}; then {words}")

    def until(self, end: datetime, duty: Duty, worker: str) -> Outage | None:
        """The outage that ended at `end`, None when nothing is missing."""
        if end <= self.since:
            return None
        return Outage(duty.source, Interval(self.since, end), self.cause, self.evidence, worker, duty.epoch)
