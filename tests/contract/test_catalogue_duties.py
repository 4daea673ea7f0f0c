"""Duties: leased rows under epochs, by the database's own clock (I6)."""

import multiprocessing
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from archiver.adapters.catalogue import engine
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import ConflictError
from archiver.timeline import Interval
from archiver.values import Duty
from archiver.vocabulary import DutyState
from tests import catalogue_facts as facts

LEASE = timedelta(minutes=1)
SHORT = timedelta(milliseconds=50)
LEAD = timedelta(minutes=2)
DAY = timedelta(days=1)


def now_of(catalogue: SqlCatalogue) -> datetime:
    with catalogue.reading() as tx:
        return engine.database_now(tx.connection)


def put(catalogue: SqlCatalogue, *begins: timedelta, address: bool = True, site: str = "main") -> list[Duty]:
    """Duties of a new source of an hour each, beginning so long from now."""
    now = now_of(catalogue)
    with catalogue.transaction() as tx:
        source = facts.add_source(tx, facts.add_location(tx), address=address)
        duties = [facts.a_duty(source, Interval(now + begin, now + begin + facts.HOUR), site) for begin in begins]
        for duty in duties:
            tx.duties.put(duty)
    return duties


def claim(catalogue: SqlCatalogue, worker: str = "w1", lease: timedelta = LEASE, capacity: int = 10) -> list[Duty]:
    with catalogue.transaction() as tx:
        return [found.duty for found in tx.duties.claim(worker, "main", lease, capacity, LEAD)]


def lapse(catalogue: SqlCatalogue, duty: Duty) -> None:
    deadline = time.monotonic() + 10
    while now_of(catalogue) <= duty.lease_until:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_claim_takes_what_begins_soon(catalogue: SqlCatalogue):
    """Planned duties within the lead, also those already begun or past, the earliest first; their epoch is 1."""
    later, soon, begun, past = put(catalogue, DAY, LEAD / 2, -facts.HOUR / 2, -DAY)
    with catalogue.transaction() as tx:
        taken = tx.duties.claim("w1", "main", LEASE, 10, LEAD)
    assert [found.duty.id for found in taken] == [past.id, begun.id, soon.id]
    assert {found.sealed_address for found in taken} == {b"sealed"}
    duty = taken[0].duty
    assert (duty.state, duty.epoch, duty.worker, duty.span) == (DutyState.HELD, 1, "w1", past.span)
    assert abs(duty.lease_until - now_of(catalogue) - LEASE) < timedelta(seconds=5)
    assert claim(catalogue, "w2") == []
    with catalogue.reading() as tx:
        assert tx.duties.of_source(later.source, later.span)[0].state is DutyState.PLANNED


def test_a_claim_keeps_to_its_capacity_and_site(catalogue: SqlCatalogue):
    """No more than asked for, and never another site's."""
    duties = put(catalogue, *[timedelta(0)] * 3)
    put(catalogue, timedelta(0), site="branch")
    assert claim(catalogue, capacity=0) == []
    first = claim(catalogue, capacity=2)
    rest = claim(catalogue, capacity=5)
    assert (len(first), len(rest)) == (2, 1)
    assert {duty.id for duty in first + rest} == {duty.id for duty in duties}


def test_a_source_without_an_address_waits(catalogue: SqlCatalogue):
    """After a rebuild nobody can record it until the address is entered again."""
    [duty] = put(catalogue, timedelta(0), address=False)
    assert claim(catalogue) == []
    with catalogue.transaction() as tx:
        assert tx.duties.plan("main", DAY) == []
        tx.registry.set_sealed_address(duty.source, b"again")
    assert [found.id for found in claim(catalogue)] == [duty.id]


def test_a_lapsed_lease_changes_hands(catalogue: SqlCatalogue):
    """Another worker takes it under a new epoch; the old one can neither renew nor finish it."""
    [planned] = put(catalogue, timedelta(0))
    [old] = claim(catalogue, "w1", SHORT)
    lapse(catalogue, old)
    [new] = claim(catalogue, "w2")
    assert (new.id, new.epoch, new.worker) == (planned.id, 2, "w2")
    with catalogue.transaction() as tx:
        assert tx.duties.renew("w1", {old.id: 1}, LEASE) == []
        assert tx.duties.finish(old.id, 1) is False
        assert tx.duties.of_source(old.source, old.span)[0].state is DutyState.HELD


def test_a_worker_takes_its_own_lapsed_duty_again(catalogue: SqlCatalogue):
    """The same way as any other worker: under a new epoch."""
    put(catalogue, timedelta(0))
    [old] = claim(catalogue, "w1", SHORT)
    lapse(catalogue, old)
    [again] = claim(catalogue, "w1")
    assert (again.id, again.epoch, again.worker) == (old.id, 2, "w1")


