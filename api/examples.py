"""What answers look like, for the API's description."""

from typing import Any

from fastapi import status

PROJECT = {
    "id": "01kagb8s3j0z9v7qk5r2n4m6p8",
    "number": "ZFCG-2026-0117",
    "title": "市政务云服务采购",
    "buyer": "市数据局",
    "method": "公开招标",
    "lots": ["01"],
    "end": {"date": "2026-12-20", "basis": "acceptance", "document": "验收报告 2026-15", "signer": "王敏"},
}
LOCATION = {"id": "01kagb8s3j0z9v7qk5r2n4m6p9", "name": "开标一室", "site": "main"}
SOURCE = {
    "id": "01kagb8s3j0z9v7qk5r2n4m6pa",
    "name": "主席台机位",
    "location": LOCATION["id"],
    "address": "rtsp://192.168.1.20:554/…",
    "removed": False,
}
GAP = {
    "start": "2026-11-24T01:40:00.000000Z",
    "end": "2026-11-24T01:40:08.000000Z",
    "cause": "lost",
    "evidence": "the stream ended; then the stream didn't start: Connection refused",
}
COVERED = {"expected_s": 7200, "recorded_s": 7192, "missing_s": 8}
CAPTURE = {
    "id": "01kagb8s3j0z9v7qk5r2n4m6pb",
    "title": "公开开标会",
    "project": PROJECT["id"],
    "location": LOCATION["id"],
    "state": "sealed",
    "window": {"start": "2026-11-24T01:30:00.000000Z", "end": "2026-11-24T03:30:00.000000Z"},
    "stopped_at": None,
    "revision": 1,
    **COVERED,
    "gaps": [{"source": SOURCE["id"], **GAP}],
    "retain_until": "2041-11-24T16:00:00.000000Z",
    "retain_reason": "kept until 2041-11-24 because the procurement has not ended: …",
    "sources": [{"source": {"id": SOURCE["id"], "name": SOURCE["name"]}, **COVERED, "gaps": [GAP]}],
}
HIT = {
    "capture": CAPTURE["id"],
    "title": CAPTURE["title"],
    "state": "sealed",
    "window": CAPTURE["window"],
    "project": PROJECT,
    "location": LOCATION,
    "matched": CAPTURE["window"],
    "why": ["text:capture.title"],
}
JOB = {
    "id": "01kagb8s3j0z9v7qk5r2n4m6pc",
    "name": "verify",
    "state": "done",
    "created_at": "2026-11-24T04:00:00.000000Z",
    "done": 240,
    "total": 240,
    "attempts": 1,
    "error": None,
    "capture": CAPTURE["id"],
    "result": {"ok": True, "checks": [{"number": 1, "name": "the manifest is there", "ok": True}], "findings": []},
}
PROBLEM = {
    "type": "urn:archiver:problem:invalid_input",
    "title": "Something in the request can't be used",
    "status": 422,
    "detail": "the window can't be booked like this",
    "code": "INVALID_INPUT",
    "errors": [{"field": "end", "message": "the window has ended"}],
}

Responses = dict[int | str, dict[str, Any]]


def answers(example: Any, code: int = status.HTTP_200_OK) -> Responses:
    """`example` for success, and a problem document for everything else."""
    problem = {
        "description": "A problem document (RFC 9457)",
        "content": {"application/problem+json": {"example": PROBLEM}},
    }
    success = {"description": "Done", "content": {"application/json": {"example": example}}}
    return {code: success, "default": problem}


def page(item: Any) -> Responses:
    """A page of a list."""
    return answers({"items": [item], "next": None})
