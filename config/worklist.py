"""Which use case each job is. Every one may run again."""

from collections.abc import Mapping

from api.views import verification_view
from archiver.ports import Progress
from archiver.requests import Request
from archiver.values import Job, Json, Principal
from archiver.verifying import verification_run
from archiver.vocabulary import JobName, Role
from config.jobs import UseCase
from config.wiring import Installation


def use_cases(ready: Installation) -> Mapping[JobName, UseCase]:
    """By job name."""
    return {
        JobName.START: lambda job, _: ready.advancing.start(job.arguments["capture"]),
        JobName.END: lambda job, _: ready.advancing.end(job.arguments["capture"]),
        JobName.SEAL: lambda job, _: _seal(ready, job.arguments["capture"]),
        JobName.BATCH: lambda _job, _: {"batches": ready.custody.store()},
        JobName.RENEW: lambda job, progress: _renew(ready, job, progress),
        JobName.TIDY: lambda _job, _: ready.tidying.run(),
        JobName.EXPORT: lambda job, progress: ready.exporting.run(job.arguments, progress),
        JobName.RENDITION: lambda job, progress: ready.copying.make(
            job.arguments["capture"], job.arguments["source"], progress
        ),
        JobName.VERIFY: lambda job, progress: _verify(ready, job, progress),
    }


def _seal(ready: Installation, capture: str) -> Json:
    """Seal, and again if footage came meanwhile; then have copies made of what a browser can't play."""
    row = ready.sealing.seal(capture)
    while (again := ready.sealing.seal(capture)).revision > row.revision:
        row = again
    with ready.catalogue.transaction() as tx:
        ready.copying.ask(tx, tx.captures.get(capture))
    return {"revision": row.revision, "sha256": row.digest}


def _renew(ready: Installation, job: Job, progress: Progress) -> Json:
    project = job.arguments.get("project")
    renewed = ready.renewal.renew_project(project) if project else ready.renewal.renew_all(progress)
    return {"extended": len(renewed)}


def _verify(ready: Installation, job: Job, progress: Progress) -> Json:
    capture = job.arguments["capture"]
    outcome = ready.verifying.verify(capture, progress)
    with ready.catalogue.transaction() as tx:
        tx.events.append(verification_run(capture, outcome, _asker(job).principal, ready.clock.now()))
    return verification_view(outcome)


def _asker(job: Job) -> Request:
    """Whoever asked for the job is who its events name."""
    who = job.arguments["principal"]
    principal = Principal(who["id"], who["kind"], Role(who["role"]), who["purpose"])
    return Request(job.arguments["organisation"], principal)
