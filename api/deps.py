"""Who asks, and whether they may: the first thing that every route depends on."""

from dataclasses import dataclass, replace
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Header, Request

from api import sessions
from api.permissions import Permission, allowed
from api.services import Services
from archiver.errors import ForbiddenError, InputError, UnauthenticatedError
from archiver.mistakes import Mistake
from archiver.requests import Request as Asked
from archiver.values import Draft, Principal, Token
from archiver.vocabulary import EventType

COOKIE_FREE = frozenset({"/signin", "/signout", "/language", "/api/v1/session"})
"""Where a session begins and ends: these routes check the origin themselves."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_PURPOSE = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    principal: Principal
    organisation: str

    def asks(self, key: str | None = None) -> Asked:
        return Asked(self.organisation, self.principal, key)


def services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


Svc = Annotated[Services, Depends(services)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="The same key again acts only once.")]


class Needs:
    """A dependency: the caller, who has `permission`. Refusals are events (I11)."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request, svc: Svc) -> Caller:
        caller = recognised(request, svc)
        if not allowed(caller.principal.role, self.permission):
            _note_refusal(request, svc, caller, self.permission)
            raise ForbiddenError("your role doesn't allow this; ask an administrator")
        return caller


class Public:
    """A dependency: anyone may."""

    def __call__(self) -> None:
        return None


def recognised(request: Request, svc: Services) -> Caller:
    """The caller by bearer token, else by session cookie. UnauthenticatedError."""
    token, principal = _bearer(request, svc) or _session(request, svc)
    return Caller(replace(principal, purpose=_purpose(request)), token.organisation)


def same_origin(request: Request) -> bool:
    """Whether the browser says that one of our own pages sent this."""
    origin = request.headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:
        return False


def _bearer(request: Request, svc: Services) -> tuple[Token, Principal] | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return svc.tokens.recognise(secret.strip()) if scheme.lower() == "bearer" else None


def _session(request: Request, svc: Services) -> tuple[Token, Principal]:
    digest = sessions.token_digest(svc.session_key, request.cookies.get(sessions.COOKIE, ""), svc.clock.now())
    if digest is None:
        raise UnauthenticatedError("this needs a token: `Authorization: Bearer …`, or sign in on the page")
    known = svc.tokens.recognise_digest(digest)
    if request.method not in SAFE and not same_origin(request):
        raise ForbiddenError("a request with a session must come from the archive's own page")
    return known


def _purpose(request: Request) -> str | None:
    """Why somebody asks: one line of UTF-8, which ASGI hands on as Latin-1."""
    try:
        purpose = request.headers.get("x-purpose", "").encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        raise _no_purpose(Mistake.NOT_UTF8) from None
    if len(purpose) > MAX_PURPOSE:
        raise _no_purpose(Mistake.TOO_LONG)
    if not purpose.isprintable():
        raise _no_purpose(Mistake.CONTROL_CHARACTERS)
    return purpose or None


def _no_purpose(mistake: Mistake) -> InputError:
    return InputError("the purpose can't be used", errors={"X-Purpose": mistake})


def _note_refusal(request: Request, svc: Services, caller: Caller, permission: Permission) -> None:
    payload = {"what": f"{request.method} {request.url.path}", "permission": permission}
    draft = Draft("system", EventType.ACCESS_REFUSED, svc.clock.now(), caller.principal, payload)
    with svc.catalogue.transaction() as tx:
        tx.events.append(draft)
