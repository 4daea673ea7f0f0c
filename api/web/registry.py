"""Projects, rooms, and the cameras and microphones in them."""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.schemas import Id
from api.services import Services
from api.web.view import Form, read_form, render
from archiver.errors import AddressError, InputError
from archiver.ports import SourceTest
from archiver.registering import NewProject

router = APIRouter(prefix="/registry")
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
Registers = Annotated[Caller, Depends(Needs(Permission.REGISTER))]
Sent = Annotated[Form, Depends(read_form)]
LISTED = 500


@router.get("")
def show(request: Request, caller: Reads, svc: Svc, done: str = "") -> Response:
    return _page(request, caller, svc, message=done if done in ("saved", "removed") else None)


@router.post("/projects")
def add_project(request: Request, caller: Registers, svc: Svc, sent: Sent) -> Response:
    new = NewProject(sent.text("number"), sent.text("title"), sent.text("buyer") or None, sent.text("method") or None)
    return _saved(request, caller, svc, sent, "project", lambda: svc.registering.add_project(caller.asks(), new))


@router.post("/locations")
def add_location(request: Request, caller: Registers, svc: Svc, sent: Sent) -> Response:
    name = sent.text("name")
    return _saved(request, caller, svc, sent, "location", lambda: svc.registering.add_location(caller.asks(), name))


@router.post("/sources")
def add_source(request: Request, caller: Registers, svc: Svc, sent: Sent) -> Response:
    what = sent.text("location"), sent.text("name"), sent.text("url")
    return _saved(request, caller, svc, sent, "source", lambda: svc.registering.add_source(caller.asks(), *what))


@router.post("/sources/{id}/remove")
def remove_source(caller: Registers, svc: Svc, id: Id) -> Response:
    svc.registering.remove_source(caller.asks(), id)
    return RedirectResponse("/registry?done=removed", 303)


@router.post("/sources/{id}/test")
def test_source(request: Request, caller: Registers, svc: Svc, id: Id) -> Response:
    return _page(request, caller, svc, tested=(id, svc.test_source(caller.organisation, id)))


def _saved(
    request: Request, caller: Caller, svc: Services, sent: Form, kind: str, act: Callable[[], object]
) -> Response:
    """What was typed comes back with what is wrong with it, but for the address: it may hold a password."""
    try:
        act()
    except (InputError, AddressError) as error:
        errors = {f"{kind}.{field}": message for field, message in error.errors.items()}
        values = {f"{kind}.{field}": text for field, text in sent.values.items() if field != "url"}
        return _page(request, caller, svc, errors=errors, values=values)
    return RedirectResponse("/registry?done=saved", 303)


def _page(
    request: Request,
    caller: Caller,
    svc: Services,
    *,
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    message: str | None = None,
    tested: tuple[str, SourceTest] | None = None,
) -> Response:
    return render(
        request,
        svc,
        "registry.html",
        422 if errors else 200,
        projects=svc.registering.projects(caller.organisation, LISTED).items,
        locations=svc.registering.locations(caller.organisation, LISTED).items,
        sources=svc.registering.sources(caller.organisation, LISTED).items,
        errors=errors or {},
        values=values or {},
        message=message,
        tested=tested,
        nav="registry",
    )
