"""Signing in and out, and the reader's language."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api import sessions
from api.deps import Public, Svc, same_origin
from api.routes.session import set_cookie
from api.web.view import LANGUAGE_COOKIE, Form, read_form, render
from api.web.words import as_language
from archiver.errors import ForbiddenError, UnauthenticatedError

router = APIRouter(dependencies=[Depends(Public())])
Sent = Annotated[Form, Depends(read_form)]
YEAR_S = 365 * 86400


@router.get("/signin")
def form(request: Request, svc: Svc, next: str = "/") -> Response:
    return render(request, svc, "signin.html", next=inside(next), signed_in=False)


@router.post("/signin")
def sign_in(request: Request, svc: Svc, sent: Sent) -> Response:
    _ours(request)
    target = inside(sent.text("next"))
    try:
        token, _ = svc.tokens.recognise(sent.text("token"))
    except UnauthenticatedError:
        values = {"next": target, "errors": {"token": True}, "signed_in": False}
        return render(request, svc, "signin.html", 401, **values)
    response = RedirectResponse(target, 303)
    set_cookie(request, response, sessions.make(svc.session_key, token.digest, svc.clock.now()))
    return response


@router.post("/signout")
def sign_out(request: Request) -> Response:
    _ours(request)
    response = RedirectResponse("/signin", 303)
    response.delete_cookie(sessions.COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.post("/language")
def choose_language(request: Request, sent: Sent) -> Response:
    _ours(request)
    response = RedirectResponse(inside(sent.text("next")), 303)
    chosen = as_language(sent.text("language"))
    if chosen:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR_S, path="/", httponly=True, samesite="lax")
    return response


def inside(target: str) -> str:
    """Only a path of our own: no other host, in no spelling that a browser would take for one."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if plain else "/"


def _ours(request: Request) -> None:
    if not same_origin(request):
        raise ForbiddenError("this must come from the archive's own page")
