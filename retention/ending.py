"""The end of a procurement, which starts the retention of all its records, and complaints that suspend it
(evidence rules 2, 4 and 8)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from archiver.errors import ConflictError, InputError
from archiver.ports import Catalogue, Clock, Transaction
from archiver.values import Draft, Json, Principal, Project
from archiver.vocabulary import EndBasis, EventType
from retention.facts import complaint_open
from retention.policy import local_day


@dataclass(frozen=True, slots=True)
class Ending:
    """States ends and complaints of projects. `on_end` is told of an end in the same transaction: the dates and locks
    of the project's captures are to follow.
    """

    catalogue: Catalogue
    clock: Clock
    zone: ZoneInfo
    on_end: Callable[[Transaction, str], None] = lambda _tx, _project: None

    def end(self, project: str, day: date, basis: str, document: str, signer: str, principal: Principal) -> Project:
        """State that `project` ended on `day` (in the archive's time zone), on which basis, by which document,
        signed by whom. Stated again it corrects what was stated before. InputError, NotFoundError."""
        self._check(day, basis, document, signer)
        payload = {
            "id": project,
            "day": day.isoformat(),
            "basis": EndBasis(basis).value,
            "document": document.strip(),
            "signer": signer.strip(),
        }
        with self.catalogue.transaction() as tx:
            tx.registry.project(project)
            self._state(tx, project, EventType.PROJECT_ENDED, payload, principal)
            self.on_end(tx, project)
            return tx.registry.project(project)

    def open_complaint(self, project: str, document: str, principal: Principal) -> None:
        """A complaint was opened (again): until it is closed no record of `project` is eligible. ConflictError
        if one is open."""
        self._complaint(project, document, principal, opening=True)

    def close_complaint(self, project: str, document: str, principal: Principal) -> None:
        """The complaint was decided by `document`; the decision's date belongs in an end event. ConflictError
        if none is open."""
        self._complaint(project, document, principal, opening=False)

    def _complaint(self, project: str, document: str, principal: Principal, *, opening: bool) -> None:
        if not document.strip():
            raise InputError("a complaint needs its document", errors={"document": "the document's reference"})
        with self.catalogue.transaction() as tx:
            tx.registry.project(project)
            if complaint_open(tx.events.chain(project)) is opening:
                raise ConflictError(f"project {project} has {'a' if opening else 'no'} complaint open")
            type = EventType.COMPLAINT_OPENED if opening else EventType.COMPLAINT_CLOSED
            self._state(tx, project, type, {"id": project, "document": document.strip()}, principal)

    def _state(self, tx: Transaction, project: str, type: EventType, payload: Json, principal: Principal) -> None:
        tx.events.append(Draft(project, type, self.clock.now(), principal, payload, urgent=True))

    def _check(self, day: date, basis: str, document: str, signer: str) -> None:
        errors = {}
        if day > local_day(self.clock.now(), self.zone):
            errors["day"] = "a day that is not in the future"
        if basis not in frozenset(EndBasis):
            errors["basis"] = f"one of {', '.join(EndBasis)}"
        if not document.strip():
            errors["document"] = "the reference of the document that ends the procurement"
        if not signer.strip():
            errors["signer"] = "who signed that document"
        if errors:
            raise InputError("an end event needs a past day, a basis, a document and a signer", errors=errors)
