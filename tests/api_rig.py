"""The API and the page on a small real archive (tests.archive_rig), asked in process."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.services import Services
from archiver.adapters.copies import CopyFolder
from archiver.adapters.secrets import KeySecrets
from archiver.adapters.shelf import FolderShelf
from archiver.addresses import AddressRule
from archiver.booking import Booking
from archiver.copies import Copying
from archiver.exporting import Exporting
from archiver.inspecting import Inspecting
from archiver.playback import Playback
from archiver.ports import SourceTest, Transaction
from archiver.registering import Registering
from archiver.requests import Request
from archiver.searching import Searching
from archiver.splicing import Ropes
from archiver.surveying import Surveying
from archiver.tokens import Tokens
from archiver.values import Job, Json, Principal
from archiver.viewing import Viewing
from archiver.vocabulary import JobName, JobState, Role
from config.profiles import BROWSER
from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.adapters.pictures import AvPictures
from ingest.adapters.transcoder import FfmpegTranscoder
from ingest.scheduling import Replanner
from retention.ending import Ending
from tests.archive_rig import ROLLS, SHANGHAI, Archive
from tests.catalogue_facts import new_id
from tests.doubles import ManualClock

ORGANISATION = "centre"
OPERATOR = Principal("local:test", "local", Role.ADMINISTRATOR)
ORIGIN = "http://testserver"


class RowJobs:
    """Jobs that nobody runs: the row alone, by the same rule of one job a key."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def enqueue(self, tx: Transaction, name: JobName, key: str, arguments: Json) -> Job:
        tx.jobs.add(Job(key, name, JobState.QUEUED, dict(arguments), self._clock.now()))
        return tx.jobs.get(key)


class InProcess(httpx.BaseTransport):
    """Each request runs the application on a loop of its own, to the end of its answer."""

    def __init__(self, app: FastAPI) -> None:
        self._app = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        plain = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._app.handle_async_request(plain)
        return httpx.Response(answer.status_code, headers=answer.headers.raw, content=await answer.aread())


def client_of(app: FastAPI, **options: Any) -> httpx.Client:
    return httpx.Client(transport=InProcess(app), base_url=ORIGIN, **options)


def resolve(host: str) -> Sequence[str]:
    """A resolver with two names in it."""
    return {"camera.test": ["192.168.1.20"], "elsewhere.test": ["93.184.216.34"]}.get(host, [])


@dataclass(frozen=True)
class Api:
    """The application, what it stands on, and an administrator's token."""

    archive: Archive
    services: Services
    app: FastAPI
    token: str

    @contextmanager
    def client(self, *, signed_in: bool = True) -> Iterator[httpx.Client]:
        """By bearer token."""
        headers = {"Authorization": f"Bearer {self.token}"} if signed_in else {}
        with client_of(self.app, headers=headers) as client:
            yield client

    def token_of(self, role: Role) -> str:
        return self.services.tokens.create(Request(ORGANISATION, OPERATOR), "another", role)[1]


def copying_of(archive: Archive, home: Path) -> Copying:
    """How copies are made for a test archive, by the real ffmpeg."""
    transcoder, copies = FfmpegTranscoder(find_ffmpeg()), CopyFolder(home / "copies")
    jobs = RowJobs(archive.clock)
    return Copying(archive.catalogue, archive.vault, transcoder, copies, jobs, archive.clock, ROLLS, BROWSER)


def services(archive: Archive, home: Path) -> Services:
    catalogue, vault, clock = archive.catalogue, archive.vault, archive.clock
    replan = Replanner(ROLLS.pre, ROLLS.post, new_id)
    jobs = RowJobs(clock)
    shelf = FolderShelf(home / "exports")
    copying = copying_of(archive, home)
    playback = Playback(catalogue, vault, AvPictures(), Ropes(), copying, ROLLS.pre, ROLLS.post)
    secret = KeySecrets(home / "keys" / "address.key")
    return Services(
        catalogue=catalogue,
        vault=vault,
        clock=clock,
        tokens=Tokens(catalogue, clock, new_id, lambda: new_id() * 2),
        registering=Registering(catalogue, clock, secret, new_id, AddressRule(), resolve, "main"),
        ending=Ending(catalogue, clock, SHANGHAI),
        booking=Booking(catalogue, clock, new_id, replan),
        surveying=Surveying(catalogue, clock),
        searching=Searching(catalogue),
        playback=playback,
        viewing=Viewing(catalogue, clock, new_id),
        exporting=Exporting(catalogue, clock, new_id, jobs, playback, shelf),
        inspecting=Inspecting(catalogue, vault, jobs, new_id),
        shelf=shelf,
        test_source=lambda _organisation, _source: SourceTest(True, ("h264", "aac")),
        check_spool=lambda: None,
        session_key=bytes(32),
        zone=SHANGHAI,
    )


def open_api(home: Path, clock: ManualClock) -> Api:
    archive = Archive(home, clock)
    ready = services(archive, home)
    _, token = ready.tokens.create(Request(ORGANISATION, OPERATOR), "first", Role.ADMINISTRATOR)
    return Api(archive, ready, create_app(ready), token)
