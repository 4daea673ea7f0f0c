"""Errors as problem documents (RFC 9457): stable URNs, stable codes, the fields that are wrong."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.views import job_view
from archiver.copies import PendingError
from archiver.errors import (
    AddressError,
    ArchiverError,
    ConflictError,
    InputError,
    MixedFormatsError,
    NotFoundError,
    RefusedError,
    RetentionError,
    UnauthenticatedError,
    UnavailableError,
)
from archiver.times import to_text

log = logging.getLogger(__name__)

STATUS: Sequence[tuple[type[ArchiverError], int]] = (
    (InputError, 422),
    (AddressError, 422),
    (UnauthenticatedError, 401),
    (ConflictError, 409),
    (RetentionError, 409),
    (MixedFormatsError, 409),
    (NotFoundError, 404),
    (RefusedError, 403),
    (UnavailableError, 503),
)
"""The first that fits; any other error is 500."""

TITLES = {
    401: "A valid token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "This can't be done here",
    409: "The present state doesn't allow that",
    416: "Outside the file",
    422: "Something in the request can't be used",
    500: "The archive failed",
    503: "Not possible now; try again",
}


def status_of(error: ArchiverError) -> int:
    return next((status for type, status in STATUS if isinstance(error, type)), 500)


def problem(
    status: int,
    code: str,
    detail: str,
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A problem document. `errors` maps a field to what is wrong with it."""
    document = {
        "type": f"urn:archiver:problem:{code.lower()}",
        "title": TITLES.get(status, "Not possible"),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"field": field, "message": str(message)} for field, message in (errors or {}).items()],
        **more,
    }
    return JSONResponse(document, status, dict(headers or {}), media_type="application/problem+json")


def from_error(request: Request, error: ArchiverError) -> JSONResponse:
    status = status_of(error)
    if status == 500:
        log.error("%s %s: %s: %s", request.method, request.url.path, error.code, error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}.get(status)
    return problem(status, error.code, str(error), error.errors, headers, **_more(request, error))


def from_validation(error: RequestValidationError) -> JSONResponse:
    """A path that can't name anything names nothing: 404. The rest is 422, and repeats no value given."""
    problems = error.errors()
    if any(one["loc"][:1] == ("path",) for one in problems):
        return problem(404, "NOT_FOUND", "there is nothing of that name")
    fields = {".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0]): one["msg"] for one in problems}
    return problem(422, InputError.code, "some fields are missing or can't be used", fields)


def from_http(error: HTTPException) -> JSONResponse:
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    return problem(error.status_code, codes.get(error.status_code, "HTTP"), str(error.detail), headers=error.headers)


def from_failure(request: Request, error: Exception) -> JSONResponse:
    """The outermost boundary: the log has the details, the answer has none."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "INTERNAL", "the archive failed; the log says why")


def _more(request: Request, error: ArchiverError) -> dict[str, Any]:
    """What a client needs to go on."""
    if isinstance(error, MixedFormatsError):
        return {"parts": _parts(request, error)}
    if isinstance(error, PendingError):
        return {"job": error.job and job_view(error.job)}
    return {}


def _parts(request: Request, error: MixedFormatsError) -> list[dict[str, str]]:
    """Each part's URL asks for it as the whole was asked for."""
    asked = {key: text for key, text in request.query_params.items() if key == "rendition"}
    spans = [{"from": to_text(start), "to": to_text(end)} for start, end in error.parts]
    return [{**span, "url": f"{request.url.path}?{urlencode({**span, **asked})}"} for span in spans]
