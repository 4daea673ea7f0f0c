"""Gathers the facts that a record's date follows from: policies as rows, the project's chain, the capture's
chain."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from archiver.errors import FormatError
from archiver.ports import Transaction
from archiver.values import Capture, Event, Policy, ProjectEnd
from archiver.vocabulary import EndBasis, EventType
from retention.policy import Record, ever_bound, project_end


def record_of(tx: Transaction, capture: Capture, now: datetime, bases: Collection[str] = frozenset(EndBasis)) -> Record:
    """The facts of a capture's date at `now`, as the catalogue knows them."""
    chain = tx.events.chain(capture.project)
    return Record(
        capture_end=capture.window.end,
        bound=capture.retain_until,
        policies=_policies(tx, capture, now),
        end=project_end(stated_ends(chain), bases),
        complaint_open=complaint_open(chain),
    )


def stated_ends(chain: Sequence[Event]) -> list[ProjectEnd]:
    """Every end that was stated of a project, in order; a correction is a further one (rule 2)."""
    return [_end(event) for event in chain if event.type == EventType.PROJECT_ENDED]


def complaint_open(chain: Sequence[Event]) -> bool:
    """Whether the last word on a project's complaint is that it is open (rule 8)."""
    words = (EventType.COMPLAINT_OPENED, EventType.COMPLAINT_CLOSED)
    last = next((event.type for event in reversed(chain) if event.type in words), None)
    return last == EventType.COMPLAINT_OPENED


def _policies(tx: Transaction, capture: Capture, now: datetime) -> tuple[Policy, ...]:
    policies = tx.registry.policies(capture.organisation)
    chain = tx.events.chain(capture.id)
    bound_at = next((event.time for event in chain if event.type == EventType.RETENTION_BOUND), now)
    return ever_bound(policies, bound_at, now)


def _end(event: Event) -> ProjectEnd:
    try:
        stated = event.payload
        return ProjectEnd(date.fromisoformat(stated["day"]), stated["basis"], stated["document"], stated["signer"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the end event {event.id} of project {event.subject} can't be read: {error}") from error
