"""Signing in with a browser."""

from fastapi import APIRouter, Depends, Request, Response

from api import sessions
from api.deps import Public, Svc, same_origin
from api.schemas import SessionBody
from archiver.errors import ForbiddenError

router = APIRouter(tags=["session"], dependencies=[Depends(Public())])


@router.post("/session", status_code=204)
def sign_in(request: Request, svc: Svc, body: SessionBody) -> Response:
    """Exchange a token for a cookie that scripts can't read, for 12 hours."""
    if "origin" in request.headers and not same_origin(request):
        raise ForbiddenError("a session begins on the archive's own page")
    token, _ = svc.tokens.recognise(body.token.strip())
    response = Response(status_code=204)
    set_cookie(request, response, sessions.make(svc.session_key, token.digest, svc.clock.now()))
    return response


@router.delete("/session", status_code=204)
def sign_out(request: Request) -> Response:
    response = Response(status_code=204)
    if same_origin(request):
        response.delete_cookie(sessions.COOKIE, path="/", httponly=True, samesite="strict")
    return response


def set_cookie(request: Request, response: Response, value: str) -> None:
    """Secure wherever the page came by TLS."""
    response.set_cookie(
        sessions.COOKIE,
        value,
        max_age=int(sessions.LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
