"""What both faces, HTTP and the command line, show of things: the same names and shapes (docs/api.md)."""

from datetime import datetime
from typing import Any

from archiver import completeness, events
from archiver.sidecar import CameraClaim
from archiver.surveying import Survey
from archiver.timeline import Interval
from archiver.times import to_text
from archiver.values import Event, Gap, Hit, Job, Location, Project, Source, SourceCoverage, Token, Verification
from archiver.vocabulary import JobName


def project_view(project: Project) -> dict[str, Any]:
    end = project.end
    return {
        "id": project.id,
        "number": project.number,
        "title": project.title,
        "buyer": project.buyer,
        "method": project.method,
        "lots": list(project.lots),
        "end": end
        and {"date": end.day.isoformat(), "basis": end.basis, "document": end.document, "signer": end.signer},
    }


def location_view(location: Location) -> dict[str, Any]:
    return {"id": location.id, "name": location.name, "site": location.site}


def source_view(source: Source) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "location": source.location,
        "address": source.address,
        "removed": source.removed,
    }


def capture_view(survey: Survey) -> dict[str, Any]:
    """Seconds add up over the sources: expected = recorded + missing."""
    capture = survey.capture
    return {
        "id": capture.id,
        "title": capture.title,
        "project": capture.project,
        "location": capture.location,
        "state": capture.state.value,
        "window": {"start": to_text(capture.window.start), "end": to_text(capture.window.end)},
        "stopped_at": _text(capture.stopped_at),
        "revision": capture.revision,
        **survey.total.to_document(),
        "gaps": [{"source": one.source, **gap_view(gap)} for one in survey.coverages for gap in one.gaps],
        "retain_until": _text(capture.retain_until),
        "retain_reason": capture.retain_reason,
        "sources": [
            source_coverage_view(source, name, covered)
            for source, name, covered in zip(
                capture.sources, survey.names, survey.coverages or [None] * len(capture.sources), strict=True
            )
        ],
    }


def source_coverage_view(source: str, name: str, covered: SourceCoverage | None) -> dict[str, Any]:
    """One source of a capture; nothing is expected of a window that has not begun."""
    amount = completeness.NOTHING if covered is None else completeness.of(covered)
    return {
        "source": {"id": source, "name": name},
        **amount.to_document(),
        "gaps": [] if covered is None else [gap_view(gap) for gap in covered.gaps],
    }


def gap_view(gap: Gap) -> dict[str, Any]:
    return {
        "start": to_text(gap.span.start),
        "end": to_text(gap.span.end),
        "cause": gap.cause.value,
        "evidence": gap.evidence,
    }


def camera_clock_view(claim: CameraClaim) -> dict[str, Any]:
    """A camera's clock less the host's, in seconds, as the camera told it."""
    return {"origin": claim.origin, "offset_s": completeness.seconds(claim.offset_us)}


def coverage_view(covered: SourceCoverage, claim: CameraClaim | None) -> dict[str, Any]:
    """One source: recorded intervals and gaps, which together are `window`; and what the camera said of the time."""
    return {
        "source": covered.source,
        "camera_clock": None if claim is None else camera_clock_view(claim),
        "window": _interval(covered.window),
        **completeness.of(covered).to_document(),
        "recorded": [_interval(span) for span in covered.recorded],
        "gaps": [gap_view(gap) for gap in covered.gaps],
    }


def event_view(event: Event) -> dict[str, Any]:
    """An event as it is hashed, with its hash."""
    return {**events.to_document(event), "hash": event.hash}


def job_view(job: Job) -> dict[str, Any]:
    """`files` of a finished export carry the path they can be fetched from."""
    result: dict[str, Any] | None = None if job.result is None else dict(job.result)
    if result and job.name is JobName.EXPORT and "files" in result:
        base = f"/api/v1/jobs/{job.id}/files"
        result["files"] = [{**file, "url": f"{base}/{file['name']}"} for file in result["files"]]
        result["url"] = f"{base}/{result['index']}"
    return {
        "id": job.id,
        "name": job.name.value,
        "state": job.state.value,
        "created_at": to_text(job.created_at),
        "done": job.done,
        "total": job.total,
        "attempts": job.attempts,
        "error": job.error,
        "capture": job.arguments.get("capture"),
        "result": result,
    }


def hit_view(hit: Hit) -> dict[str, Any]:
    """A search result: which capture, where in it, and which filters or words matched."""
    return {
        "capture": hit.capture.id,
        "title": hit.capture.title,
        "state": hit.capture.state.value,
        "window": {"start": to_text(hit.capture.window.start), "end": to_text(hit.capture.window.end)},
        "project": project_view(hit.project),
        "location": location_view(hit.location),
        "matched": {"start": to_text(hit.matched.start), "end": to_text(hit.matched.end)},
        "why": list(hit.why),
    }


def verification_view(verification: Verification) -> dict[str, Any]:
    return {
        "ok": verification.ok,
        "checks": [{"number": one.number, "name": one.name, "ok": one.ok} for one in verification.checks],
        "findings": [
            {
                "code": one.code.value,
                "severity": one.severity.value,
                "object": one.object,
                "expected": one.expected,
                "found": one.found,
            }
            for one in verification.findings
        ],
    }


def token_view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "created_at": to_text(token.created_at),
        "expires_at": _text(token.expires_at),
        "revoked_at": _text(token.revoked_at),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _interval(span: Interval) -> dict[str, str]:
    return {"start": to_text(span.start), "end": to_text(span.end)}
