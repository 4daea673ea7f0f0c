"""Copies of stretches for somebody to take away: a file for each source and codec, and an index of their digests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archiver import canonical
from archiver.booking import owned
from archiver.documents import VERSION
from archiver.errors import InputError, NotFoundError
from archiver.ids import NewId
from archiver.mistakes import Mistake
from archiver.playback import Media, Playback, bounded
from archiver.ports import Catalogue, Clock, Jobs, Progress, Shelf, Transaction
from archiver.requests import Request, once
from archiver.timeline import Interval
from archiver.times import from_text, to_text
from archiver.values import Capture, Draft, Job, Json, Principal
from archiver.vocabulary import EventType, JobName, Role

FORMATS = ("mp4",)
INDEX = "index.json"
PIECE = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported. No sources means all of the capture; no times mean the window."""

    sources: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    format: str = "mp4"


@dataclass(frozen=True, slots=True)
class Exporting:
    """`ask` enqueues; `export` is what the job does, and what the command line does at once."""

    catalogue: Catalogue
    clock: Clock
    new_id: NewId
    jobs: Jobs
    playback: Playback
    shelf: Shelf

    def ask(self, request: Request, capture: str, wanted: Wanted) -> Job:
        """Enqueue an export; its job id is the folder on the shelf. InputError names the field that is wrong."""
        with self.catalogue.transaction() as tx:
            what = self._arguments(owned(tx, request.organisation, capture), wanted, request)

            def act() -> str:
                id = self.new_id()
                return self.jobs.enqueue(tx, JobName.EXPORT, id, {**what, "export": id}).id

            return tx.jobs.get(once(tx, request, {"export": dict(what)}, act))

    def run(self, arguments: Json, progress: Progress) -> Json:
        """Do what `ask` enqueued; its result."""
        who = arguments["principal"]
        principal = Principal(who["id"], who["kind"], Role(who["role"]), who["purpose"])
        span = from_text(arguments["from"]), from_text(arguments["to"])
        wanted = Wanted(tuple(arguments["sources"]), *span, arguments["format"])
        request = Request(arguments["organisation"], principal)
        return self.export(request, arguments["capture"], wanted, arguments["export"], progress)

    def export(self, request: Request, capture: str, wanted: Wanted, folder: str, progress: Progress) -> Json:
        """Write the files and their index into `folder` of the shelf: `{files, index, sha256, size}`. Doing it again
        writes the same bytes, and states the export once.
        """
        with self.catalogue.reading() as tx:
            what = self._arguments(owned(tx, request.organisation, capture), wanted, request)
        files = self._files(request.organisation, what)
        written = self._write(folder, files, progress)
        index = {"v": VERSION, **{name: what[name] for name in ("capture", "from", "to", "format")}, "files": written}
        digest, size = self.shelf.write(folder, INDEX, [canonical.encode(index)])
        result = {"files": written, "index": INDEX, "sha256": digest, "size": size}
        with self.catalogue.transaction() as tx:
            self._state(tx, request, folder, what, result)
        return result

    def _arguments(self, capture: Capture, wanted: Wanted, request: Request) -> dict[str, Any]:
        if wanted.format not in FORMATS:
            raise InputError("this format can't be had", errors={"format": Mistake.FORMAT_UNKNOWN})
        if not set(wanted.sources) <= set(capture.sources):
            raise InputError("these sources can't be had", errors={"sources": Mistake.SOURCE_NOT_CAPTURED})
        window, rolled = capture.window, self.playback.rolled(capture)
        span = bounded(wanted.start or window.start, wanted.end or window.end, rolled)
        principal = request.principal
        return {
            "organisation": request.organisation,
            "capture": capture.id,
            "sources": sorted(set(wanted.sources) or set(capture.sources)),
            "from": to_text(span.start),
            "to": to_text(span.end),
            "format": wanted.format,
            "principal": {
                "id": principal.id,
                "kind": principal.kind,
                "role": principal.role,
                "purpose": principal.purpose,
            },
        }

    def _files(self, organisation: str, what: Mapping[str, Any]) -> list[tuple[str, Media]]:
        """Every file with its source, in order; a source of which nothing was recorded has none. NotFoundError if none
        has any.
        """
        span = Interval(from_text(what["from"]), from_text(what["to"]))
        found: list[tuple[str, Media]] = []
        for source in what["sources"]:
            try:
                cuts = self.playback.parts(organisation, what["capture"], source, span)
            except NotFoundError:
                continue
            found += [(source, self.playback.as_media(what["capture"], source, span, cut)) for cut in cuts]
        if not found:
            raise NotFoundError(Mistake.NO_MEDIA)
        return found

    def _write(self, folder: str, files: Sequence[tuple[str, Media]], progress: Progress) -> list[dict[str, Any]]:
        total = sum(media.rope.size for _, media in files)
        done = 0
        written = []
        for source, media in files:
            name = f"{source}-{media.span.start:%Y%m%dT%H%M%SZ}{media.suffix}"
            digest, size = self.shelf.write(folder, name, self._told(media, progress, done, total))
            done += size
            times = {"from": to_text(media.span.start), "to": to_text(media.span.end)}
            written.append({"name": name, "source": source, **times, "sha256": digest, "size": size})
        progress(done, total)
        return written

    def _told(self, media: Media, progress: Progress, done: int, total: int) -> Iterator[bytes]:
        """The file's bytes; says now and then how far it is."""
        progress(done, total)
        for number, piece in enumerate(media.rope.read(self.playback.vault)):
            yield piece
            done += len(piece)
            if number % PIECE == 0:
                progress(done, total)

    def _state(self, tx: Transaction, request: Request, folder: str, what: Json, result: Json) -> None:
        chain = tx.events.chain(what["capture"])
        if any(event.type == EventType.EXPORT_MADE and event.payload.get("export") == folder for event in chain):
            return
        payload = {
            "export": folder,
            **{name: what[name] for name in ("capture", "from", "to", "sources", "format")},
            "sha256": result["sha256"],
            "size": sum(file["size"] for file in result["files"]),
        }
        now = self.clock.now()
        about = tuple(what["sources"])
        tx.events.append(Draft(what["capture"], EventType.EXPORT_MADE, now, request.principal, payload, about))
