"""What a person sees when something can't be done."""

from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from api.problems import status_of
from api.services import Services
from api.web.view import language, render
from api.web.words import mistake, word
from archiver.errors import ArchiverError


def page(request: Request, error: ArchiverError) -> Response:
    """Who isn't signed in is asked to; else what went wrong, in the reader's language where it is known."""
    svc: Services = request.app.state.services
    status = status_of(error)
    if status == 401:
        here = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/signin?{urlencode({'next': here})}", 303)
    spoken = language(request, svc)
    details = [mistake(spoken, message) for message in error.errors.values()]
    known = mistake(spoken, str(error)) if status != 500 else ""
    return _render(request, svc, status, details or [known])


def plain(request: Request, status: int) -> Response:
    return _render(request, request.app.state.services, status, [])


def _render(request: Request, svc: Services, status: int, details: list[str]) -> Response:
    key = f"error_{status}" if status in (401, 403, 404, 405, 409, 422, 503) else "error_500"
    heading = word(language(request, svc), key)
    return render(request, svc, "error.html", status, heading=heading, details=details)
