"""The roles as processes: what `archiver up`, `serve`, `work` and `tick` run."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import datetime

from api.app import create_app
from api.services import Services
from archiver.adapters.jobs import JobEngine
from archiver.errors import UnavailableError
from archiver.ports import Transaction
from config import recording
from config.jobs import JobRunner
from config.recording import RecorderSettings
from config.serving import serve as serve_app
from config.supervisor import Command, Supervisor
from config.ticking import Ticker
from config.wiring import Installation
from config.worklist import use_cases
from ingest.adapters.spool import Spool
from ingest.keeper import Keeper
from ingest.recovery import adopted_by
from ingest.scheduling import Due, due_jobs

log = logging.getLogger(__name__)
ENGINE_STOP_S = 1


def up(ready: Installation) -> int:
    """All roles as children of this process, until it is told to leave."""
    settings = _recorder(ready).written()
    commands = {
        "serve": Command(_command(ready, "serve")),
        # Not by `archiver work`: to be read, that takes some seconds, in which nothing would be recorded.
        "work": Command(recording.command(settings), (settings,)),
        "tick": Command(_command(ready, "tick")),
    }
    return Supervisor(commands).run()


def serve(ready: Installation) -> int:
    """The API and the page."""
    ready.viewing.close_interrupted()
    listen = ready.settings.api
    return serve_app(create_app(services(ready)), listen.host, listen.port, ready.settings.home)


def services(ready: Installation) -> Services:
    return Services(
        catalogue=ready.catalogue,
        vault=ready.vault,
        clock=ready.clock,
        tokens=ready.tokens,
        registering=ready.registering,
        ending=ready.ending,
        booking=ready.booking,
        surveying=ready.surveying,
        searching=ready.searching,
        playback=ready.playback,
        viewing=ready.viewing,
        exporting=ready.exporting,
        inspecting=ready.inspecting,
        shelf=ready.shelf,
        test_source=ready.test_source,
        check_spool=ready.check_spool,
        session_key=ready.session_key(),
        zone=ready.settings.zone,
        language=ready.settings.archive.language,
    )


def tick(ready: Installation) -> int:
    """The clock."""

    def due(tx: Transaction, now: datetime) -> Sequence[Due]:
        return due_jobs(tx, now, ready.rolls.post, ready.readiness)

    return Ticker(ready.catalogue, ready.jobs, ready.clock, due, ready.viewing.close_idle).run()


def work(ready: Installation) -> None:
    """Become the recorder process; doesn't return."""
    settings = _recorder(ready)
    ready.close()
    words = recording.command(settings.written())
    os.execv(words[0], words)  # noqa: S606 - no shell


def _recorder(ready: Installation) -> RecorderSettings:
    settings = ready.settings
    return RecorderSettings(
        spool=str(settings.spool),
        catalogue_url=settings.catalogue_url,
        address_key=str(settings.keys / "addresses.key"),
        site=settings.archive.site,
        capacity=settings.work.capacity,
        lease_s=settings.work.lease_s,
        segment_s=settings.ingest.segment_s,
        stall_s=settings.ingest.stall_s,
        ffmpeg=settings.ingest.ffmpeg,
        log_level=settings.log.level,
        log_format=settings.log.format,
        keeper=_command(ready, "work", "--keeper"),
    )


def keep(ready: Installation, worker: str) -> int:
    """Deposit a worker's spool and run jobs, until told to leave."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ready.custody.store_certificate()
    engine = JobEngine(ready.job_engine, worker, JobRunner(ready.catalogue, ready.clock, use_cases(ready)))
    engine.start()
    try:
        folders = _Folders(ready, worker, engine)
        Keeper(folders, ready.depositing.deposit, ready.catalogue, ready.clock).run(stop)
        _store_events(ready)
    finally:
        engine.stop(ENGINE_STOP_S)
    return 0


def _store_events(ready: Installation) -> None:
    """On an orderly exit no event waits for the next batch; what can't leave now leaves at the next start."""
    try:
        ready.custody.store()
    except UnavailableError as error:
        log.warning("events wait for the next start: %s: %s", error.code, error)


class _Folders:
    """The spools that a worker's keeper empties: its own and the adopted ones, whose workers' jobs it takes over."""

    def __init__(self, ready: Installation, worker: str, engine: JobEngine) -> None:
        self._spools = ready.spools
        self._own = ready.spools.of(worker)
        self._engine = engine
        self._known: set[str] = set()

    def __call__(self) -> Sequence[Spool]:
        adopted = adopted_by(self._own)
        for worker in set(adopted) - self._known:
            self._engine.take_over(worker)
            self._known.add(worker)
        return [self._own, *map(self._spools.of, adopted)]


def _command(ready: Installation, *words: str) -> list[str]:
    return [sys.executable, "-m", "api", "--home", str(ready.settings.home), *words]