def test_a_renewal_lengthens_the_lease_and_tells_the_present_span(catalogue: SqlCatalogue):
    """Only of duties that are still this worker's under that epoch; also of one that lapsed and nobody took."""
    put(catalogue, *[timedelta(0)] * 3)
    lapsed, other, mine = claim(catalogue, "w1", SHORT)
    lapse(catalogue, mine)
    longer = Interval(mine.span.start, mine.span.end + facts.HOUR)
    with catalogue.transaction() as tx:
        tx.duties.put(facts.moved(mine, longer))
        assert tx.duties.renew("w2", {mine.id: 1}, LEASE) == []
        renewed = tx.duties.renew("w1", {mine.id: 1, lapsed.id: 1, other.id: 2, facts.new_id(): 1}, LEASE)
        assert tx.duties.renew("w1", {}, LEASE) == []
    assert {duty.id for duty in renewed} == {mine.id, lapsed.id}
    assert {duty.span for duty in renewed if duty.id == mine.id} == {longer}
    assert all(duty.lease_until > mine.lease_until + LEASE / 2 and duty.epoch == 1 for duty in renewed)


def test_a_finished_duty_is_nobody_s(catalogue: SqlCatalogue):
    """It is not claimed, planned or renewed again, and its span can't be moved; finishing twice is the same."""
    put(catalogue, timedelta(0))
    [held] = claim(catalogue, "w1", SHORT)
    with catalogue.transaction() as tx:
        assert tx.duties.finish(held.id, held.epoch) is True
        assert tx.duties.finish(held.id, held.epoch) is True
        assert tx.duties.finish(facts.new_id(), 1) is False
    lapse(catalogue, held)
    assert claim(catalogue, "w2") == []
    with catalogue.transaction() as tx:
        assert tx.duties.plan("main", DAY) == []
        assert tx.duties.renew("w1", {held.id: 1}, LEASE) == []
        tx.duties.put(held)
        with pytest.raises(ConflictError):
            tx.duties.put(facts.moved(held, Interval(held.span.start, held.span.end + facts.HOUR)))
        [ended] = tx.duties.of_source(held.source, held.span)
    assert (ended.state, ended.epoch, ended.lease_until) == (DutyState.ENDED, 1, None)


def test_putting_again_changes_the_span_alone(catalogue: SqlCatalogue):
    """Never the epoch, the worker or the lease, whatever the caller's copy says."""
    put(catalogue, timedelta(0))
    [held] = claim(catalogue)
    longer = Interval(held.span.start, held.span.end + facts.HOUR)
    stale = replace(held, span=longer, state=DutyState.PLANNED, epoch=0, worker=None, lease_until=None)
    with catalogue.transaction() as tx:
        tx.duties.put(stale)
        assert tx.duties.of_source(held.source, longer) == [replace(held, span=longer)]


def test_only_an_unclaimed_duty_is_removed(catalogue: SqlCatalogue):
    """One that was ever claimed may have footage; removing one that isn't there is no error."""
    [planned, held] = put(catalogue, DAY, timedelta(0))
    claim(catalogue)
    with catalogue.transaction() as tx:
        tx.duties.remove(planned.id)
        tx.duties.remove(planned.id)
        with pytest.raises(ConflictError):
            tx.duties.remove(held.id)
        assert tx.duties.of_source(planned.source, planned.span) == []


def test_the_plan_is_what_begins_within_the_horizon(catalogue: SqlCatalogue):
    """Planned and held ones in time order, with their sealed addresses; not another site's."""
    far, near, begun = put(catalogue, 2 * DAY, DAY / 2, timedelta(0))
    put(catalogue, timedelta(0), site="branch")
    claim(catalogue)
    with catalogue.reading() as tx:
        plan = tx.duties.plan("main", DAY)
        assert [found.duty.id for found in tx.duties.plan("main", 3 * DAY)] == [begun.id, near.id, far.id]
    assert [(found.duty.id, found.sealed_address) for found in plan] == [(begun.id, b"sealed"), (near.id, b"sealed")]


@pytest.mark.parametrize(("start", "end", "count"), [(-9, 0, 0), (-9, 1, 1), (3599, 4000, 1), (3600, 4000, 0)])
def test_duties_of_a_source_overlap_half_open(catalogue: SqlCatalogue, start: int, end: int, count: int):
    """A duty that ends where a span begins doesn't overlap it."""
    with catalogue.transaction() as tx:
        tx.duties.put(facts.a_duty("s"))
        tx.duties.put(facts.a_duty("other"))
        assert len(tx.duties.of_source("s", facts.span(start, end))) == count


def _claim_until_none(url: str, worker: str, taken: "multiprocessing.Queue[tuple[str, str]]") -> None:
    catalogue = SqlCatalogue(url, facts.new_id)
    while found := claim(catalogue, worker, capacity=1):
        taken.put((found[0].id, worker))
    taken.put(("", worker))
    catalogue.close()


def test_workers_at_once_never_get_the_same_duty(url: str, catalogue: SqlCatalogue):
    """Three processes claim one by one from the same rows: every duty goes to exactly one of them."""
    duties = put(catalogue, *[timedelta(0)] * 40)
    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Queue()
    workers = [spawn.Process(target=_claim_until_none, args=(url, f"w{number}", taken)) for number in range(3)]
    for worker in workers:
        worker.start()
    found, ended = Counter(), 0
    while ended < len(workers):
        id, _ = taken.get(timeout=60)
        ended += id == ""
        found[id] += id != ""
    for worker in workers:
        worker.join(60)
    assert +found == Counter(duty.id for duty in duties)
    with catalogue.reading() as tx:
        assert {duty.epoch for duty in tx.duties.of_source(duties[0].source, duties[0].span)} == {1}
