"""Sound and picture: one file of any stretch, a playlist, a picture. Every view is an event before its first byte."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response

from api import schemas
from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.ranged import File, answer
from api.schemas import Id
from archiver.playback import Media
from archiver.times import to_text

router = APIRouter(tags=["media"], prefix="/captures/{id}/sources/{source}")
Watches = Annotated[Caller, Depends(Needs(Permission.WATCH))]
From = Annotated[schemas.Moment | None, Query(alias="from", description="Default: the window's start.")]
To = Annotated[schemas.Moment | None, Query(alias="to", description="Default: the window's end.")]
At = Annotated[schemas.Moment, Query(description="A time with an offset.")]
Width = Annotated[int, Query(ge=64, le=1920)]


@router.head("/media.mp4", include_in_schema=False)
@router.get("/media.mp4", response_class=Response)
def media(
    request: Request,
    caller: Watches,
    svc: Svc,
    id: Id,
    source: Id,
    start: From = None,
    end: To = None,
    rendition: Literal["browser"] | None = None,
) -> Response:
    """One file of [from, to). Its ETag is a digest of what it is made of. `Media-Start` and `Media-End` say which time
    it shows: what was not recorded at either end is not in it.
    """
    give = svc.playback.browser if rendition else svc.playback.media
    found = give(caller.organisation, id, source, start, end)
    return _sent(request, caller, svc, id, source, found)


@router.head("/segments/{recording}/{seq}.mp4", include_in_schema=False)
@router.get("/segments/{recording}/{seq}.mp4", response_class=Response)
def segment(
    request: Request,
    caller: Watches,
    svc: Svc,
    id: Id,
    source: Id,
    recording: Annotated[str, Path(pattern=r"^[0-9a-z]{26}$")],
    seq: Annotated[int, Path(ge=0, lt=10**8)],
) -> Response:
    """A stored segment, byte for byte: what the playlist names."""
    found = svc.playback.segment(caller.organisation, id, source, recording, seq)
    return _sent(request, caller, svc, id, source, found)


@router.get("/index.m3u8", response_class=PlainTextResponse)
def playlist(caller: Watches, svc: Svc, id: Id, source: Id) -> Response:
    """HLS of the window, with byte ranges of the stored segments."""
    text = svc.playback.playlist(caller.organisation, id, source)
    return PlainTextResponse(text, media_type="application/vnd.apple.mpegurl", headers={"Cache-Control": "no-cache"})


@router.get("/thumbnail.jpg", response_class=Response)
def thumbnail(caller: Watches, svc: Svc, id: Id, source: Id, at: At, width: Width = 320) -> Response:
    """The picture that was to be seen at that time."""
    picture, span = svc.playback.picture(caller.organisation, id, source, at, width)
    svc.viewing.watch(caller.principal, id, source, span)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _sent(request: Request, caller: Caller, svc: Svc, id: str, source: str, found: Media) -> Response:
    def watched(start: int, end: int) -> None:
        svc.viewing.watch(caller.principal, id, source, found.rope.shown(start, end) or found.span)

    file = File(
        found.rope.size,
        f'"{found.digest}"',
        found.type,
        lambda start, end: found.rope.read(found.store, start, end),
    )
    sent = answer(request, file, watched)
    if found.copy:
        sent.headers["Media-Rendition"] = "browser"
    sent.headers["Media-Start"], sent.headers["Media-End"] = to_text(found.span.start), to_text(found.span.end)
    return sent
