"""Projects, locations and sources."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api import schemas
from api.deps import Caller, Key, Needs, Svc
from api.examples import LOCATION, PROJECT, SOURCE, answers, page
from api.permissions import Permission
from api.schemas import Cursor, Id, Limit
from api.views import location_view, project_view, source_view
from archiver.errors import InputError
from archiver.mistakes import Mistake
from archiver.registering import NewProject

router = APIRouter(tags=["registry"])
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
Registers = Annotated[Caller, Depends(Needs(Permission.REGISTER))]
Ends = Annotated[Caller, Depends(Needs(Permission.END_PROJECT))]
Answer = dict[str, Any]


@router.get("/projects", responses=page(PROJECT))
def list_projects(caller: Reads, svc: Svc, limit: Limit = 100, cursor: Cursor = None) -> Answer:
    page = svc.registering.projects(caller.organisation, limit, cursor)
    return {"items": [project_view(one) for one in page.items], "next": page.next}


@router.post("/projects", status_code=201, responses=answers(PROJECT, 201))
def add_project(caller: Registers, svc: Svc, body: schemas.ProjectBody, key: Key = None) -> Answer:
    new = NewProject(body.number, body.title, body.buyer, body.method, tuple(body.lots))
    return project_view(svc.registering.add_project(caller.asks(key), new))


@router.get("/projects/{id}", responses=answers(PROJECT))
def show_project(caller: Reads, svc: Svc, id: Id) -> Answer:
    return project_view(svc.registering.project(caller.organisation, id))


@router.patch("/projects/{id}", responses=answers(PROJECT))
def change_project(caller: Registers, svc: Svc, id: Id, body: schemas.ProjectChange) -> Answer:
    return project_view(svc.registering.change_project(caller.asks(), id, body.model_dump(exclude_unset=True)))


@router.post("/projects/{id}/end", responses=answers(PROJECT))
def end_project(caller: Ends, svc: Svc, id: Id, body: schemas.EndBody) -> Answer:
    """State the end of the procurement: its retention runs from there. A correction is a new statement."""
    svc.registering.project(caller.organisation, id)
    ended = svc.ending.end(id, body.date, body.basis, body.document, body.signer, caller.principal)
    return project_view(ended)


@router.get("/locations", responses=page(LOCATION))
def list_locations(caller: Reads, svc: Svc, limit: Limit = 100, cursor: Cursor = None) -> Answer:
    page = svc.registering.locations(caller.organisation, limit, cursor)
    return {"items": [location_view(one) for one in page.items], "next": page.next}


@router.post("/locations", status_code=201, responses=answers(LOCATION, 201))
def add_location(caller: Registers, svc: Svc, body: schemas.LocationBody, key: Key = None) -> Answer:
    return location_view(svc.registering.add_location(caller.asks(key), body.name))


@router.get("/locations/{id}", responses=answers(LOCATION))
def show_location(caller: Reads, svc: Svc, id: Id) -> Answer:
    return location_view(svc.registering.location(caller.organisation, id))


@router.patch("/locations/{id}", responses=answers(LOCATION))
def change_location(caller: Registers, svc: Svc, id: Id, body: schemas.LocationBody) -> Answer:
    return location_view(svc.registering.change_location(caller.asks(), id, body.name))


@router.get("/sources", responses=page(SOURCE))
def list_sources(
    caller: Reads, svc: Svc, location: str | None = None, limit: Limit = 100, cursor: Cursor = None
) -> Answer:
    page = svc.registering.sources(caller.organisation, limit, cursor, location)
    return {"items": [source_view(one) for one in page.items], "next": page.next}


@router.post("/sources", status_code=201, responses=answers(SOURCE, 201))
def add_source(caller: Registers, svc: Svc, body: schemas.SourceBody, key: Key = None) -> Answer:
    """Everything of the address beyond scheme, host and port is sealed and never shown again."""
    return source_view(svc.registering.add_source(caller.asks(key), body.location, body.name, body.url))


@router.get("/sources/{id}", responses=answers(SOURCE))
def show_source(caller: Reads, svc: Svc, id: Id) -> Answer:
    return source_view(svc.registering.source(caller.organisation, id))


@router.patch("/sources/{id}", responses=answers(SOURCE))
def change_source(caller: Registers, svc: Svc, id: Id, body: schemas.SourceChange) -> Answer:
    if body.name is None and body.url is None:
        raise InputError("nothing to change", errors={"body": Mistake.NOTHING_TO_CHANGE})
    return source_view(svc.registering.change_source(caller.asks(), id, name=body.name, url=body.url))


@router.delete("/sources/{id}")
def remove_source(caller: Registers, svc: Svc, id: Id) -> Answer:
    """Take a source out of the lists and of later bookings. What was recorded of it stays."""
    return source_view(svc.registering.remove_source(caller.asks(), id))


@router.post("/sources/{id}/test")
def test_source(caller: Registers, svc: Svc, id: Id) -> Answer:
    """Connect for some seconds and say what comes."""
    found = svc.test_source(caller.organisation, id)
    return {"ok": found.ok, "codecs": list(found.codecs), "problem": found.problem}
