"""Booking a window: a project, a room, from, to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.services import Services
from api.web.view import Form, local, read_form, render
from archiver.booking import NewCapture
from archiver.errors import InputError

router = APIRouter()
Books = Annotated[Caller, Depends(Needs(Permission.BOOK))]
Sent = Annotated[Form, Depends(read_form)]
CHOICES = 500
QUARTER = timedelta(minutes=15)
USUAL = timedelta(hours=2)


@router.get("/book")
def form(request: Request, caller: Books, svc: Svc, project: str = "", location: str = "") -> Response:
    start = _next_quarter(svc.clock.now())
    values = {
        "project": project,
        "location": location,
        "start": local(svc.zone, start),
        "end": local(svc.zone, start + USUAL),
        "title": "",
        "key": svc.booking.new_id(),
    }
    return _page(request, caller, svc, values)


@router.post("/book")
def book(request: Request, caller: Books, svc: Svc, sent: Sent) -> Response:
    """Sent twice (a double click, a reload) it books once: the form carries its key."""
    values = {name: sent.text(name) for name in ("project", "location", "start", "end", "title", "key")}
    try:
        new = NewCapture(
            values["project"],
            values["location"],
            sent.moment("start", svc.zone),
            sent.moment("end", svc.zone),
            values["title"] or None,
        )
        capture = svc.booking.book(caller.asks(values["key"] or None), new)
    except InputError as error:
        return _page(request, caller, svc, values, error.errors)
    return RedirectResponse(f"/captures/{capture.id}?booked=1", 303)


def _page(
    request: Request,
    caller: Caller,
    svc: Services,
    values: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
) -> Response:
    projects = svc.registering.projects(caller.organisation, CHOICES).items
    locations = svc.registering.locations(caller.organisation, CHOICES).items
    return render(
        request,
        svc,
        "book.html",
        422 if errors else 200,
        values=values,
        projects=[project for project in projects if project.end is None],
        locations=locations,
        errors=errors or {},
        nav="book",
    )


def _next_quarter(now: datetime) -> datetime:
    return now + QUARTER - timedelta(seconds=now.timestamp() % QUARTER.total_seconds())
