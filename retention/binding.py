"""Binds captures to the policies in force, and gives every object its first lock (evidence rules 5, 9 and 10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from archiver.ports import Transaction
from archiver.times import to_text
from archiver.values import ARCHIVE, Capture, Draft, Json
from archiver.vocabulary import EndBasis, EventType
from retention.facts import record_of
from retention.policy import MINIMUM_YEARS, Keeping, Record, check_years, decide, governing_years, years_later


@dataclass(frozen=True, slots=True)
class Binding:
    """The port `Retention`: dates by the policies' rows, in the archive's time zone, nothing below `minimum`
    years (at least 15, InputError). `bases` are the facts that can end a procurement (evidence rule 4)."""

    zone: ZoneInfo
    minimum: int = MINIMUM_YEARS
    bases: frozenset[str] = frozenset(EndBasis)

    def __post_init__(self) -> None:
        check_years(self.minimum, "retention.minimum_years")

    def bind(self, tx: Transaction, captures: Sequence[Capture], now: datetime) -> datetime:
        """The latest date of `captures` (at least one). One met for the first time is bound, as an event."""
        return max(capture.retain_until or self._bind(tx, capture, now) for capture in captures)

    def archive_lock(self, tx: Transaction, now: datetime) -> datetime:
        """`minimum` years from now: what belongs to no capture outlives what it tells of by being renewed."""
        return years_later(now, self.minimum, self.zone)

    def decide(self, tx: Transaction, capture: Capture, now: datetime) -> tuple[Record, Keeping]:
        """The facts of a capture's date, and the date that they lead to at `now`."""
        record = record_of(tx, capture, now, self.bases)
        return record, decide(record, now, self.zone, self.minimum)

    def _bind(self, tx: Transaction, capture: Capture, now: datetime) -> datetime:
        record, keeping = self.decide(tx, capture, now)
        draft = Draft(
            subject=capture.id,
            type=EventType.RETENTION_BOUND,
            time=now,
            principal=ARCHIVE,
            payload=date_payload(capture, record, keeping),
            about=(capture.project,),
        )
        tx.events.append(draft)
        return keeping.until


def date_payload(capture: Capture, record: Record, keeping: Keeping) -> Json:
    """What `retention.bound` and `retention.extended` state: the date, its reason in words, and its policy."""
    years = governing_years(record.policies)
    policy = next((policy for policy in record.policies if policy.years == years), None)
    return {
        "capture": capture.id,
        "until": to_text(keeping.until),
        "reason": keeping.reason.en,
        "reason_zh": keeping.reason.zh,
        "policy": policy.id if policy else None,
        "policy_version": policy.version if policy else None,
    }
