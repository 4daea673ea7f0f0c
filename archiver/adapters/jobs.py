"""The Jobs port on DBOS: durable work with an end, in the catalogue's own database.

A job is enqueued inside the caller's transaction: it exists if and only if the fact that asked for it does. DBOS runs
it at least once; what it runs is idempotent. Only a worker launches the engine; the other processes only enqueue.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, cast

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, Serializer

from archiver.errors import ArchiverError, ConflictError, UnavailableError
from archiver.ports import Clock, Transaction
from archiver.times import to_text
from archiver.values import Job, Json
from archiver.vocabulary import JobName, JobState

LIGHT, HEAVY = "light", "heavy"
SLOW = "slow"
QUEUES = {
    JobName.RENDITION: HEAVY,
    JobName.EXPORT: HEAVY,
    JobName.VERIFY: HEAVY,
    JobName.RENEW: SLOW,
}
"""Where a job waits for its turn, LIGHT if it isn't said. A renewal touches every lock of the archive: it may take
hours, and keeps neither a seal nor an export waiting."""
WORKFLOW = "job"
APPLICATION = "archiver"
VERSION = "1"  # pinned: a new release goes on with the jobs of the old one
ATTEMPTS = 6
FIRST_WAIT_S = 2.0
TOGETHER = 500

_TO_COME = ["ENQUEUED", "DELAYED", "PENDING"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

log = logging.getLogger(__name__)


class JsonSerializer(Serializer):
    """Arguments and results are plain JSON: nothing in the database can become code."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "archiver_json"


class _Connected(Protocol):
    """A transaction of the SQL catalogue, which shows its connection so that a job can join it."""

    @property
    def connection(self) -> sa.Connection: ...


class DbosJobs:
    """Enqueues. The tables must be there (`migrate`)."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._client = DBOSClient(
            system_database_engine=engine, serializer=JsonSerializer(), application_name=APPLICATION, lazy=True
        )
        self._clock = clock

    def enqueue(self, tx: Transaction, name: JobName, key: str, arguments: Json) -> Job:
        """The same key again is the same job; one that failed before is tried anew. ConflictError if the key belongs
        to a job of another name.
        """
        job = Job(key, name, JobState.QUEUED, dict(arguments), self._clock.now())
        if not tx.jobs.add(job):
            known = tx.jobs.get(key)
            if known.name != name:
                raise ConflictError(f"job {key} is a {known.name}, not a {name}; choose another key")
            if known.state is not JobState.FAILED:
                return known
            job = replace(known, state=JobState.QUEUED, error=None)
            tx.jobs.update(job)
        self._send(tx, job)
        return job

    def _send(self, tx: Transaction, job: Job) -> None:
        options = EnqueueOptions(
            workflow_name=WORKFLOW,
            queue_name=QUEUES.get(job.name, LIGHT),
            workflow_id=f"{job.id}#{job.attempts}",
            app_version=VERSION,
        )
        self._client.enqueue_in_transaction(cast(_Connected, tx).connection, options, job.id)

    def is_to_come(self, job: Job) -> bool:
        """Whether a run of the job waits or is under way."""
        return bool(
            self._client.list_workflows(
                workflow_id_prefix=f"{job.id}#", status=_TO_COME, limit=1, load_input=False, load_output=False
            )
        )

    def forget(self, before: datetime) -> int:
        """Remove the runs that ended before; how many."""
        forgotten = 0
        while ended := self._client.list_workflows(
            status=_ENDED, completed_before=to_text(before), limit=TOGETHER, load_input=False, load_output=False
        ):
            self._client.delete_workflows([run.workflow_id for run in ended])
            forgotten += len(ended)
        return forgotten

    def close(self) -> None:
        self._client.destroy()


class Runner(Protocol):
    """Runs a job by id; `give_up` is told when it will not be tried again."""

    def __call__(self, id: str) -> None: ...
    def give_up(self, id: str, error: Exception) -> None: ...


class JobEngine:
    """Runs jobs in this process. DBOS allows one in a process; its executor id is the worker's, so that a restarted
    worker goes on with what it had begun.
    """

    def __init__(self, engine: sa.Engine, executor: str, runner: Runner) -> None:
        self._engine = engine
        self._executor = executor
        self._runner = runner

    def start(self) -> None:
        """Launch, and go on with what this executor had begun."""
        config = DBOSConfig(
            name=APPLICATION,
            system_database_engine=self._engine,
            executor_id=self._executor,
            application_version=VERSION,
            serializer=JsonSerializer(),
            log_level="WARNING",
            enable_otlp=False,
            max_executor_threads=8,
        )
        DBOS(config=config)
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)(self._workflow())
        DBOS.launch()
        DBOS.register_queue(LIGHT, worker_concurrency=2, on_conflict="always_update")
        DBOS.register_queue(HEAVY, worker_concurrency=1, on_conflict="always_update")
        DBOS.register_queue(SLOW, worker_concurrency=1, on_conflict="always_update")

    def _workflow(self) -> Callable[[str], None]:
        runner = self._runner
        attempt = DBOS.step(
            name="attempt",
            retries_allowed=True,
            max_attempts=ATTEMPTS,
            interval_seconds=FIRST_WAIT_S,
            should_retry=lambda error: isinstance(error, UnavailableError),
        )(lambda job: runner(job))

        def workflow(job: str) -> None:
            try:
                attempt(job)
            except Exception as error:  # the boundary of a job: whatever ends it must show in its row
                log.error("job %s is given up", job, exc_info=not isinstance(error, ArchiverError))
                runner.give_up(job, error)
                raise

        return workflow

    def take_over(self, executor: str) -> None:
        """Go on with the unfinished jobs of an executor that is dead."""
        for pending in DBOS.list_workflows(executor_id=executor, status="PENDING"):
            DBOS.resume_workflow(pending.workflow_id)

    def stop(self, patience_s: int = 5) -> None:
        """Let running jobs end for `patience_s`; what doesn't is taken up again at the next start."""
        DBOS.destroy(workflow_completion_timeout_sec=patience_s)


def migrate(url: str) -> None:
    """Make or upgrade the engine's own tables, in the catalogue's database."""
    DBOS.migrate(url)
