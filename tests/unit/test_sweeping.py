"""What a recorder process does beside recording: who is taken over, when, and what is tried again."""

import errno
from datetime import timedelta

from archiver.vocabulary import GapCause
from ingest.sweeping import Sweeper
from tests.doubles import ManualClock


class Dead:
    """Spools that nobody holds."""

    def __init__(self, *workers: str) -> None:
        self.workers = set(workers)
        self.held: list[str] = []

    def free(self) -> set[str]:
        return set(self.workers)

    def hold(self, worker: str) -> bool:
        self.workers.discard(worker)
        self.held.append(worker)
        return True


class Refused(Exception):
    """The test's own: no recording is asked for."""


def sweeper(dead: Dead, clock: ManualClock, adopt=lambda: None, left=None, recording=None) -> Sweeper:
    def none(id: str):
        raise Refused(id)

    return Sweeper({} if left is None else left, recording or none, dead, adopt, clock, timedelta(seconds=10))


def test_a_worker_that_comes_back_in_time_keeps_its_spool() -> None:
    """Only one that is gone for the whole patience is taken over."""
    dead, clock = Dead("one", "two"), ManualClock()
    it = sweeper(dead, clock)
    it.sweep()
    clock.pass_s(6)
    dead.workers.discard("two")
    it.sweep()
    clock.pass_s(1)
    dead.workers.add("two")
    it.sweep()
    assert dead.held == []
    clock.pass_s(4)
    it.sweep()
    assert dead.held == ["one"]
    clock.pass_s(6)
    it.sweep()
    assert dead.held == ["one", "two"]


def test_an_adoption_that_failed_is_repeated() -> None:
    """A held spool is free no more; it isn't forgotten for that."""
    dead, clock, adopted = Dead("one"), ManualClock(), []

    def adopt() -> None:
        adopted.append(len(adopted))
        if len(adopted) == 1:
            raise OSError(errno.EIO, "failing")

    it = sweeper(dead, clock, adopt)
    it.sweep()
    clock.pass_s(10)
    it.sweep()
    it.sweep()
    it.sweep()
    assert adopted == [0, 1]


def test_a_recording_that_can_not_be_salvaged_yet_stays_to_be() -> None:
    """Each sweep asks again."""
    left = {"recording": GapCause.SPOOL_FULL}
    asked = []

    def refuse(id: str):
        asked.append(id)
        raise OSError(errno.ENOSPC, "full")

    it = sweeper(Dead(), ManualClock(), left=left, recording=refuse)
    it.sweep()
    it.sweep()
    assert asked == ["recording"] * 2
    assert left == {"recording": GapCause.SPOOL_FULL}
