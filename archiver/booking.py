"""Captures from the booking to their end by a person: booked, changed, extended, stopped, cancelled.

Every change plans its sources' duties anew in the same transaction, so that nothing is booked that nobody will
record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver.errors import ConflictError, InputError, NotFoundError
from archiver.ids import NewId
from archiver.mistakes import Mistake
from archiver.ports import Catalogue, Clock, Transaction
from archiver.registering import Thing, clean
from archiver.requests import Request, once
from archiver.timeline import Interval
from archiver.times import to_text, utc
from archiver.values import Capture, Draft, Json, Location, Page, Project
from archiver.vocabulary import CaptureState, EventType

LONGEST = timedelta(hours=24)
FURTHEST = timedelta(days=366)
LISTED = 500

Replan = Callable[[Transaction, str, datetime], None]
"""Plan a source's duties anew from its windows, in the transaction given, as of a time."""


@dataclass(frozen=True, slots=True)
class NewCapture:
    """A window as a person asks for it. No sources means every source of the location."""

    project: str
    location: str
    start: datetime
    end: datetime
    title: str | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Booking:
    catalogue: Catalogue
    clock: Clock
    new_id: NewId
    replan: Replan

    def book(self, request: Request, new: NewCapture) -> Capture:
        """Book a window. One that has begun is recorded from now on. InputError names every field that is wrong."""
        now = self.clock.now()
        _refuse_without_offset(new.start, new.end)
        title = clean({"title": new.title or None})["title"]
        asked = {"project": new.project, "location": new.location, "sources": sorted(set(new.sources)), "title": title}
        asked |= {"start": to_text(new.start), "end": to_text(new.end)}
        with self.catalogue.transaction() as tx:
            # Asked again, a window that was booked is answered as before, though it may have ended since.
            return tx.captures.get(once(tx, request, asked, lambda: self._book(tx, request, new, title, now)))

    def _book(self, tx: Transaction, request: Request, new: NewCapture, title: str | None, now: datetime) -> str:
        window = _window(new.start, new.end, now)
        project, location = _place(tx, request.organisation, new)
        sources = _sources(tx, location, new.sources)
        payload = {
            "organisation": request.organisation,
            "site": location.site,
            "project": project.id,
            "location": location.id,
            "sources": list(sources),
            **_span(window),
            "title": title,
        }
        id = self.new_id()
        self._state(tx, request, EventType.CAPTURE_BOOKED, id, payload, (project.id, location.id, *sources))
        self._plan(tx, sources, now)
        return id

    def change(
        self,
        request: Request,
        id: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        title: str | None = None,
    ) -> Capture:
        """Change a capture that has not begun. ConflictError for one that has."""
        now = self.clock.now()
        titles = clean({} if title is None else {"title": title})
        with self.catalogue.transaction() as tx:
            capture = owned(tx, request.organisation, id)
            if capture.state is not CaptureState.BOOKED or capture.window.start <= now:
                raise ConflictError(Mistake.ALREADY_BEGUN if _alive(capture, now) else Mistake.OVER)
            window = _window(start or capture.window.start, end or capture.window.end, now)
            times = _span(window) if window != capture.window else {}
            if not times and not titles:
                raise InputError("nothing to change", errors={"body": Mistake.NOTHING_TO_CHANGE})
            self._state(tx, request, EventType.CAPTURE_CHANGED, id, {**times, **titles})
            self._plan(tx, capture.sources, now)
            return tx.captures.get(id)

    def extend(self, request: Request, id: str, end: datetime) -> Capture:
        """Move the end of a capture that is not over to a later time."""
        now = self.clock.now()
        with self.catalogue.transaction() as tx:
            capture = owned(tx, request.organisation, id)

            def act() -> str:
                _refuse_over(capture, now)
                if utc(end) <= capture.window.end:
                    raise _invalid({"end": Mistake.END_NOT_LATER})
                window = _window(capture.window.start, end, now)
                payload = {"end": to_text(window.end)}
                self._state(tx, request, EventType.CAPTURE_CHANGED, id, payload)
                self._plan(tx, capture.sources, now)
                return id

            what = {"extend": id, "end": to_text(end)}
            return tx.captures.get(once(tx, request, what, act))

    def stop(self, request: Request, id: str) -> Capture:
        """End the recording now; the rest of the window is a gap `stopped`. Stopping twice changes nothing."""
        now = self.clock.now()
        with self.catalogue.transaction() as tx:
            capture = owned(tx, request.organisation, id)
            if capture.stopped_at is not None:
                return capture
            if capture.window.start > now and capture.state is CaptureState.BOOKED:
                raise ConflictError(Mistake.NOT_BEGUN)
            _refuse_over(capture, now)
            at = {"at": to_text(now)}
            if capture.state is CaptureState.BOOKED:
                self._state(tx, request, EventType.CAPTURE_STARTED, id, at)
            self._state(tx, request, EventType.CAPTURE_STOPPED, id, at)
            self._plan(tx, capture.sources, now)
            return tx.captures.get(id)

    def cancel(self, request: Request, id: str) -> Capture:
        """Take back a capture that has not begun. Cancelling twice changes nothing."""
        now = self.clock.now()
        with self.catalogue.transaction() as tx:
            capture = owned(tx, request.organisation, id)
            if capture.state is CaptureState.CANCELLED:
                return capture
            if capture.state is not CaptureState.BOOKED or capture.window.start <= now:
                raise ConflictError(Mistake.CANCEL_BEGUN if _alive(capture, now) else Mistake.OVER)
            self._state(tx, request, EventType.CAPTURE_CANCELLED, id, {"at": to_text(now)})
            self._plan(tx, capture.sources, now)
            return tx.captures.get(id)

    def capture(self, organisation: str, id: str) -> Capture:
        with self.catalogue.reading() as tx:
            return owned(tx, organisation, id)

    def captures(
        self, organisation: str, limit: int, cursor: str | None = None, state: CaptureState | None = None
    ) -> Page[Capture]:
        """Newest window first."""
        with self.catalogue.reading() as tx:
            return tx.captures.page(organisation, limit, cursor, state)

    def _state(
        self,
        tx: Transaction,
        request: Request,
        type: EventType,
        id: str,
        payload: Json,
        about: tuple[str, ...] = (),
    ) -> None:
        whole = {"id": id, **payload}
        tx.events.append(Draft(id, type, self.clock.now(), request.principal, whole, about, urgent=True))

    def _plan(self, tx: Transaction, sources: tuple[str, ...], now: datetime) -> None:
        for source in sources:
            self.replan(tx, source, now)


