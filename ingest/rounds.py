"""A worker's dealings with the catalogue: once a second, in a thread of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from threading import Thread

from archiver.ports import Catalogue, Clock
from archiver.values import Assignment
from archiver.vocabulary import DutyState
from ingest.roster import must_claim

Plan = Sequence[Assignment]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a worker takes duties: of its `site`, up to `capacity` at once, each on a `lease` that it renews thrice in
    its length, `lead` before they begin. Its plan on disk reaches `horizon` ahead.
    """

    worker: str
    site: str
    capacity: int
    lease: timedelta
    lead: timedelta = timedelta(seconds=10)
    horizon: timedelta = timedelta(hours=24)


class Rounds:
    """Asks the catalogue what there is to do. A round reads; only when a lease is to be renewed or a duty claimed
    does it write.
    """

    def __init__(self, catalogue: Catalogue, terms: Terms, clock: Clock) -> None:
        self._catalogue = catalogue
        self._terms = terms
        self._clock = clock
        self._renew_at = clock.monotonic()

    def ask(self, held: Mapping[str, int], free: int) -> Plan:
        """The plan after this round. `held` is duty -> epoch; `free` is how many duties more could be taken.
        CatalogueUnavailableError."""
        terms = self._terms
        with self._catalogue.reading() as tx:
            plan = tx.duties.plan(terms.site, terms.horizon)
        if not self._must_write(plan, held, free):
            return plan
        with self._catalogue.transaction() as tx:
            tx.duties.renew(terms.worker, held, terms.lease)
            if free > 0:
                tx.duties.claim(terms.worker, terms.site, terms.lease, free, terms.lead)
            plan = tx.duties.plan(terms.site, terms.horizon)
        self._renew_at = self._clock.monotonic() + terms.lease.total_seconds() / 3
        return plan

    def _must_write(self, plan: Plan, held: Mapping[str, int], free: int) -> bool:
        if free > 0 and must_claim(plan, self._clock.now(), self._terms.lead):
            return True
        leases = bool(held) or any(each.duty.state is DutyState.HELD for each in plan)
        return leases and self._clock.monotonic() >= self._renew_at


class Asker:
    """Calls in one daemon thread: a catalogue that doesn't answer holds up neither recording nor the process's end."""

    def __init__(self) -> None:
        self._questions: SimpleQueue[tuple[Callable[[], Plan], asyncio.Future[Plan]]] = SimpleQueue()
        Thread(target=self._serve, name="catalogue", daemon=True).start()

    def ask(self, question: Callable[[], Plan]) -> "asyncio.Future[Plan]":
        """The answer to come, or the question's error. Don't cancel it."""
        answer: asyncio.Future[Plan] = asyncio.get_running_loop().create_future()
        self._questions.put((question, answer))
        return answer

    def _serve(self) -> None:
        while True:
            question, answer = self._questions.get()
            tell: Callable[[], None]
            try:
                tell = partial(answer.set_result, question())
            except Exception as error:  # belongs to who asked, whatever it is
                tell = partial(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                answer.get_loop().call_soon_threadsafe(tell)
