"""The recorder process: holds duties, one task each, and lets neither the catalogue nor a camera stop the others (I5,
I6).
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from archiver.errors import NotFoundError, UnavailableError
from archiver.ports import Secrets
from archiver.values import Duty
from archiver.vocabulary import GapCause
from ingest.duty import DutyRun, Notes, Tools
from ingest.outages import OpenOutage
from ingest.roster import Decision, Held, active, follow_catalogue, follow_plan
from ingest.rounds import Asker, Plan, Rounds, Terms

log = logging.getLogger(__name__)

ROUND_S = 0.75
"""Between two rounds (seconds): a lost epoch stops its recorder within a second."""
ANSWER_S = 1.0
LEAVE_S = 6.5
CLOCK_STEP_S = 1.0
"""A host clock that moved this much (seconds) against the monotonic one was stepped (I8)."""
NOTICED_WITHIN = timedelta(seconds=2)


class Desk(Notes, Protocol):
    """What a worker keeps on disk, durably: its plan, its open outages, and the facts that it states."""

    def read_plan(self) -> Plan: ...
    def write_plan(self, plan: Plan) -> None: ...
    def open_outages(self) -> Mapping[str, OpenOutage]: ...
    def state_duty_ended(self, duty: Duty) -> None: ...
    def state_clock_step(self, at: datetime, offset_s: float) -> None: ...
    def give_up(self, duty: Duty, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class _Post:
    """A duty that is being recorded, and its task."""

    run: DutyRun
    task: "asyncio.Task[bool]"


class Worker:
    """Run it in the loop of the process's main thread."""

    def __init__(self, terms: Terms, rounds: Rounds, secrets: Secrets, desk: Desk, tools: Tools) -> None:
        self._terms = terms
        self._rounds = rounds
        self._secrets = secrets
        self._desk = desk
        self._tools = tools
        self._asker = Asker()
        self._asked: asyncio.Future[Plan] | None = None
        self._reachable = True
        self._plan = tuple(desk.read_plan())
        self._held: dict[str, Held] = {}
        self._posts: dict[str, _Post] = {}
        self._leaving: list[_Post] = []
        self._ends: list[Duty] = []
        self._clock_offset = self._offset()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then it finishes its files, within `LEAVE_S` seconds."""
        while not stop.is_set():
            try:
                await self._round()
            except OSError as problem:  # recorders go on, or wait for room; what wasn't stated is stated later
                log.error("the spool takes nothing more from this worker: %s", problem.strerror)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), ROUND_S)
        await self._leave()

    async def _round(self) -> None:
        decision = await self._decide()
        self._reap()
        self._apply(decision)
        self._state_ends()
        self._watch_clock()

    async def _decide(self) -> Decision:
        plan = await self._ask()
        if plan is None:
            now = self._tools.clock.now()
            return follow_plan(self._held, self._plan, self._terms.worker, now, self._terms.capacity)
        before = self._plan
        self._keep(plan)
        decision = follow_catalogue(self._held, plan, self._terms.worker)
        self._give_up_what_is_gone(before, {each.duty.id for each, _ in decision.start})
        return decision

    def _give_up_what_is_gone(self, before: Plan, started: Collection[str]) -> None:
        """An earlier process of this worker left duties in outages; those that are another's by now end here."""
        theirs = {*started, *self._held, *(post.run.duty.id for post in self._leaving)}
        for each in before:
            if each.duty.id in self._desk.open_outages() and each.duty.id not in theirs:
                self._desk.give_up(each.duty, self._tools.clock.now())

    async def _ask(self) -> Plan | None:
        """The catalogue's plan; None when it is away, or slower than `ANSWER_S` (then the answer comes later)."""
        if self._asked is None:
            epochs = {id: held.duty.epoch for id, held in self._held.items() if held.claimed}
            free = self._terms.capacity - active(self._held) + self._unclaimed()
            self._asked = self._asker.ask(partial(self._rounds.ask, epochs, free))
        await asyncio.wait([self._asked], timeout=ANSWER_S)
        if not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        error = asked.exception()
        self._say(error)
        return None if error else asked.result()

    def _say(self, error: BaseException | None) -> None:
        """Once when the catalogue goes away, once when it is back."""
        if error is not None and self._reachable:
            trace = None if isinstance(error, UnavailableError) else error
            log.warning("the catalogue is away, recording goes on by the plan on disk: %s", error, exc_info=trace)
        elif error is None and not self._reachable:
            log.info("the catalogue is back")
        self._reachable = error is None

    def _unclaimed(self) -> int:
        return sum(not held.claimed and not held.ended for held in self._held.values())

    def _keep(self, plan: Plan) -> None:
        """On disk, when it changed by more than its leases."""
        timeless = tuple(replace(each, duty=replace(each.duty, lease_until=None)) for each in plan)
        if timeless != self._plan:
            self._desk.write_plan(timeless)
            self._plan = timeless

    def _apply(self, decision: Decision) -> None:
        for assignment, claimed in decision.start:
            self._held[assignment.duty.id] = Held(assignment.duty, claimed)
            self._post(assignment.duty, self._inherited(assignment.duty))
        for duty in decision.follow:
            self._follow(duty)
        for id in decision.lose:
            log.warning("duty %s is no longer this worker's: its recording ends", id)
            self._dismiss(id)
        for id in decision.drop:
            del self._held[id]

    def _post(self, duty: Duty, open_: OpenOutage | None) -> None:
        """Start recording, after whoever in this process still records the same source."""
        before = [post.task for post in self._all_posts() if post.run.duty.source == duty.source]
        run = DutyRun(duty, partial(self._address, duty.id), self._tools, open_)
        self._posts[duty.id] = _Post(run, asyncio.create_task(_run_after(before, run), name=f"duty {duty.id}"))

    def _address(self, duty: str) -> str:
        for each in self._plan:
            if each.duty.id == duty:
                return self._secrets.open(each.sealed_address)
        raise NotFoundError(f"the address of duty {duty} is not in the plan; enter the source's address again")

    def _inherited(self, duty: Duty) -> OpenOutage | None:
        """What the duty was left in: by an earlier process here, or by another worker whose lease lapsed."""
        known = self._desk.open_outages().get(duty.id)
        now = self._tools.clock.now()
        if known is not None or duty.epoch <= 1 or now <= duty.span.start:
            return known
        since = max(duty.span.start, now - self._terms.lease - NOTICED_WITHIN)
        return OpenOutage(since, GapCause.HANDOVER, f"taken over under epoch {duty.epoch} after a lease had lapsed")

    def _follow(self, duty: Duty) -> None:
        held = self._held[duty.id]
        self._held[duty.id] = replace(held, duty=duty, claimed=True)
        if not held.ended:
            if duty.id in self._posts:
                self._posts[duty.id].run.follow(duty)
        elif duty.span.end > held.duty.span.end:
            self._held[duty.id] = Held(duty, claimed=True)
            evidence = "the window was extended after its recording had ended"
            self._post(duty, OpenOutage(held.duty.span.end, GapCause.NOT_STARTED, evidence))
        elif not held.claimed:
            self._ends.append(duty)

    def _dismiss(self, id: str) -> None:
        del self._held[id]
        post = self._posts.pop(id, None)
        if post is not None:
            post.run.leave(GapCause.HANDOVER)
            self._leaving.append(post)

    def _reap(self) -> None:
        for id, post in list(self._posts.items()):
            if post.task.done():
                del self._posts[id]
                self._ended(self._held[id], post)
        for post in [post for post in self._leaving if post.task.done()]:
            self._leaving.remove(post)
            _failure(post)

    def _ended(self, held: Held, post: _Post) -> None:
        """A duty is over, or its task failed: then it begins again, as footage counts for more than its error."""
        duty = post.run.duty
        error = _failure(post)
        if error is None:
            self._finish(held, post)
            return
        lost = OpenOutage(self._tools.clock.now(), GapCause.UNKNOWN, f"the recorder failed ({type(error).__name__})")
        self._post(duty, self._desk.open_outages().get(duty.id, lost))

    def _finish(self, held: Held, post: _Post) -> None:
        """To the catalogue a duty ends only when it was claimed there (else when it will have been)."""
        duty = post.run.duty
        self._held[duty.id] = replace(held, duty=duty, ended=True)
        if held.claimed:
            self._ends.append(duty)

    def _state_ends(self) -> None:
        while self._ends:
            self._desk.state_duty_ended(self._ends[0])
            self._desk.keep_open(self._ends.pop(0).id, None)

    def _all_posts(self) -> Sequence[_Post]:
        return [*self._posts.values(), *self._leaving]

    def _offset(self) -> float:
        return self._tools.clock.now().timestamp() - self._tools.clock.monotonic()

    def _watch_clock(self) -> None:
        offset = self._offset()
        moved, self._clock_offset = offset - self._clock_offset, offset
        if abs(moved) > CLOCK_STEP_S:
            log.warning("the host's clock was stepped by %.3f s", moved)
            self._desk.state_clock_step(self._tools.clock.now(), moved)

    async def _leave(self) -> None:
        """Finish the files; what was over anyway is stated, the rest is resumed by the next process."""
        posts = self._all_posts()
        for post in self._posts.values():
            post.run.leave(GapCause.RESTARTED)
        if not posts:
            return
        done, late = await asyncio.wait([post.task for post in posts], timeout=LEAVE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for id, post in self._posts.items():
            if post.task in done and _failure(post) is None and post.task.result():
                self._finish(self._held[id], post)
        self._state_ends()


async def _run_after(before: "Sequence[asyncio.Task[bool]]", run: DutyRun) -> bool:
    if before:
        await asyncio.wait(before)
    return await run.run()


def _failure(post: _Post) -> BaseException | None:
    error = post.task.exception()
    if error is not None:
        log.error("duty %s failed", post.run.duty.id, exc_info=error)
    return error
