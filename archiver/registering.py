"""Projects, locations and sources: added, changed and listed. Every change is an event; a source's address is
sealed before it touches the catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from archiver.addresses import Address, AddressRule, Resolve
from archiver.errors import InputError, NotFoundError
from archiver.ids import NewId
from archiver.mistakes import Mistake
from archiver.ports import Catalogue, Clock, Secrets, Transaction
from archiver.requests import Request, once
from archiver.values import Draft, Json, Location, Page, Project, Source
from archiver.vocabulary import EventType

MAX_TEXT = 200

Thing = TypeVar("Thing", Project, Location, Source)


@dataclass(frozen=True, slots=True)
class NewProject:
    """A procurement as a person enters it."""

    number: str
    title: str
    buyer: str | None = None
    method: str | None = None
    lots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registering:
    """The registry's use cases. `site` is where locations added here lie."""

    catalogue: Catalogue
    clock: Clock
    secrets: Secrets
    new_id: NewId
    addresses: AddressRule
    resolve: Resolve
    site: str

    # -------------------------------------------------------------- projects

    def add_project(self, request: Request, new: NewProject) -> Project:
        """InputError names the fields that are missing or too long."""
        checked: dict[str, str | None] = {"number": new.number, "title": new.title}
        checked |= {"buyer": new.buyer or None, "method": new.method or None}
        checked |= {f"lots.{index}": lot for index, lot in enumerate(new.lots)}
        cleaned = clean(checked)
        payload = {
            **{name: cleaned[name] for name in ("number", "title", "buyer", "method")},
            "lots": [cleaned[f"lots.{index}"] for index in range(len(new.lots))],
        }
        with self.catalogue.transaction() as tx:
            return tx.registry.project(self._add(tx, request, EventType.PROJECT_ADDED, payload))

    def change_project(self, request: Request, id: str, changes: Mapping[str, str | Sequence[str] | None]) -> Project:
        """Change number, title, buyer, method or lots. NotFoundError; InputError as for a new one."""
        texts = clean({name: value for name, value in changes.items() if isinstance(value, str) or value is None})
        lots = {
            name: list(value) for name, value in changes.items() if isinstance(value, Sequence) and name not in texts
        }
        with self.catalogue.transaction() as tx:
            own(tx.registry.project(id), request.organisation)
            self._change(tx, request, EventType.PROJECT_CHANGED, id, {**texts, **lots})
            return tx.registry.project(id)

    def project(self, organisation: str, id: str) -> Project:
        with self.catalogue.reading() as tx:
            return own(tx.registry.project(id), organisation)

    def projects(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Project]:
        with self.catalogue.reading() as tx:
            return tx.registry.projects(organisation, limit, cursor)

    # ------------------------------------------------------------- locations

    def add_location(self, request: Request, name: str) -> Location:
        payload = {**clean({"name": name}), "site": self.site}
        with self.catalogue.transaction() as tx:
            return tx.registry.location(self._add(tx, request, EventType.LOCATION_ADDED, payload))

    def change_location(self, request: Request, id: str, name: str) -> Location:
        changes = clean({"name": name})
        with self.catalogue.transaction() as tx:
            own(tx.registry.location(id), request.organisation)
            self._change(tx, request, EventType.LOCATION_CHANGED, id, changes)
            return tx.registry.location(id)

    def location(self, organisation: str, id: str) -> Location:
        with self.catalogue.reading() as tx:
            return own(tx.registry.location(id), organisation)

    def locations(self, organisation: str, limit: int, cursor: str | None = None) -> Page[Location]:
        with self.catalogue.reading() as tx:
            return tx.registry.locations(organisation, limit, cursor)

    # --------------------------------------------------------------- sources

    def add_source(self, request: Request, location: str, name: str, url: str) -> Source:
        """AddressError when the address rule refuses `url`; it appears nowhere but sealed."""
        cleaned = clean({"name": name})
        address = self.addresses.check(url, self.resolve)
        with self.catalogue.transaction() as tx:
            room = _room(tx, request.organisation, location)
            payload = {**cleaned, "site": room.site, "location": room.id, "address": address.shown}
            id = self._add(tx, request, EventType.SOURCE_ADDED, payload, about=(room.id,), secret=address)
            return tx.registry.source(id)

    def change_source(self, request: Request, id: str, *, name: str | None = None, url: str | None = None) -> Source:
        changes: dict[str, object] = {} if name is None else dict(clean({"name": name}))
        address = None if url is None else self.addresses.check(url, self.resolve)
        if address:
            changes["address"] = address.shown
        with self.catalogue.transaction() as tx:
            own(tx.registry.source(id), request.organisation)
            self._change(tx, request, EventType.SOURCE_CHANGED, id, changes)
            if address:
                tx.registry.set_sealed_address(id, self.secrets.seal(address.url))
            return tx.registry.source(id)

    def remove_source(self, request: Request, id: str) -> Source:
        """Take it out of the lists and of later bookings; what was recorded of it stays."""
        with self.catalogue.transaction() as tx:
            source = own(tx.registry.source(id), request.organisation)
            if not source.removed:
                self._change(tx, request, EventType.SOURCE_CHANGED, id, {"removed": True})
            return tx.registry.source(id)

    def source(self, organisation: str, id: str) -> Source:
        with self.catalogue.reading() as tx:
            return own(tx.registry.source(id), organisation)

    def sources(
        self, organisation: str, limit: int, cursor: str | None = None, location: str | None = None
    ) -> Page[Source]:
        with self.catalogue.reading() as tx:
            return tx.registry.sources(organisation, limit, cursor, location)

    def address(self, organisation: str, id: str) -> str:
        """The whole address, for a recorder or a test of the source; checked again, for names resolve anew."""
        with self.catalogue.reading() as tx:
            own(tx.registry.source(id), organisation)
            sealed = tx.registry.sealed_address(id)
        return self.addresses.check(self.secrets.open(sealed), self.resolve).url

    # ---------------------------------------------------------------- events

    def _add(
        self,
        tx: Transaction,
        request: Request,
        type: EventType,
        payload: Json,
        about: tuple[str, ...] = (),
        secret: Address | None = None,
    ) -> str:
        """Append the event of a new thing, once per idempotency key; its id."""

        def act() -> str:
            id = self.new_id()
            whole = {"id": id, "organisation": request.organisation, **payload}
            urgent = type is EventType.SOURCE_ADDED
            tx.events.append(Draft(id, type, self.clock.now(), request.principal, whole, about, urgent))
            if secret:
                tx.registry.set_sealed_address(id, self.secrets.seal(secret.url))
            return id

        return once(tx, request, {"type": type, **payload}, act)

    def _change(self, tx: Transaction, request: Request, type: EventType, id: str, changes: Json) -> None:
        if not changes:
            raise InputError("nothing to change", errors={"body": Mistake.NOTHING_TO_CHANGE})
        payload = {"id": id, "changes": dict(changes)}
        urgent = type is EventType.SOURCE_CHANGED
        tx.events.append(Draft(id, type, self.clock.now(), request.principal, payload, urgent=urgent))


def clean(texts: Mapping[str, str | None]) -> dict[str, str | None]:
    """Each text without blanks around it; None stays. InputError names every field that is empty or too long."""
    cleaned = {name: None if text is None else text.strip() for name, text in texts.items()}
    problems = {name: mistake for name, text in cleaned.items() if text is not None and (mistake := _mistake(text))}
    if problems:
        raise InputError("some fields are missing or can't be used", errors=problems)
    return cleaned


def own(thing: Thing, organisation: str) -> Thing:
    """`thing`, if it is the organisation's; else the same NotFoundError as for one that doesn't exist."""
    if thing.organisation != organisation:
        raise NotFoundError(f"there is no {type(thing).__name__.lower()} {thing.id}")
    return thing


def _mistake(text: str) -> Mistake | None:
    if not text:
        return Mistake.REQUIRED
    if not text.isprintable():
        return Mistake.CONTROL_CHARACTERS
    return Mistake.TOO_LONG if len(text) > MAX_TEXT else None


def _room(tx: Transaction, organisation: str, id: str) -> Location:
    try:
        return own(tx.registry.location(id), organisation)
    except NotFoundError:
        raise InputError("a source lies in a location", errors={"location": Mistake.UNKNOWN_LOCATION}) from None
