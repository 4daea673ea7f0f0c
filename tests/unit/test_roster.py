"""Whose a duty is: the catalogue's word, and what a worker does without it."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.timeline import Interval
from archiver.values import Assignment, Duty
from archiver.vocabulary import DutyState
from ingest.roster import Decision, Held, active, follow_catalogue, follow_plan, must_claim
from tests.doubles import START

IDS = ("a", "b", "c", "d")


def duty(id: str, state: DutyState, worker: str | None, epoch: int, start_s: int = 0, end_s: int = 60) -> Duty:
    span = Interval(START + timedelta(seconds=start_s), START + timedelta(seconds=end_s))
    return Duty(id, "org", "site", "room", f"cam-{id}", span, state, epoch, worker)


rows = st.builds(
    duty,
    st.sampled_from(IDS),
    st.sampled_from([DutyState.PLANNED, DutyState.HELD]),
    st.sampled_from(["me", "another"]),
    st.integers(0, 3),
    st.integers(-20, 20),
    st.integers(21, 60),
)
plans = st.lists(rows, unique_by=lambda row: row.id).map(lambda found: [Assignment(row, b"sealed") for row in found])
holdings = st.lists(
    st.builds(
        Held, rows.map(lambda row: replace(row, state=DutyState.HELD, worker="me")), st.booleans(), st.booleans()
    ),
    unique_by=lambda held: held.duty.id,
).map(lambda found: {held.duty.id: held for held in found})


@settings(deadline=None)
@given(holdings, plans)
def test_after_the_catalogue_spoke_the_worker_holds_what_is_its_own(
    held: dict[str, Held], plan: list[Assignment]
) -> None:
    """And nothing that another holds; only what it began alone may still wait to be claimed."""
    decision = follow_catalogue(held, plan, "me")
    after = {*held, *(each.duty.id for each, _ in decision.start)} - {*decision.lose, *decision.drop}
    mine = {each.duty.id for each in plan if each.duty.state is DutyState.HELD and each.duty.worker == "me"}
    planned = {each.duty.id for each in plan if each.duty.state is DutyState.PLANNED}
    assert mine <= after
    assert after - mine == {id for id in planned if id in held and not held[id].claimed}


@settings(deadline=None)
@given(holdings, plans)
def test_what_was_followed_is_settled(held: dict[str, Held], plan: list[Assignment]) -> None:
    """The same answer again changes nothing."""
    decision = follow_catalogue(held, plan, "me")
    settled = {id: each for id, each in held.items() if id not in {*decision.lose, *decision.drop}}
    settled |= {row.id: Held(row, claimed=True) for row in decision.follow}
    settled |= {each.duty.id: Held(each.duty, claimed) for each, claimed in decision.start}
    assert follow_catalogue(settled, plan, "me") == Decision()


@settings(deadline=None)
@given(holdings, plans, st.integers(0, 4))
def test_without_the_catalogue_nothing_is_given_up(held: dict[str, Held], plan: list[Assignment], free: int) -> None:
    """What is its own is resumed, what is planned starts in time, and the capacity holds (I5)."""
    decision = follow_plan(held, plan, "me", START, active(held) + free)
    assert (decision.follow, decision.lose, decision.drop) == ((), (), ())
    assert len(decision.start) <= free
    for each, claimed in decision.start:
        assert each.duty.id not in held
        assert each.duty.worker == "me"
        assert claimed or each.duty.span.start <= START


def test_a_start_without_the_catalogue_takes_the_epoch_that_a_claim_would_give() -> None:
    """So that what it records is the claimed duty's, when the claim comes."""
    plan = [Assignment(duty("a", DutyState.PLANNED, None, 2), b"sealed")]
    ((started, claimed),) = follow_plan({}, plan, "me", START, 8).start
    assert (started.duty.epoch, claimed) == (3, False)
    held = {"a": Held(started.duty, claimed=False)}
    assert follow_catalogue(held, plan, "me") == Decision()
    row = duty("a", DutyState.HELD, "me", 3)
    assert follow_catalogue(held, [Assignment(row, b"sealed")], "me") == Decision(follow=(row,))
    theirs = duty("a", DutyState.HELD, "another", 3)
    assert follow_catalogue(held, [Assignment(theirs, b"sealed")], "me") == Decision(lose=("a",))


def test_a_duty_is_claimed_shortly_before_it_begins() -> None:
    """The catalogue isn't written to for what is hours away."""
    plan = [Assignment(duty("a", DutyState.PLANNED, None, 0, 30), b"sealed")]
    assert not must_claim(plan, START, timedelta(seconds=10))
    assert must_claim(plan, START + timedelta(seconds=20), timedelta(seconds=10))
