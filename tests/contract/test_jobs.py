"""The Jobs port: what is enqueued in a transaction runs if and only if that commits; at least once; across restarts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archiver.adapters.catalogue import schema
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.catalogue.engine import job_engine
from archiver.adapters.clock import SystemClock
from archiver.adapters.jobs import DbosJobs, JobEngine, migrate
from archiver.errors import ConflictError, InputError, NotFoundError, UnavailableError
from archiver.tidying import KEPT, Tidying
from archiver.values import Job, Json
from archiver.vocabulary import JobName, JobState
from config.jobs import JobRunner
from tests.catalogue_facts import new_id

CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 60.0


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not look():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s"
        time.sleep(0.05)


class Desk:
    """A catalogue with the engine's tables, and an engine whose use cases the test gives."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.catalogue = SqlCatalogue(url, new_id)
        self.jobs = DbosJobs(job_engine(url), SystemClock())
        self.ran: list[str] = []
        self.fail: list[Exception] = []
        self.wait_for: dict[str, threading.Event] = {}

    def ask(self, key: str, name: JobName = JobName.SEAL) -> Job:
        with self.catalogue.transaction() as tx:
            return self.jobs.enqueue(tx, name, key, {"capture": key})

    def row(self, key: str) -> Job:
        with self.catalogue.reading() as tx:
            return tx.jobs.get(key)

    def work(self, job: Job, progress) -> Json:
        self.ran.append(job.id)
        if job.id in self.wait_for:
            assert self.wait_for[job.id].wait(LIMIT_S * 2)
        if self.fail:
            raise self.fail.pop(0)
        progress(3, 3)
        return {"ran": job.id}


