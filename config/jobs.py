"""From a job's name to its use case, and what is shown of it while it runs."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from archiver.errors import ArchiverError, UnavailableError
from archiver.ports import Catalogue, Clock, Progress
from archiver.values import Job, Json
from archiver.vocabulary import JobName, JobState

log = logging.getLogger(__name__)
SHOWN_EVERY_S = 1.0
UseCase = Callable[[Job, Progress], Json | None]


class JobRunner:
    """Runs one job by id. What it runs may have run before: every use case is idempotent."""

    def __init__(self, catalogue: Catalogue, clock: Clock, use_cases: Mapping[JobName, UseCase]) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._use_cases = use_cases

    def __call__(self, id: str) -> None:
        """UnavailableError asks the engine to try again; any other error is final and stands in the job's row."""
        with self._catalogue.transaction() as tx:
            job = tx.jobs.get(id)
            job = replace(job, state=JobState.RUNNING, attempts=job.attempts + 1)
            tx.jobs.update(job)
        try:
            result = self._use_cases[job.name](job, _Shown(self._catalogue, self._clock, job))
        except ArchiverError as error:
            level = logging.WARNING if isinstance(error, UnavailableError) else logging.ERROR
            log.log(level, "job %s, attempt %d: %s: %s", id, job.attempts, error.code, error)
            self._save(replace(job, state=JobState.QUEUED, error=f"{error.code}: {error}"), None)
            raise
        self._save(replace(job, state=JobState.DONE, error=None), result)

    def give_up(self, id: str, error: Exception) -> None:
        """The engine won't try again: say so in its row. The tick asks again for what must happen."""
        with self._catalogue.transaction() as tx:
            job = tx.jobs.get(id)
            tx.jobs.update(replace(job, state=JobState.FAILED, error=job.error or f"{type(error).__name__}: {error}"))

    def _save(self, job: Job, result: Json | None) -> None:
        with self._catalogue.transaction() as tx:
            now = tx.jobs.get(job.id)
            tx.jobs.update(replace(job, done=now.done, total=now.total, result=result))


class _Shown:
    """Writes progress to the job's row, once a second at most."""

    def __init__(self, catalogue: Catalogue, clock: Clock, job: Job) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._job = job
        self._next = 0.0

    def __call__(self, done: int, total: int | None = None) -> None:
        if self._clock.monotonic() < self._next and done != total:
            return
        self._next = self._clock.monotonic() + SHOWN_EVERY_S
        with self._catalogue.transaction() as tx:
            tx.jobs.update(replace(self._job, done=done, total=total))
