"""Windows: booked, changed, looked at."""

from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api import schemas
from api.deps import Caller, Key, Needs, Svc
from api.examples import CAPTURE, HIT, answers, page
from api.permissions import Permission
from api.schemas import Cursor, Id, Limit
from api.views import capture_view, coverage_view, event_view, hit_view
from archiver import canonical
from archiver.booking import NewCapture
from archiver.searching import stretch
from archiver.times import to_text
from archiver.values import Capture
from archiver.values import Query as Wanted
from archiver.vocabulary import CaptureState

router = APIRouter(tags=["captures"])
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
Books = Annotated[Caller, Depends(Needs(Permission.BOOK))]
Answer = dict[str, Any]


@router.get("/captures", responses=page(CAPTURE))
def list_captures(
    caller: Reads, svc: Svc, state: CaptureState | None = None, limit: Limit = 100, cursor: Cursor = None
) -> Answer:
    """Newest window first."""
    page = svc.booking.captures(caller.organisation, limit, cursor, state)
    return {"items": [capture_view(one) for one in svc.surveying.several(page.items)], "next": page.next}


@router.post("/captures", status_code=201, responses=answers(CAPTURE, 201))
def book(caller: Books, svc: Svc, body: schemas.CaptureBody, key: Key = None) -> Answer:
    """Book a window. One that has begun is recorded from now on, the rest is a gap `not_started`."""
    new = NewCapture(body.project, body.location, body.start, body.end, body.title, tuple(body.sources))
    return _shown(caller, svc, svc.booking.book(caller.asks(key), new))


@router.get("/captures/{id}", responses=answers(CAPTURE))
def show_capture(caller: Reads, svc: Svc, id: Id) -> Answer:
    return capture_view(svc.surveying.one(caller.organisation, id))


@router.patch("/captures/{id}", responses=answers(CAPTURE))
def change_capture(caller: Books, svc: Svc, id: Id, body: schemas.CaptureChange) -> Answer:
    """Before the start only."""
    changed = svc.booking.change(caller.asks(), id, start=body.start, end=body.end, title=body.title)
    return _shown(caller, svc, changed)


@router.post("/captures/{id}/extend", responses=answers(CAPTURE))
def extend(caller: Books, svc: Svc, id: Id, body: schemas.ExtendBody, key: Key = None) -> Answer:
    return _shown(caller, svc, svc.booking.extend(caller.asks(key), id, body.end))


@router.post("/captures/{id}/stop", responses=answers(CAPTURE))
def stop(caller: Books, svc: Svc, id: Id) -> Answer:
    """End the recording now; the rest of the window is a gap `stopped`. Stopping twice changes nothing."""
    return _shown(caller, svc, svc.booking.stop(caller.asks(), id))


@router.post("/captures/{id}/cancel", responses=answers(CAPTURE))
def cancel(caller: Books, svc: Svc, id: Id) -> Answer:
    """Before the start only. Cancelling twice changes nothing."""
    return _shown(caller, svc, svc.booking.cancel(caller.asks(), id))


@router.get("/captures/{id}/coverage")
def coverage(caller: Reads, svc: Svc, id: Id) -> Answer:
    """Per source what is recorded and what is missing. Together they are the window, or what has passed of it.
    `camera_clock` is how far the camera's own clock is from the host's, by which everything is placed.
    """
    survey = svc.surveying.one(caller.organisation, id)
    clocks = svc.inspecting.camera_clocks(caller.organisation, id)
    return {"capture": id, "sources": [coverage_view(one, clocks.get(one.source)) for one in survey.coverages]}


@router.get("/captures/{id}/custody")
def custody(caller: Reads, svc: Svc, id: Id) -> Answer:
    """The capture's own chain of events, in order, each with the hash of the one before."""
    return {"items": [event_view(event) for event in svc.inspecting.custody(caller.organisation, id)], "next": None}


@router.get("/captures/{id}/seal")
def seal(caller: Reads, svc: Svc, id: Id) -> Answer:
    """The current seal. `manifest_base64` are the exact bytes that the signature (CMS, DER) is over."""
    found = svc.inspecting.seal(caller.organisation, id)
    return {
        "revision": found.row.revision,
        "sha256": found.row.digest,
        "merkle_root": found.row.merkle_root,
        "signer": found.row.signer,
        "sealed_at": to_text(found.row.sealed_at),
        "manifest": canonical.decode(found.manifest),
        "manifest_base64": b64encode(found.manifest).decode(),
        "signature_base64": b64encode(found.signature).decode(),
        "certificates": found.chain.decode(),
        "vault_label": svc.vault.label,
    }


@router.get("/search", tags=["search"], responses=page(HIT))
def search(
    caller: Reads,
    svc: Svc,
    project: str | None = None,
    location: str | None = None,
    source: str | None = None,
    start: Annotated[schemas.Moment | None, Query(alias="from")] = None,
    end: Annotated[schemas.Moment | None, Query(alias="to")] = None,
    text: Annotated[str | None, Query(max_length=200, examples=["云服务"])] = None,
    state: CaptureState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Answer:
    """Captures that fit every filter, newest window first."""
    wanted = Wanted(caller.organisation, project, location, source, stretch(start, end), text or None, state)
    page = svc.searching.find(wanted, limit, cursor)
    return {"items": [hit_view(hit) for hit in page.items], "next": page.next}


def _shown(caller: Caller, svc: Svc, capture: Capture) -> Answer:
    return capture_view(svc.surveying.one(caller.organisation, capture.id))
