"""Is it alive, is it ready, how is it doing."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.deps import Public, Svc
from archiver.errors import ArchiverError

router = APIRouter(tags=["operations"], dependencies=[Depends(Public())])


@router.get("/healthz")
def alive() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz")
def ready(svc: Svc) -> Response:
    """Catalogue, vault and spool, each `ok` or what is wrong with it; 503 if one is."""
    checks = {"catalogue": svc.catalogue.check, "vault": svc.vault.check, "spool": svc.check_spool}
    found = _looked(checks)
    return JSONResponse(found, 200 if set(found.values()) == {"ok"} else 503)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus; no label comes from a user."""
    registry: CollectorRegistry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _looked(checks: Mapping[str, Callable[[], None]]) -> dict[str, str]:
    found = {}
    for name, check in checks.items():
        try:
            check()
            found[name] = "ok"
        except ArchiverError as error:
            found[name] = error.code
    return found
