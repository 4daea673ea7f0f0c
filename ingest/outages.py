"""An outage that has not ended yet. It is kept on disk, so that the process that ends it may be another than the one
that saw it begin. Pure.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.times import from_text, to_text, utc
from archiver.values import Duty, Json, Outage
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


def to_json(open_: OpenOutage) -> Json:
    return {"since": to_text(open_.since), "cause": open_.cause.value, "evidence": open_.evidence}


def from_json(value: Json) -> OpenOutage:
    """Reads `to_json`; FormatError for anything else."""
    try:
        return OpenOutage(from_text(value["since"]), GapCause(value["cause"]), str(value["evidence"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise FormatError(f"an open outage on disk can't be read ({problem}); it is set aside") from problem
