"""Work with an end: exports and verifications, asked for, looked at, fetched."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api import schemas
from api.deps import Caller, Key, Needs, Svc
from api.examples import JOB, answers
from api.permissions import Permission
from api.ranged import File, answer
from api.schemas import Id
from api.views import job_view
from archiver.errors import NotFoundError
from archiver.exporting import INDEX, Wanted
from archiver.timeline import Interval
from archiver.times import from_text
from archiver.vocabulary import JobName

router = APIRouter(tags=["jobs"])
Reads = Annotated[Caller, Depends(Needs(Permission.READ))]
Exports = Annotated[Caller, Depends(Needs(Permission.EXPORT))]
Verifies = Annotated[Caller, Depends(Needs(Permission.VERIFY))]
JobId = Annotated[str, Path(pattern=r"^[0-9A-Za-z:]{1,120}$", description="As the answer that named the job gave it.")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,100}$")]
Answer = dict[str, Any]


@router.post("/captures/{id}/exports", status_code=202, responses=answers(JOB, 202))
def export(caller: Exports, svc: Svc, response: Response, id: Id, body: schemas.ExportBody, key: Key = None) -> Answer:
    wanted = Wanted(tuple(body.sources), body.start, body.end, body.format)
    job = svc.exporting.ask(caller.asks(key), id, wanted)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job_view(job)


@router.post("/captures/{id}/verifications", status_code=202, responses=answers(JOB, 202))
def verify(caller: Verifies, svc: Svc, response: Response, id: Id, key: Key = None) -> Answer:
    """Every byte of the capture is read and checked again."""
    job = svc.inspecting.ask_verification(caller.asks(key), id)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job_view(job)


@router.get("/jobs/{id}", responses=answers(JOB))
def show_job(caller: Reads, svc: Svc, id: JobId) -> Answer:
    return job_view(svc.inspecting.job(caller.organisation, id))


@router.head("/jobs/{id}/files/{name}", include_in_schema=False)
@router.get("/jobs/{id}/files/{name}", response_class=Response)
def fetch(request: Request, caller: Exports, svc: Svc, id: Id, name: Name) -> Response:
    """A file of an export that is done. To fetch sound and picture is to view them (I11)."""
    job = svc.inspecting.job(caller.organisation, id)
    result = job.result or {}
    files = {file["name"]: file for file in result.get("files", [])}
    known = {each: file["sha256"] for each, file in files.items()}
    known |= {INDEX: result["sha256"]} if "sha256" in result else {}
    if job.name is not JobName.EXPORT or name not in known:
        raise NotFoundError(f"job {id} has no file {name}")

    def watched(_start: int, _end: int) -> None:
        """Any part of a file counts as all of its time."""
        if file := files.get(name):
            span = Interval(from_text(file["from"]), from_text(file["to"]))
            svc.viewing.watch(caller.principal, job.arguments["capture"], file["source"], span)

    types = {"json": "application/json", "mov": "video/quicktime"}
    return answer(
        request,
        File(
            svc.shelf.size(id, name),
            f'"{known[name]}"',
            types.get(name.rpartition(".")[2], "video/mp4"),
            lambda start, end: svc.shelf.read(id, name, start, end - start),
            name,
        ),
        watched,
    )
