"""The API and the page as one ASGI application."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from api import problems
from api.metrics import Metrics
from api.routes import captures, jobs, media, operations, registry, session
from api.services import Services
from api.web import errors as web_errors
from api.web import pages
from archiver.errors import ArchiverError

PREFIX = "/api/v1"
STATIC = Path(__file__).parent / "web" / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Next = Callable[[Request], Awaitable[Response]]


def create_app(services: Services) -> FastAPI:
    """The application; it holds nothing but `services` and its counters."""
    app = FastAPI(
        title="archiver",
        version="1",
        description="An audio/video evidence archive for public procurement.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.services = services
    app.state.metrics = Metrics()
    app.middleware("http")(_dressed)
    for router in (registry.router, captures.router, media.router, jobs.router, session.router):
        app.include_router(router, prefix=PREFIX)
    app.include_router(operations.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _handle_errors(app)
    return app


async def _dressed(request: Request, go_on: Next) -> Response:
    """Counts every answer and gives it the headers that keep a browser safe."""
    clock = request.app.state.services.clock
    began = clock.monotonic()
    response = await go_on(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    route = getattr(request.scope.get("route"), "path", "none")
    request.app.state.metrics.answered(request.method, route, response.status_code, clock.monotonic() - began)
    return response


def _handle_errors(app: FastAPI) -> None:
    """Problem documents for programs, pages for people."""

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, ArchiverError)  # noqa: S101 - how it is registered
        return web_errors.page(request, error) if _is_page(request) else problems.from_error(request, error)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        answer = problems.from_validation(error)
        return web_errors.plain(request, answer.status_code) if _is_page(request) else answer

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return web_errors.plain(request, error.status_code) if _is_page(request) else problems.from_http(error)

    app.add_exception_handler(ArchiverError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, problems.from_failure)


def _is_page(request: Request) -> bool:
    path = request.url.path
    return not path.startswith((PREFIX, "/healthz", "/readyz", "/metrics", "/static"))