@pytest.fixture
def desk(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    schema.upgrade(url)
    migrate(url)
    desk = Desk(url)
    runner = JobRunner(desk.catalogue, SystemClock(), dict.fromkeys(JobName, desk.work))
    engine = JobEngine(job_engine(url), "worker-1", runner)
    engine.start()
    yield desk
    engine.stop()
    desk.jobs.close()
    desk.catalogue.close()


def test_a_job_runs_once_its_transaction_commits(desk: Desk) -> None:
    """Its row shows progress, result and attempts; the same key again is the same job."""
    assert desk.ask("one").state is JobState.QUEUED
    until(lambda: desk.row("one").state is JobState.DONE)
    row = desk.row("one")
    assert (row.done, row.total, row.attempts, row.error, row.result) == (3, 3, 1, None, {"ran": "one"})
    assert desk.ask("one").state is JobState.DONE
    desk.ask("two")
    until(lambda: desk.row("two").state is JobState.DONE)
    assert desk.ran == ["one", "two"]


def test_a_job_of_a_rolled_back_transaction_never_runs(desk: Desk) -> None:
    """Neither its row nor its work exists."""
    with pytest.raises(InputError), desk.catalogue.transaction() as tx:
        desk.jobs.enqueue(tx, JobName.SEAL, "never", {})
        raise InputError("the fact that asked for it was refused")
    desk.ask("after")
    until(lambda: desk.row("after").state is JobState.DONE)
    assert desk.ran == ["after"]


def test_what_may_be_cured_is_tried_again(desk: Desk) -> None:
    """An unavailable vault is no failure of the job; the last error stays readable until it succeeds."""
    desk.fail = [UnavailableError("the vault is away"), UnavailableError("still away")]
    desk.ask("patient")
    until(lambda: desk.row("patient").state is JobState.DONE)
    assert desk.row("patient").attempts == 3


def test_a_failed_job_says_why_and_can_be_asked_for_again(desk: Desk) -> None:
    """What trying again can't cure fails at once; asking again runs it anew."""
    desk.fail = [InputError("no such thing")]
    desk.ask("bad")
    until(lambda: desk.row("bad").state is JobState.FAILED)
    assert desk.row("bad").error == "INVALID_INPUT: no such thing"
    desk.ask("bad")
    until(lambda: desk.row("bad").state is JobState.DONE)
    assert desk.ran == ["bad", "bad"]


def test_an_unforeseen_error_is_shown_too(desk: Desk) -> None:
    """A bug in a use case ends in the job's row, not in silence."""
    desk.fail = [ZeroDivisionError("division by zero")]
    desk.ask("buggy")
    until(lambda: desk.row("buggy").state is JobState.FAILED)
    assert "ZeroDivisionError" in (desk.row("buggy").error or "")


def test_a_key_belongs_to_one_kind_of_job(desk: Desk) -> None:
    """The same key for other work is a mistake, not another job."""
    desk.ask("key")
    with pytest.raises(ConflictError):
        desk.ask("key", JobName.BATCH)


def test_a_renewal_that_takes_long_holds_up_no_seal(desk: Desk) -> None:
    """The locks of a whole archive take hours: what time alone asks for goes on meanwhile."""
    go_on = threading.Event()
    desk.wait_for = {"renew-1": go_on, "renew-2": go_on}
    for key in desk.wait_for:
        desk.ask(key, JobName.RENEW)
    until(lambda: desk.row("renew-1").state is JobState.RUNNING)
    desk.ask("seal")
    try:
        until(lambda: desk.row("seal").state is JobState.DONE)
        assert desk.row("renew-1").state is JobState.RUNNING
    finally:
        go_on.set()
    until(lambda: desk.row("renew-2").state is JobState.DONE)


def test_a_job_whose_run_got_lost_counts_as_failed(desk: Desk) -> None:
    """Else nobody would ever ask for it again; what waits or runs is left alone."""
    lost = Job("lost", JobName.SEAL, JobState.QUEUED, {"capture": "lost"}, SystemClock().now())
    with desk.catalogue.transaction() as tx:
        tx.jobs.add(lost)
    tidying = Tidying(desk.catalogue, desk.jobs, SystemClock())
    assert tidying.run()["lost"] == 1
    assert desk.row("lost").state is JobState.FAILED
    desk.ask("lost")
    until(lambda: desk.row("lost").state is JobState.DONE)
    assert tidying.run()["lost"] == 0


def test_what_is_long_done_is_forgotten_but_not_what_people_asked_for(desk: Desk) -> None:
    """Neither a row nor a run of the archive's own jobs stays for ever."""
    desk.ask("own")
    desk.ask("asked", JobName.EXPORT)
    until(lambda: {desk.row("own").state, desk.row("asked").state} == {JobState.DONE})
    until(lambda: Tidying(desk.catalogue, desk.jobs, Later()).run()["runs"] > 0)
    assert desk.row("asked").result == {"ran": "asked"}
    with pytest.raises(NotFoundError):
        desk.row("own")
    assert desk.ask("own").state is JobState.QUEUED
    until(lambda: desk.row("own").state is JobState.DONE)


class Later(SystemClock):
    """A month and a bit from now."""

    def now(self) -> datetime:
        return super().now() + KEPT + timedelta(seconds=5)


KILLED = """
import os, signal, sys
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.catalogue.engine import job_engine
from archiver.adapters.clock import SystemClock
from archiver.adapters.jobs import JobEngine
from archiver.vocabulary import JobName
from config.jobs import JobRunner
from tests.catalogue_facts import new_id

def work(job, progress):
    print("begun", flush=True)
    signal.pause()

url = sys.argv[1]
catalogue = SqlCatalogue(url, new_id)
runner = JobRunner(catalogue, SystemClock(), dict.fromkeys(JobName, work))
JobEngine(job_engine(url), sys.argv[2], runner).start()
signal.pause()
"""


@pytest.mark.parametrize(("executor", "abandoned"), [("worker-1", ()), ("worker-0", ("worker-0",))])
def test_a_job_survives_the_death_of_its_worker(tmp_path: Path, executor: str, abandoned: tuple[str, ...]) -> None:
    """kill -9 in the middle: the same worker started again runs it to its end, and so does one that takes over."""
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    schema.upgrade(url)
    migrate(url)
    desk = Desk(url)
    desk.ask("survivor")
    command = [sys.executable, "-c", KILLED, url, executor]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        os.kill(process.pid, signal.SIGKILL)
    assert desk.row("survivor").state is JobState.RUNNING
    engine = JobEngine(
        job_engine(url), "worker-1", JobRunner(desk.catalogue, SystemClock(), dict.fromkeys(JobName, desk.work))
    )
    engine.start()
    for each in abandoned:
        engine.take_over(each)
    try:
        until(lambda: desk.row("survivor").state is JobState.DONE)
    finally:
        engine.stop()
        desk.jobs.close()
        desk.catalogue.close()
    assert desk.ran == ["survivor"]