def owned(tx: Transaction, organisation: str, id: str) -> Capture:
    """The organisation's capture; the same NotFoundError for another's as for none."""
    capture = tx.captures.get(id)
    if capture.organisation != organisation:
        raise NotFoundError(f"there is no capture {id}")
    return capture


def _refuse_without_offset(start: datetime, end: datetime) -> None:
    problems: dict[str, str] = {}
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            problems[name] = Mistake.NO_OFFSET
    if problems:
        raise _invalid(problems)


def _window(start: datetime, end: datetime, now: datetime) -> Interval:
    _refuse_without_offset(start, end)
    problems: dict[str, str] = {}
    # Python compares times of one zone as they stand on the wall.
    start, end = utc(start), utc(end)
    if end <= start:
        problems["end"] = Mistake.END_NOT_AFTER_START
    elif end <= now:
        problems["end"] = Mistake.WINDOW_ENDED
    elif end - start > LONGEST:
        problems["end"] = Mistake.WINDOW_TOO_LONG
    if start > now + FURTHEST:
        problems["start"] = Mistake.WINDOW_TOO_FAR
    if problems:
        raise _invalid(problems)
    return Interval(start, end)


def _place(tx: Transaction, organisation: str, new: NewCapture) -> tuple[Project, Location]:
    """The project and location. Those of another organisation are as unknown as those that don't exist."""
    project = _found(lambda: tx.registry.project(new.project))
    location = _found(lambda: tx.registry.location(new.location))
    problems: dict[str, str] = {}
    if project is None or project.organisation != organisation:
        problems["project"] = Mistake.UNKNOWN_PROJECT
    elif project.end is not None:
        problems["project"] = Mistake.PROJECT_ENDED
    if location is None or location.organisation != organisation:
        problems["location"] = Mistake.UNKNOWN_LOCATION
    if problems or project is None or location is None:
        raise _invalid(problems)
    return project, location


def _sources(tx: Transaction, location: Location, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of the sources to record, in a fixed order."""
    there = [source.id for source in tx.registry.sources(location.organisation, LISTED, location=location.id).items]
    if not there:
        raise _invalid({"location": Mistake.NO_SOURCES})
    if not set(wanted) <= set(there):
        raise _invalid({"sources": Mistake.UNKNOWN_SOURCE})
    return tuple(sorted(set(wanted) or set(there)))


def _found(read: Callable[[], Thing]) -> Thing | None:
    try:
        return read()
    except NotFoundError:
        return None


def _alive(capture: Capture, now: datetime) -> bool:
    return capture.state in (CaptureState.BOOKED, CaptureState.RECORDING) and now < capture.window.end


def _refuse_over(capture: Capture, now: datetime) -> None:
    if not _alive(capture, now):
        raise ConflictError(Mistake.OVER)
    if capture.stopped_at is not None:
        raise ConflictError(Mistake.STOPPED)


def _span(window: Interval) -> dict[str, str]:
    return {"start": to_text(window.start), "end": to_text(window.end)}


def _invalid(problems: Mapping[str, str]) -> InputError:
    return InputError("the window can't be booked like this", errors=problems)
