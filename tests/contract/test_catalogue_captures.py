"""Captures, outages and seals as their events left them."""

import itertools
from datetime import timedelta

import pytest

from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import ConflictError, NotFoundError, StateError
from archiver.lifecycle import TRANSITIONS
from archiver.times import to_text
from archiver.vocabulary import CaptureState, EventType, GapCause
from tests import catalogue_facts as facts


def test_a_booking_is_a_capture(catalogue: SqlCatalogue):
    """Every field of the booking comes back, the sources in the order in which they were booked."""
    with catalogue.transaction() as tx:
        location = facts.add_location(tx)
        sources = [facts.add_source(tx, location) for _ in range(3)][::-1]
        project = facts.add_project(tx)
        id = facts.book(tx, project, location, sources, facts.span(0.000001, 60), "开标")
    with catalogue.reading() as tx:
        capture = tx.captures.get(id)
    assert (capture.project, capture.location, capture.sources) == (project, location, tuple(sources))
    assert (capture.organisation, capture.site, capture.title) == ("centre", "main", "开标")
    assert (capture.window, capture.state) == (facts.span(0.000001, 60), CaptureState.BOOKED)
    assert (capture.stopped_at, capture.revision, capture.retain_until, capture.retain_reason) == (None, 0, None, None)


def test_the_lifecycle_decides_what_a_capture_takes(catalogue: SqlCatalogue):
    """Each event is taken in the states of the table and refused in all others."""
    ways = {
        CaptureState.BOOKED: (),
        CaptureState.RECORDING: (EventType.CAPTURE_STARTED,),
        CaptureState.SEALING: (EventType.CAPTURE_STARTED, EventType.CAPTURE_ENDED),
        CaptureState.CANCELLED: (EventType.CAPTURE_CANCELLED,),
    }
    with catalogue.transaction() as tx:
        location, project = facts.add_location(tx), facts.add_project(tx)
    for state, type in itertools.product(ways, {event for _, event in TRANSITIONS} - {EventType.CAPTURE_SEALED}):
        with catalogue.transaction() as tx:
            capture = facts.book(tx, project, location, [])
            for step in ways[state]:
                facts.move(tx, capture, step)
        if (state, type) in TRANSITIONS:
            with catalogue.transaction() as tx:
                facts.move(tx, capture, type)
            expected = TRANSITIONS[state, type]
        else:
            with pytest.raises(StateError), catalogue.transaction() as tx:
                facts.move(tx, capture, type)
            expected = state
        with catalogue.reading() as tx:
            assert tx.captures.get(capture).state is expected


def test_a_change_moves_the_window_everywhere(catalogue: SqlCatalogue):
    """A moved capture is found in its new window and no longer in its old one."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx, facts.span(0, 60))
        source = tx.captures.get(id).sources[0]
        change = {"id": id, "start": to_text(facts.span(600, 660).start), "end": to_text(facts.span(600, 660).end)}
        facts.append(tx, EventType.CAPTURE_CHANGED, id, change | {"title": "改期"})
    with catalogue.reading() as tx:
        assert tx.captures.get(id).window == facts.span(600, 660)
        assert tx.captures.get(id).title == "改期"
        assert tx.captures.touching(source, facts.span(0, 60)) == []
        assert [found.id for found in tx.captures.touching(source, facts.span(659, 700))] == [id]


def test_the_first_stop_counts(catalogue: SqlCatalogue):
    """Stopping again doesn't make footage of what wasn't recorded."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx)
        facts.move(tx, id, EventType.CAPTURE_STARTED)
        for minutes in (5, 9):
            stop = {"id": id, "at": to_text(facts.START + timedelta(minutes=minutes))}
            facts.append(tx, EventType.CAPTURE_STOPPED, id, stop)
        assert tx.captures.get(id).stopped_at == facts.START + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("start", "end", "touches"),
    [(-9, 0, False), (-9, 1, True), (10, 20, True), (59, 99, True), (60, 99, False), (-9, 99, True)],
)
def test_touching_is_half_open(catalogue: SqlCatalogue, start: int, end: int, touches: bool):
    """A window touches a span when they share time, on one source and not on another."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx, facts.span(0, 60))
        other = facts.add_source(tx, facts.add_location(tx))
        source = tx.captures.get(id).sources[1]
    with catalogue.reading() as tx:
        assert [found.id for found in tx.captures.touching(source, facts.span(start, end))] == [id] * touches
        assert tx.captures.touching(other, facts.span(start, end)) == []


def test_a_cancelled_capture_touches_nothing(catalogue: SqlCatalogue):
    """It is kept, found by id and by project, but no footage is its own."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx)
        facts.move(tx, id, EventType.CAPTURE_CANCELLED)
        capture = tx.captures.get(id)
        assert tx.captures.touching(capture.sources[0], capture.window) == []
        assert [found.id for found in tx.captures.of_project(capture.project)] == [id]


