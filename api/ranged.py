"""Files that are sent in ranges (RFC 9110, sections 13 and 14): GET and HEAD, conditional or not."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from api.problems import problem

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")


@dataclass(frozen=True, slots=True)
class File:
    """What may be sent: `read(start, end)` gives the bytes [start, end). `etag` is strong, with its quotes."""

    size: int
    etag: str
    type: str
    read: Callable[[int, int], Iterator[bytes]]
    name: str | None = None


def answer(request: Request, file: File, before: Callable[[int, int], None] | None = None) -> Response:
    """200, 206, 304 or 416. `before(start, end)` is called when bytes are about to be sent, not for HEAD."""
    headers = {"ETag": file.etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if file.name:
        headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    if _known(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=304, headers=headers)
    start, end, partial = _range(request, file)
    if start >= end and partial:
        headers["Content-Range"] = f"bytes */{file.size}"
        return problem(416, "RANGE_NOT_SATISFIABLE", f"the file has {file.size} bytes", headers=headers)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return _send(request, file, (start, end), 206 if partial else 200, headers, before)


def _send(
    request: Request,
    file: File,
    stretch: tuple[int, int],
    status: int,
    headers: Mapping[str, str],
    before: Callable[[int, int], None] | None,
) -> Response:
    start, end = stretch
    whole = {**headers, "Content-Length": str(end - start), "Content-Type": file.type}
    if request.method == "HEAD":
        return Response(status_code=status, headers=whole)
    if before:
        before(start, end)
    return StreamingResponse(file.read(start, end), status, whole)


def _range(request: Request, file: File) -> tuple[int, int, bool]:
    """[start, end) and whether it is a part. Several ranges, another unit or a stale If-Range: the whole file."""
    whole = (0, file.size, False)
    asked = _ONE_RANGE.fullmatch(request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if not asked or asked[1] == asked[2] == "" or (condition is not None and condition.strip() != file.etag):
        return whole
    if not asked[1]:
        return max(file.size - int(asked[2]), 0) if int(asked[2]) else file.size, file.size, True
    if asked[2] and int(asked[2]) < int(asked[1]):
        return whole
    last = int(asked[2]) + 1 if asked[2] else file.size
    return int(asked[1]), min(last, file.size), True


def _known(condition: str | None, etag: str) -> bool:
    """If-None-Match compares weakly."""
    if condition is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    return "*" in tags or etag in tags
