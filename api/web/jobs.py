"""How far an export or a verification is, and what came of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.deps import Caller, Needs, Svc
from api.permissions import Permission
from api.schemas import Id
from api.views import job_view
from api.web.view import render
from archiver.vocabulary import JobState

router = APIRouter()
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]


@router.get("/jobs/{id}")
def show(request: Request, caller: Reads, svc: Svc, id: Id) -> Response:
    job = svc.inspecting.job(caller.organisation, id)
    refresh = job.state in (JobState.QUEUED, JobState.RUNNING)
    return render(request, svc, "job.html", job=job, shown=job_view(job), refresh=refresh, nav="captures")