def test_captures_are_paged_newest_window_first(catalogue: SqlCatalogue):
    """Also when windows begin together; a state narrows, another organisation's are never shown."""
    with catalogue.transaction() as tx:
        location, project = facts.add_location(tx), facts.add_project(tx)
        starts = [0, 0, 0, 10, 20, 20, 30]
        ids = [facts.book(tx, project, location, [], facts.span(start, 99)) for start in starts]
        facts.book(tx, project, location, [], organisation="another")
        facts.move(tx, ids[4], EventType.CAPTURE_STARTED)
    expected = [id for _, id in sorted(zip(starts, ids, strict=True), reverse=True)]
    with catalogue.reading() as tx:
        for limit in (1, 2, 3, 7, 50):
            cursor, found = None, []
            while True:
                page = tx.captures.page("centre", limit, cursor)
                found += [capture.id for capture in page.items]
                if (cursor := page.next) is None:
                    break
            assert found == expected
        recording = tx.captures.page("centre", 10, state=CaptureState.RECORDING)
        assert [capture.id for capture in recording.items] == [ids[4]]
        in_states = tx.captures.in_states([CaptureState.RECORDING, CaptureState.SEALED])
        assert [capture.id for capture in in_states] == [ids[4]]


def test_retention_only_rises(catalogue: SqlCatalogue):
    """An earlier date, whichever event carries it, changes neither the date nor the reason (evidence rule 6)."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx)
        for years, type in ((15, EventType.RETENTION_BOUND), (10, EventType.RETENTION_BOUND)):
            _retain(tx, id, years, type)
        assert tx.captures.get(id).retain_reason == "15 years"
        _retain(tx, id, 20, EventType.RETENTION_EXTENDED)
        _retain(tx, id, 16, EventType.RETENTION_EXTENDED)
        capture = tx.captures.get(id)
    assert (capture.retain_reason, capture.retain_until) == ("20 years", facts.START + timedelta(days=20 * 366))


def _retain(tx, capture: str, years: int, type: EventType) -> None:
    until = to_text(facts.START + timedelta(days=years * 366))
    policy = {"policy": "statutory", "policy_version": 1}
    facts.append(tx, type, capture, {"capture": capture, "until": until, "reason": f"{years} years"} | policy)


def test_outages_come_from_stated_gaps(catalogue: SqlCatalogue):
    """A gap is found by source and time, with its cause and what that rests on."""
    with catalogue.transaction() as tx:
        source = facts.add_source(tx, facts.add_location(tx))
        for start, cause in ((50, GapCause.LOST), (10, GapCause.UNREACHABLE)):
            gap = facts.span(start, start + 10)
            payload = {"source": source, "start": to_text(gap.start), "end": to_text(gap.end), "cause": cause}
            payload |= {"evidence": "end of stream", "worker": "w1", "epoch": 3}
            facts.append(tx, EventType.GAP_STATED, source, payload)
    with catalogue.reading() as tx:
        both = tx.outages.touching(source, facts.span(0, 100))
        assert [(outage.span, outage.cause) for outage in both] == [
            (facts.span(10, 20), GapCause.UNREACHABLE),
            (facts.span(50, 60), GapCause.LOST),
        ]
        assert (both[0].evidence, both[0].worker, both[0].epoch) == ("end of stream", "w1", 3)
        assert len(tx.outages.touching(source, facts.span(20, 51))) == 1
        assert tx.outages.touching(source, facts.span(20, 50)) == []


def test_seals_are_kept_in_revisions(catalogue: SqlCatalogue):
    """A later revision leaves the capture sealed and the earlier row as it was; none is written twice (I13)."""
    with catalogue.transaction() as tx:
        id = facts.book_one(tx)
        facts.to_sealed(tx, id)
    with catalogue.transaction() as tx:
        facts.seal(tx, id, revision=2)
    with catalogue.reading() as tx:
        capture, seals = tx.captures.get(id), tx.seals.of_capture(id)
    assert (capture.state, capture.revision) == (CaptureState.SEALED, 2)
    assert [(seal.revision, seal.digest, seal.missing_us) for seal in seals] == [
        (1, facts.DIGEST, 1_000_000),
        (2, facts.DIGEST, 1_000_000),
    ]
    with pytest.raises(ConflictError), catalogue.transaction() as tx:
        facts.seal(tx, id, revision=2)


def test_a_seal_lists_segments(catalogue: SqlCatalogue):
    """Which captures list a segment, over all revisions; noting it again changes nothing."""
    with catalogue.transaction() as tx:
        for capture, revision in (("a", 1), ("a", 2), ("b", 1), ("a", 1)):
            tx.seals.list_segments(capture, revision, ["k1", "k2"])
        tx.seals.list_segments("c", 1, ["k3"])
        tx.seals.list_segments("d", 1, [])
        assert [list(tx.seals.listing(key)) for key in ("k1", "k3", "k9")] == [["a", "b"], ["c"], []]


def test_an_unknown_capture_is_not_found(catalogue: SqlCatalogue):
    """By id, and by an event that would move it."""
    with pytest.raises(NotFoundError), catalogue.reading() as tx:
        tx.captures.get(facts.new_id())
    with pytest.raises(NotFoundError), catalogue.transaction() as tx:
        facts.move(tx, facts.new_id(), EventType.CAPTURE_STARTED)


def test_a_booking_needs_what_it_names(catalogue: SqlCatalogue):
    """A capture of a project or source that isn't there is refused by the database itself."""
    with catalogue.transaction() as tx:
        location, project = facts.add_location(tx), facts.add_project(tx)
    for bad in ((facts.new_id(), location, []), (project, facts.new_id(), []), (project, location, [facts.new_id()])):
        with pytest.raises(ConflictError), catalogue.transaction() as tx:
            facts.book(tx, *bad)
