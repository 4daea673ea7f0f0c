"""`archiver tick`: time passes. It does no work itself; it asks what is due and enqueues it, each once."""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from apscheduler.schedulers.background import BackgroundScheduler

from archiver.errors import ArchiverError, UnavailableError
from archiver.ports import Catalogue, Clock, Jobs, Transaction
from archiver.values import Json
from archiver.vocabulary import JobName

log = logging.getLogger(__name__)
EVERY_S = 1.0
SWEEP_S = 30.0
Due = Callable[[Transaction, datetime], Sequence[tuple[JobName, str, Json]]]
"""What is due now: (job name, key, arguments). The same key is the same job, on every replica."""


class Ticker:
    """Asks `due` every second and enqueues what it names."""

    def __init__(
        self, catalogue: Catalogue, jobs: Jobs, clock: Clock, due: Due, close_views: Callable[[], int]
    ) -> None:
        self._catalogue = catalogue
        self._jobs = jobs
        self._clock = clock
        self._due = due
        self._close_views = close_views

    def tick(self) -> int:
        """How many jobs were asked for. A catalogue that is away is tried again at the next tick."""
        now = self._clock.now()
        try:
            with self._catalogue.reading() as tx:
                due = list(self._due(tx, now))
            return sum(self._ask(*each) for each in due)
        except UnavailableError as error:
            log.warning("%s: %s", error.code, error)
            return 0

    def _ask(self, name: JobName, key: str, arguments: Json) -> bool:
        """What is wrong with one job holds up no other."""
        try:
            with self._catalogue.transaction() as tx:
                self._jobs.enqueue(tx, name, key, arguments)
        except UnavailableError:
            raise
        except ArchiverError as error:
            log.error("job %s can't be asked for: %s: %s", key, error.code, error)
            return False
        return True

    def sweep(self) -> None:
        """Close the views that nobody watches any more (I11)."""
        try:
            self._close_views()
        except UnavailableError as error:
            log.warning("%s: %s", error.code, error)

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.add_job(self.tick, "interval", seconds=EVERY_S, coalesce=True, max_instances=1, id="tick")
        scheduler.add_job(self.sweep, "interval", seconds=SWEEP_S, coalesce=True, max_instances=1, id="sweep")
        scheduler.start()
        stopping.wait()
        scheduler.shutdown(wait=True)
        return 0
