"""Finding captures: every filter combines."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.services import Services
from api.web.captures import bars
from api.web.view import Form, render
from archiver.errors import InputError
from archiver.searching import stretch
from archiver.values import Query
from archiver.vocabulary import CaptureState

router = APIRouter()
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
FOUND = 25
CHOICES = 500
FIELDS = ("text", "project", "location", "source", "from", "to", "state")


@router.get("/find")
def find(request: Request, caller: Reads, svc: Svc) -> Response:
    asked = Form({name: request.query_params.get(name, "")[:200] for name in FIELDS})
    page, errors = None, {}
    try:
        page = svc.searching.find(_query(caller, svc, asked), FOUND, request.query_params.get("cursor"))
    except InputError as error:
        errors = error.errors
    hits = list(page.items) if page else []
    surveys = svc.surveying.several([hit.capture for hit in hits])
    return render(
        request,
        svc,
        "find.html",
        422 if errors else 200,
        values={name: asked.text(name) for name in FIELDS},
        hits=list(zip(hits, [bars(survey) for survey in surveys], strict=True)),
        next=page.next if page else None,
        projects=svc.registering.projects(caller.organisation, CHOICES).items,
        locations=svc.registering.locations(caller.organisation, CHOICES).items,
        sources=svc.registering.sources(caller.organisation, CHOICES).items,
        states=list(CaptureState),
        errors=errors,
        nav="find",
    )


def _query(caller: Caller, svc: Services, asked: Form) -> Query:
    start, end = asked.optional_moment("from", svc.zone), asked.optional_moment("to", svc.zone)
    state = asked.text("state")
    project, location, source = (asked.text(name) or None for name in ("project", "location", "source"))
    known = CaptureState(state) if state in list(CaptureState) else None
    span = stretch(start, end)
    return Query(caller.organisation, project, location, source, span, asked.text("text") or None, known)
