"""Keeps the bookkeeping of jobs small and true: what the archive itself asked for is forgotten when it is long done,
and a job whose run got lost counts as failed, so that what it was for is asked for again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from archiver.ports import Catalogue, Clock
from archiver.values import Job, Json
from archiver.vocabulary import JobName, JobState

KEPT = timedelta(days=30)
LOOKED_AT = 1000
OWN = frozenset({JobName.START, JobName.END, JobName.SEAL, JobName.BATCH, JobName.RENEW, JobName.TIDY})
"""What the archive asks of itself. The jobs of people stay: their results are looked at."""


class Runs(Protocol):
    """What the engine behind the jobs remembers of their runs."""

    def is_to_come(self, job: Job) -> bool:
        """Whether a run of the job waits or is under way."""
        ...

    def forget(self, before: datetime) -> int:
        """Remove the runs that ended before; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Tidying:
    catalogue: Catalogue
    runs: Runs
    clock: Clock

    def run(self) -> Json:
        """`{lost, rows, runs}`: how many jobs failed for want of a run, and how many rows and runs are forgotten."""
        lost = sum(self._fail(job) for job in self._unfinished() if not self.runs.is_to_come(job))
        before = self.clock.now() - KEPT
        with self.catalogue.transaction() as tx:
            rows = tx.jobs.forget(OWN, before)
        return {"lost": lost, "rows": rows, "runs": self.runs.forget(before)}

    def _unfinished(self) -> Iterator[Job]:
        with self.catalogue.reading() as tx:
            found = [tx.jobs.in_state(state, LOOKED_AT) for state in (JobState.QUEUED, JobState.RUNNING)]
        return (job for jobs in found for job in jobs)

    def _fail(self, job: Job) -> bool:
        """A run that has ended since wrote its outcome before: then the job isn't as it was."""
        with self.catalogue.transaction() as tx:
            now = tx.jobs.get(job.id)
            if now.state not in (JobState.QUEUED, JobState.RUNNING):
                return False
            tx.jobs.update(replace(now, state=JobState.FAILED, error=now.error or "its run was lost"))
        return True
