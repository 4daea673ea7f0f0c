"""The list of captures, and one of them: coverage, player, seal, and what can be done with it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.schemas import Cursor, Id
from api.services import Services
from api.web.bars import Bar, bar
from api.web.player import player
from api.web.view import Form, read_form, render
from archiver.errors import InputError, NotFoundError
from archiver.exporting import Wanted
from archiver.inspecting import SealDocuments
from archiver.surveying import Survey
from archiver.times import from_text
from archiver.vocabulary import CaptureState

router = APIRouter()
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
Books = Annotated[Caller, Depends(Needs(Permission.BOOK))]
Exports = Annotated[Caller, Depends(Needs(Permission.EXPORT))]
Verifies = Annotated[Caller, Depends(Needs(Permission.VERIFY))]
Sent = Annotated[Form, Depends(read_form)]
LISTED = 25
WRONG_S = 1.0


@router.get("/")
def captures(
    request: Request, caller: Reads, svc: Svc, state: CaptureState | None = None, cursor: Cursor = None
) -> Response:
    page = svc.booking.captures(caller.organisation, LISTED, cursor, state)
    rows = [(survey, bars(survey)) for survey in svc.surveying.several(page.items)]
    states = list(CaptureState)
    return render(request, svc, "captures.html", rows=rows, next=page.next, state=state, states=states, nav="captures")


@router.get("/captures/{id}")
def show(
    request: Request,
    caller: Reads,
    svc: Svc,
    id: Id,
    source: str = "",
    at: str = "",
    to: str = "",
    booked: bool = False,
) -> Response:
    return _page(request, caller, svc, id, (source, at, to), booked=booked)


@router.post("/captures/{id}/stop")
def stop(request: Request, caller: Books, svc: Svc, id: Id) -> Response:
    return _after(request, caller, svc, id, lambda: svc.booking.stop(caller.asks(), id))


@router.post("/captures/{id}/cancel")
def cancel(request: Request, caller: Books, svc: Svc, id: Id) -> Response:
    return _after(request, caller, svc, id, lambda: svc.booking.cancel(caller.asks(), id))


@router.post("/captures/{id}/extend")
def extend(request: Request, caller: Books, svc: Svc, id: Id, sent: Sent) -> Response:
    return _after(request, caller, svc, id, lambda: svc.booking.extend(caller.asks(), id, sent.moment("end", svc.zone)))


@router.post("/captures/{id}/verify")
def verify(caller: Verifies, svc: Svc, id: Id) -> Response:
    return RedirectResponse(f"/jobs/{svc.inspecting.ask_verification(caller.asks(), id).id}", 303)


@router.post("/captures/{id}/export")
def export(request: Request, caller: Exports, svc: Svc, id: Id, sent: Sent) -> Response:
    try:
        span = sent.optional_moment("from", svc.zone), sent.optional_moment("to", svc.zone)
        sources = tuple(source for source in sent.lists.get("source", []) if source)
        job = svc.exporting.ask(caller.asks(), id, Wanted(sources, *span))
    except InputError as error:
        return _page(request, caller, svc, id, errors=error.errors, status=422)
    return RedirectResponse(f"/jobs/{job.id}", 303)


def bars(survey: Survey) -> list[Bar]:
    """A bar for each source, also before anything is known of it."""
    covered = survey.coverages or [None] * len(survey.capture.sources)
    named = zip(survey.capture.sources, survey.names, covered, strict=True)
    return [bar(source, name, survey.capture.window, coverage) for source, name, coverage in named]


def _after(request: Request, caller: Caller, svc: Services, id: str, act: Callable[[], object]) -> Response:
    try:
        act()
    except InputError as error:
        return _page(request, caller, svc, id, errors=error.errors, status=422)
    return RedirectResponse(f"/captures/{id}", 303)


def _page(
    request: Request,
    caller: Caller,
    svc: Services,
    id: str,
    watched: tuple[str, str, str] = ("", "", ""),
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
    booked: bool = False,
) -> Response:
    survey = svc.surveying.one(caller.organisation, id)
    source, at, to = watched
    verified = svc.inspecting.verified(caller.organisation, id)
    now = svc.clock.now()
    values = {
        "survey": survey,
        "capture": survey.capture,
        "bars": bars(survey),
        "wrong_clocks": _wrong_clocks(caller, svc, survey),
        "seal": _seal(caller, svc, id),
        "verified": verified,
        "player": player(svc, caller.organisation, survey, source, _moment(at), _moment(to)),
        "can_cancel": survey.capture.state is CaptureState.BOOKED and survey.capture.window.start > now,
        "can_stop": survey.capture.state in (CaptureState.BOOKED, CaptureState.RECORDING)
        and survey.capture.window.start <= now < survey.capture.window.end
        and survey.capture.stopped_at is None,
        "can_extend": survey.capture.state in (CaptureState.BOOKED, CaptureState.RECORDING)
        and now < survey.capture.window.end
        and survey.capture.stopped_at is None,
        "refresh": survey.capture.state in (CaptureState.RECORDING, CaptureState.SEALING) and not source,
        "errors": errors or {},
        "message": "booked" if booked else None,
        "nav": "captures",
    }
    return render(request, svc, "capture.html", status, **values)


def _wrong_clocks(caller: Caller, svc: Services, survey: Survey) -> list[tuple[str, float]]:
    """(source's name, seconds) of the cameras whose own clocks are so far from the host's that somebody should know."""
    claims = svc.inspecting.camera_clocks(caller.organisation, survey.capture.id)
    named = zip(survey.capture.sources, survey.names, strict=True)
    offsets = [(name, claims[source].offset_us / 1e6) for source, name in named if source in claims]
    return [(name, offset_s) for name, offset_s in offsets if abs(offset_s) >= WRONG_S]


def _seal(caller: Caller, svc: Services, id: str) -> SealDocuments | None:
    try:
        return svc.inspecting.seal(caller.organisation, id)
    except NotFoundError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        return from_text(text) if text else None
    except (ValueError, OverflowError):
        return None
